"""The Python, the JDK and the C compiler that an installation is made with."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uv

from cpengine.cellprofiler.command import own_python
from cpengine.cellprofiler.java import find_jdk
from cpengine.errors import CellProfilerError

PYTHONS = ("3.8", "3.9")  # what CellProfiler 4.2 runs in; upstream's image has 3.8
COMPILERS = ("cc", "gcc", "clang")

# Python.h too, because python-javabridge has no wheels and is compiled.
_PROBE = """
import os, sys, sysconfig
print(sys.implementation.name, "%d.%d" % sys.version_info[:2])
print(os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
print(sys.executable)
"""
_PROBE_S = 60

_NO_PYTHON = (
    "CPython 3.8 or 3.9 with its headers (looked at python3.8 and python3.9 on PATH, "
    "uv's Pythons, pyenv's versions; uv's download failed; "
    "get it: uv python install 3.8, or pyenv install 3.8)"
)
_NO_JDK = (
    "a JDK with include/jni.h (looked at JAVA_HOME, javac and java on PATH; "
    "get it: apt-get install openjdk-17-jdk-headless)"
)
_NO_COMPILER = (
    "a C compiler (looked at CC, then cc, gcc and clang on PATH; "
    "get it: apt-get install gcc)"
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What an installation is made with; the compiler is found by the build."""

    python: Path
    jdk: Path


def find_parts(environ: Mapping[str, str], say: Say) -> Parts:
    """All three parts; a Python may be downloaded by uv when none is there.

    Raises CellProfilerError, naming every part that is missing.
    """
    jdk, compiler = find_jdk(environ), find_compiler(environ)
    python = find_python(environ) or _download_python(environ, say)
    if python and jdk and compiler:
        return Parts(python, jdk)
    texts = {_NO_PYTHON: python, _NO_JDK: jdk, _NO_COMPILER: compiler}
    missing = [text for text, part in texts.items() if part is None]
    raise CellProfilerError(
        f"CellProfiler cannot be installed; missing: {'; '.join(missing)}"
    )


def find_compiler(environ: Mapping[str, str]) -> str | None:
    """The C compiler that CC names, or one on PATH."""
    chosen = shlex.split(environ.get("CC", ""))[:1] or COMPILERS
    places = (shutil.which(name, path=environ.get("PATH", "")) for name in chosen)
    return next(filter(None, places), None)


def find_python(environ: Mapping[str, str]) -> Path | None:
    """A CPython 3.8 or 3.9 that runs and has headers, or None."""
    for version in PYTHONS:
        for place in _pythons(version, environ):
            if python := _probe(place, version, environ):
                return python
    return None


def uv_program() -> str:
    """The uv program that comes with cpengine.

    Raises CellProfilerError when it is not there.
    """
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise CellProfilerError(
            "the uv program is missing from cpengine's environment; "
            "get it: pip install uv"
        ) from error


def meaning_of(output: str) -> str:
    """The last line of a tool's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines()]
    messages = [line for line in lines if line and not line.startswith("hint:")]
    return (
        messages[-1].removeprefix("cause: ").removeprefix("error: ")
        if messages
        else "no message"
    )


def _pythons(version: str, environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PATH", "").split(os.pathsep):
        # Every folder, because a shim that is not selected hides the ones behind it.
        if folder and (place := shutil.which(f"python{version}", path=folder)):
            yield place
    if managed := _managed_python(version, environ):
        yield managed
    versions = sorted(_pyenv(environ).glob(f"versions/{version}.*/bin/python{version}"))
    yield from map(str, versions)


def _managed_python(version: str, environ: Mapping[str, str]) -> str | None:
    # Only uv's own: for one on PATH it gives up at the first shim not selected.
    asked = ("python", "find", "--managed-python", "--no-python-downloads", version)
    answer = _ask_uv(environ, *asked)
    return answer.stdout.strip() if answer.returncode == 0 else None


def _ask_uv(
    environ: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [uv_program(), *arguments],
        env={**own_python(environ), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )


def _pyenv(environ: Mapping[str, str]) -> Path:
    default = Path(environ.get("HOME", "~")) / ".pyenv"
    return Path(os.path.expanduser(environ.get("PYENV_ROOT") or default))


def _probe(place: str, version: str, environ: Mapping[str, str]) -> Path | None:
    """The real program behind a place, if it runs and is what its name says."""
    try:
        answer = subprocess.run(
            [place, "-c", _PROBE],
            env=own_python(environ),
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.splitlines()
    if lines[:2] != [f"cpython {version}", "True"]:
        return None
    return Path(lines[2])


def _download_python(environ: Mapping[str, str], say: Say) -> Path | None:
    version = PYTHONS[0]
    say(f"no CPython {' or '.join(PYTHONS)} found; uv downloads {version}")
    answer = _ask_uv(environ, "python", "install", "--no-bin", version)
    if answer.returncode != 0:
        say(f"uv could not download it: {meaning_of(answer.stderr)}")
        return None
    managed = _managed_python(version, environ)
    return _probe(managed, version, environ) if managed else None
