"""Which CellProfiler is used and why, so that no run picks one silently."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from cpengine.cellprofiler.command import own_python
from cpengine.cellprofiler.java import find_java_home
from cpengine.errors import CellProfilerError

SETTING = "cellprofiler.path in cpengine.toml"
VARIABLE = "CPENGINE_CELLPROFILER"
INSTALLED = "installed by cpengine"
ON_PATH = "cellprofiler on PATH"
JAVA_NOTE = "JAVA_HOME"  # file in an installed environment: the JDK it was built with

_ASK = (
    "import sys; sys.path.pop(0); from importlib.metadata import version;"
    "print(version('cellprofiler'))"
)
_VERSION = re.compile(r"\d+\.\d+\S*")
_START_S = 120  # a start takes 7 s; a cold network disk or container far more


@dataclass(frozen=True, slots=True)
class CellProfiler:
    """A CellProfiler that answered; `python` is None when it is behind a wrapper."""

    command: tuple[str, ...]
    version: str
    origin: str
    env: Mapping[str, str] = field(default_factory=dict)
    python: Path | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place where CellProfiler may be and what was seen there."""

    origin: str
    place: str
    found: bool
    note: str


def find(
    configured: str | None = None, environ: Mapping[str, str] = os.environ
) -> CellProfiler:
    """The first CellProfiler of `candidates`, with its version.

    Raises CellProfilerError when there is none, when a place that was asked for by
    name has none, or when the one found does not start.
    """
    passed = []
    for candidate in _look(configured, environ):
        if candidate.found:
            return _describe(candidate, environ)
        if candidate.place and candidate.origin in (SETTING, VARIABLE):
            raise CellProfilerError(_refusal(candidate))
        passed.append(f"{candidate.origin} ({candidate.note})")
    raise CellProfilerError(
        f"CellProfiler not found; looked at: {', '.join(passed)}; "
        "get it with `cpengine cellprofiler install`"
    )


def candidates(
    configured: str | None = None, environ: Mapping[str, str] = os.environ
) -> list[Candidate]:
    """Every place looked at, in order; the first one found is used."""
    return list(_look(configured, environ))


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that cpengine keeps for itself, CPENGINE_HOME if that is set."""
    chosen = environ.get("CPENGINE_HOME") or platformdirs.user_data_dir("cpengine")
    return Path(chosen).expanduser().absolute()


def is_installed(folder: Path) -> bool:
    """Whether an environment made by cpengine is there and its Python still is."""
    programs = ("python", "cellprofiler")
    return all(os.access(folder / "bin" / name, os.X_OK) for name in programs)


def installed(folder: Path, environ: Mapping[str, str] = os.environ) -> CellProfiler:
    """The CellProfiler of an environment for which `is_installed` holds."""
    script = folder / "bin" / "cellprofiler"
    return _describe(Candidate(INSTALLED, str(script), True, "there"), environ)


def _look(configured: str | None, environ: Mapping[str, str]) -> Iterator[Candidate]:
    yield _named(SETTING, configured)
    yield _named(VARIABLE, environ.get(VARIABLE))
    yield from _managed(environ)
    yield from _on_path(environ)


def _named(origin: str, text: str | None) -> Candidate:
    if not text:
        return Candidate(origin, "", False, "not set")
    place = Path(text).expanduser().absolute()
    if not os.path.exists(place):  # unlike place.exists(), False without permission
        return Candidate(origin, str(place), False, "does not exist")
    script = place / "bin" / "cellprofiler" if place.is_dir() else place
    if not os.path.exists(script):
        return Candidate(origin, str(place), False, "holds no bin/cellprofiler")
    if not os.access(script, os.X_OK):
        return Candidate(origin, str(script), False, "is not executable")
    return Candidate(origin, str(script), True, "there")


def _managed(environ: Mapping[str, str]) -> Iterator[Candidate]:
    place = home(environ) / "cellprofiler"
    folders = [path for path in place.glob("[0-9]*") if path.is_dir()]
    for folder in sorted(folders, key=_version_key, reverse=True):
        found = is_installed(folder)
        note = "there" if found else "its Python is gone"
        script = folder / "bin" / "cellprofiler"
        yield Candidate(INSTALLED, str(script), found, note)
    if not folders:
        yield Candidate(INSTALLED, str(place), False, f"none in {place}")


def _version_key(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _on_path(environ: Mapping[str, str]) -> Iterator[Candidate]:
    nothing = True
    for folder in environ.get("PATH", "").split(os.pathsep):
        if folder and (place := shutil.which("cellprofiler", path=folder)):
            nothing = False
            yield _behind_shim(Path(place).absolute(), environ)
    if nothing:
        yield Candidate(ON_PATH, "", False, "none")


def _behind_shim(place: Path, environ: Mapping[str, str]) -> Candidate:
    """What pyenv's shim starts here and now: jobs run in folders of their own."""
    if place.parent.name != "shims":
        return Candidate(ON_PATH, str(place), True, "there")
    pyenv = shutil.which("pyenv", path=environ.get("PATH", ""))
    answer = _run([pyenv or "pyenv", "which", place.name], environ)
    if answer is None or answer.returncode != 0:
        return Candidate(ON_PATH, str(place), False, "pyenv shim, not selected")
    return Candidate(ON_PATH, answer.stdout.strip(), True, f"through {place}")


