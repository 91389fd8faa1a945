"""The compiled kernels of `exact/`: built once for each text of their sources.

A release's wheel has them for two kinds of machines (`prebuild_kernels`); what was
compiled on this machine goes before.
"""

import contextlib
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpengine.cellprofiler.command import own_python
from cpengine.cellprofiler.find import home
from cpengine.cellprofiler.parts import find_compiler, meaning_of
from cpengine.errors import CellProfilerError, ConfigError
from cpengine.system import private

SOURCES = Path(__file__).with_name("exact") / "kernels"
PREBUILT = SOURCES.with_name("prebuilt")
"""What a wheel has: a folder a kind of machine."""
# Nothing here may fuse or reorder floating-point operations, or ask for what this
# processor has and another has not.
FLAGS = (
    *("-std=c99", "-O2", "-ffp-contract=off", "-fno-fast-math"),
    *("-fPIC", "-shared", "-fvisibility=hidden"),
)
LIBRARY, NOTE = "kernels.so", "built.json"


@dataclass(frozen=True, slots=True)
class Kernels:
    """A library that was built from the sources that are here."""

    path: Path
    sha256: str


def built(environ: Mapping[str, str] = os.environ) -> Kernels | None:
    """The kernels of today's sources, from this machine or the wheel, if either has."""
    own = _own_folder(environ)
    try:
        private.check(own)
    except (ConfigError, OSError):
        return _noted(prebuilt_folder())
    return _noted(own) or _noted(prebuilt_folder())


def prebuilt_folder(machine: str = "") -> Path:
    """Where a wheel has today's kernels for a kind of machine, by default this one."""
    this = f"{platform.system()}-{platform.machine()}".lower()
    return PREBUILT / (machine or this) / _digest()


def _noted(folder: Path) -> Kernels | None:
    """What is in a folder, if it is what was put there."""
    library = folder / LIBRARY
    try:
        sha256 = json.loads((folder / NOTE).read_text(encoding="utf-8"))["sha256"]
        same = hashlib.sha256(library.read_bytes()).hexdigest() == sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Kernels(library, sha256) if same else None


def build(environ: Mapping[str, str] = os.environ) -> Kernels:
    """Build the kernels of today's sources, unless there are some.

    Raises CellProfilerError when there is no compiler, or it fails, or
    `CPENGINE_HOME` cannot be written.
    """
    if (there := built(environ)) is not None:
        return there
    compiler = find_compiler(environ)
    if compiler is None:
        named = environ.get("CC") or "install gcc, or name one by CC"
        raise CellProfilerError(
            f"no C compiler was found for cpengine's kernels ({named})"
        )
    folder = _own_folder(environ)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as new:
            building = Path(new) / "kernels"
            building.mkdir(0o700)
            compile_into(building, [compiler], own_python(environ))
            _remove_damaged(folder)
            with contextlib.suppress(OSError):  # another build was faster
                building.rename(folder)
    except OSError as error:
        raise CellProfilerError(
            f"{folder.parent}: cannot be written ({error.strerror}): set "
            "CPENGINE_HOME to a folder that you own"
        ) from error
    if (made := built(environ)) is None:
        raise CellProfilerError(f"{folder}: others can change it: remove it")
    return made


def _remove_damaged(folder: Path) -> None:
    """Make room for new ones, if nobody else may have put there what is there."""
    with contextlib.suppress(ConfigError, OSError):
        private.check(folder)
        if _noted(folder) is None:
            shutil.rmtree(folder)


def _own_folder(environ: Mapping[str, str]) -> Path:
    return home(environ) / "kernels" / _digest()


def _digest() -> str:
    """What stands for today's sources and how they are compiled."""
    seen = hashlib.sha256(shlex.join(FLAGS).encode())
    for path in sorted(SOURCES.glob("*.[ch]")):
        seen.update(f"{path.name}\0".encode())
        seen.update(path.read_bytes())
    return seen.hexdigest()[:32]


def compile_into(
    folder: Path, compiler: Sequence[str], environ: Mapping[str, str]
) -> None:
    """Compile the kernels, and note what came of it.

    Raises CellProfilerError when the compiler fails.
    """
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    library = folder / LIBRARY
    ended = subprocess.run(
        [*compiler, *FLAGS, "-o", str(library), *sources, "-lm"],
        env=dict(environ),
        capture_output=True,
        text=True,
    )
    if ended.returncode != 0:
        reason = meaning_of(ended.stderr)
        raise CellProfilerError(
            f"cpengine's kernels were not compiled by {shlex.join(compiler)}: {reason}"
        )
    note = json.dumps({"sha256": hashlib.sha256(library.read_bytes()).hexdigest()})
    (folder / NOTE).write_text(note, encoding="utf-8")
