"""CellProfiler in an environment of its own, because it needs an older Python."""

import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cpengine.cellprofiler.command import own_python
from cpengine.cellprofiler.find import (
    JAVA_NOTE,
    CellProfiler,
    home,
    installed,
    is_installed,
)
from cpengine.cellprofiler.parts import (
    Parts,
    Say,
    find_parts,
    meaning_of,
    uv_program,
)
from cpengine.errors import CellProfilerError
from cpengine.system.private import no_link

VERSION = "4.2.8.1"

_LOCKS = Path(__file__).parent
# A Java that does not start is found here, not by the first job.
_START = """
import sys
from importlib.metadata import version
import cellprofiler.__main__
from cellprofiler_core.preferences import set_headless
from cellprofiler_core.utilities.java import start_java, stop_java
set_headless()
start_java()
stop_java()
assert version("cellprofiler") == sys.argv[1], version("cellprofiler")
"""


def install(
    version: str = VERSION,
    *,
    environ: Mapping[str, str] = os.environ,
    say: Say = print,
) -> CellProfiler:
    """Make the environment of one CellProfiler version, or return the one there.

    Raises CellProfilerError when the version is unknown, when a Python, a JDK or a C
    compiler is missing, or when a step fails; nothing is left that `find` would take.
    """
    requirements = _requirements(version)
    folder = home(environ) / "cellprofiler" / version
    if not is_installed(folder):
        with _alone(folder, say):
            _install_once(folder, requirements, environ, say)
    else:
        say(f"CellProfiler {version} is already installed in {folder}")
    return installed(folder, environ)


def versions() -> list[str]:
    """The CellProfiler versions that can be installed."""
    names = (path.stem for path in _LOCKS.glob("requirements-*.txt"))
    return sorted(name.removeprefix("requirements-") for name in names)


def _requirements(version: str) -> Path:
    if version not in versions():
        raise CellProfilerError(
            f"cpengine cannot install CellProfiler {version}; "
            f"it knows: {', '.join(versions())}"
        )
    return _LOCKS / f"requirements-{version}.txt"


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Hold the lock of a version; the kernel frees it however the holder ends."""
    with _lock_file(folder) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another installation of CellProfiler to end")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return open(folder.parent / f".{folder.name}.lock", "a", opener=no_link)
    except OSError as error:
        raise CellProfilerError(
            f"cannot write to {folder.parent} ({error.strerror}); "
            "set CPENGINE_HOME to a folder that you own"
        ) from error


def _install_once(
    folder: Path, requirements: Path, environ: Mapping[str, str], say: Say
) -> None:
    if is_installed(folder):  # by the installation that was waited for
        return
    parts = find_parts(environ, say)
    say(f"installing CellProfiler {folder.name} in {folder}: half a minute or more")
    say(f"using {parts.python} and the JDK in {parts.jdk}")
    # A name of our own: the uv of a killed installation may still be writing.
    building = folder.parent / f".{folder.name}.building-{os.getpid()}"
    try:
        _build(building, folder.name, requirements, parts, environ)
        shutil.rmtree(folder, ignore_errors=True)  # there only if its Python is gone
        building.rename(folder)
    finally:
        for left in folder.parent.glob(f".{folder.name}.building-*"):
            shutil.rmtree(left, ignore_errors=True)
    say(f"CellProfiler {folder.name} is installed and starts")


def _build(
    folder: Path,
    version: str,
    requirements: Path,
    parts: Parts,
    environ: Mapping[str, str],
) -> None:
    """Fill a folder that can be renamed afterwards, and start what is in it."""
    log = folder.parent / f"{version}.log"
    with open(log, "w", opener=no_link):
        pass  # of this installation alone
    environ = {**environ, "JAVA_HOME": str(parts.jdk), "MPLBACKEND": "agg"}
    uv, python = uv_program(), str(folder / "bin" / "python")
    make = [uv, "venv", "--clear", "--relocatable", "--python", str(parts.python)]
    _step([*make, str(folder)], environ, log)
    # The lock constrains builds too: numpy 2 breaks python-javabridge under 3.9.
    lock = ["-r", str(requirements), "--build-constraints", str(requirements)]
    _step([uv, "pip", "install", "--no-deps", "--python", python, *lock], environ, log)
    _step([python, "-c", _START, version], environ, log)
    (folder / JAVA_NOTE).write_text(f"{parts.jdk}\n")


def _step(command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
    with log.open("a") as stream:
        print("$", shlex.join(command), file=stream, flush=True)
        ended = subprocess.run(
            command,
            env={**own_python(environ), "NO_COLOR": "1"},
            cwd=log.parent,  # not where a project's uv settings would be read
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    if ended.returncode != 0:
        reason = meaning_of(log.read_text(errors="replace"))
        raise CellProfilerError(
            f"CellProfiler was not installed: {reason} (the whole log: {log})"
        )