def _refusal(candidate: Candidate) -> str:
    return (
        f"{candidate.origin} is {candidate.place}, which {candidate.note}; give the "
        "cellprofiler program or its environment, or leave it unset and run "
        "`cpengine cellprofiler install`"
    )


def _describe(candidate: Candidate, environ: Mapping[str, str]) -> CellProfiler:
    script = Path(candidate.place)
    version, python = _version_and_python(candidate, environ)
    return CellProfiler(
        command=(str(script),),
        version=version,
        origin=candidate.origin,
        env=_java_env(script, environ),
        python=python,
    )


def _version_and_python(
    candidate: Candidate, environ: Mapping[str, str]
) -> tuple[str, Path | None]:
    script = Path(candidate.place)
    if candidate.origin == INSTALLED:  # named by its version once it has started
        return script.parent.parent.name, script.parent / "python"
    python = _interpreter(script, environ)
    answer = _run([str(python), "-c", _ASK], environ) if python else None
    if answer is not None and answer.returncode == 0:
        return answer.stdout.strip(), python
    return _said_version(candidate, environ), None


def _interpreter(script: Path, environ: Mapping[str, str]) -> Path | None:
    """The Python that a script's first lines name, or None."""
    if not os.access(script, os.R_OK):
        return None
    with script.open("rb") as stream:
        first, second = stream.readline(1024), stream.readline(1024)
    words = first.removeprefix(b"#!").decode(errors="replace").split()
    if not first.startswith(b"#!") or not words:
        return None
    if second.startswith(b"'''exec'"):  # environments that can be moved
        words = [str(script.resolve().parent / "python")]
    elif Path(words[0]).name == "env":
        words = words[1:]
    if not words or not Path(words[0]).name.startswith("python"):
        return None
    place = shutil.which(words[0], path=environ.get("PATH", ""))
    return Path(place) if place else None


def _said_version(candidate: Candidate, environ: Mapping[str, str]) -> str:
    answer = _run([candidate.place, "--version"], environ)
    lines = (answer.stdout + answer.stderr).split("\n") if answer else []
    said = [line.strip() for line in lines if line.strip()]
    versions = [line for line in said if _VERSION.fullmatch(line)]
    if answer is not None and answer.returncode == 0 and versions:
        return versions[-1]
    last = said[-1] if said else "no answer"
    raise CellProfilerError(
        f"{candidate.origin}: {candidate.place} --version gave no version ({last}); "
        "get one that starts with `cpengine cellprofiler install`"
    )


def _java_env(script: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if environ.get("JAVA_HOME"):
        return {}
    note = script.parent.parent / JAVA_NOTE
    built_with = Path(note.read_text().strip()) if note.is_file() else None
    if built_with is not None and built_with.is_dir():
        return {"JAVA_HOME": str(built_with)}
    found = find_java_home(environ)
    return {"JAVA_HOME": str(found)} if found else {}


def _run(
    command: Sequence[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str] | None:
    """What a program answered, or None when it could not run or took too long."""
    try:
        return subprocess.run(
            command,
            env=own_python(environ),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_START_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
