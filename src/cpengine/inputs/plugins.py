"""Which files of a plugins folder a pipeline runs: its modules and what they import.

CellProfiler finds the module `Foo` in `foo.py`, directly in the folder, and puts the
folder on Python's path.

Source: `cellprofiler_core/utilities/core/modules/__init__.py` 4.2.8.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Code:
    """A folder's Python files, the same as long as none is replaced; links are, too."""

    stamps: tuple[tuple[str | int, ...], ...]
    """Of each file its place below the folder, and what changes with it."""
    folder: Path = field(compare=False)

    @classmethod
    def below(cls, folder: Path) -> "Code":
        """Look at all files, but do not read them."""
        found = []
        for path in sorted(folder.rglob("*.py")):
            seen, name = path.stat(), path.relative_to(folder).as_posix()
            stamp = seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size
            found.append((name, *stamp))
        return cls(tuple(found), folder)

    @property
    def names(self) -> set[str]:
        """The files, by their place below the folder."""
        return {str(name) for name, *_ in self.stamps}

    def read(self, name: str) -> bytes:
        """What is in one of them."""
        return (self.folder / name).read_bytes()


def used(
    modules: Iterable[str], names: Collection[str], read: Callable[[str], bytes]
) -> dict[str, bytes]:
    """The files that a pipeline with these modules runs, of those in the folder.

    Parameters
    ----------
    modules
        Names of the pipeline's modules.
    names
        The folder's files, by their place below it (`foo.py`, `lib/a.py`).
    read
        Gives one of them; called for those that are used only.
    """
    wanted = [f"{name.rpartition('.')[2].lower()}.py" for name in modules]
    found: dict[str, bytes] = {}
    while wanted:
        name = wanted.pop()
        if name in names and name not in found:
            found[name] = read(name)
            wanted += _imported(found[name], names)
    return found


def _imported(source: bytes, names: Collection[str]) -> Iterator[str]:
    """Files of the folder that a source imports; of a package, all of them."""
    for name in _import_names(source):
        top = name.partition(".")[0]
        yield f"{top}.py"
        yield from (n for n in names if n.startswith(f"{top}/") and n.endswith(".py"))


def _import_names(source: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # CellProfiler will say so when it loads it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
