"""The compiled kernels of `exact/`: built once for each text of their sources."""

import hashlib
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cpengine.cellprofiler.command import own_python
from cpengine.cellprofiler.find import home
from cpengine.cellprofiler.parts import find_compiler, meaning_of
from cpengine.errors import CellProfilerError
from cpengine.system import private

SOURCES = Path(__file__).with_name("exact") / "kernels"
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
    """The kernels of today's sources, if they were built on this machine."""
    folder = _folder(environ)
    try:
        private.check(folder)
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return Kernels(folder / LIBRARY, str(note["sha256"]))
    except (CellProfilerError, OSError, ValueError, KeyError, TypeError):
        return None


def build(environ: Mapping[str, str] = os.environ) -> Kernels:
    """Build the kernels of today's sources, unless that was done.

    Raises CellProfilerError when there is no compiler, or it fails.
    """
    if (there := built(environ)) is not None:
        return there
    compiler = find_compiler(environ)
    if compiler is None:
        raise CellProfilerError("no C compiler was found for cpengine's kernels")
    folder = _folder(environ)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as temp:
        building = Path(temp) / "kernels"
        building.mkdir(0o700)
        _compile(compiler, building, environ)
        try:
            building.rename(folder)
        except OSError:  # another build was faster
            if built(environ) is None:
                raise
    return Kernels(folder / LIBRARY, _sha256(folder / LIBRARY))


def _folder(environ: Mapping[str, str]) -> Path:
    """Where today's kernels are: the folder's name is the digest of the sources."""
    seen = hashlib.sha256(shlex.join(FLAGS).encode())
    for path in sorted(SOURCES.glob("*.[ch]")):
        seen.update(f"{path.name}\0".encode())
        seen.update(path.read_bytes())
    return home(environ) / "kernels" / seen.hexdigest()[:32]


def _compile(compiler: str, folder: Path, environ: Mapping[str, str]) -> None:
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    library = folder / LIBRARY
    ended = subprocess.run(
        [compiler, *FLAGS, "-o", str(library), *sources, "-lm"],
        env=own_python(environ),
        capture_output=True,
        text=True,
    )
    if ended.returncode != 0:
        reason = meaning_of(ended.stderr)
        raise CellProfilerError(f"cpengine's kernels were not compiled: {reason}")
    note = json.dumps({"sha256": _sha256(library)})
    (folder / NOTE).write_text(note, encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
