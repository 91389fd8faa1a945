"""How the files of two runs differ, but for measured times. Pure.

Files are compared byte for byte. Only where they differ are they opened: tables of
ExportToSpreadsheet, databases of ExportToDatabase and CellProfiler's own measurements
hold the seconds that modules took and the time of the run.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from cpengine.wording import counted

_TIMES = re.compile(r"(?:^|[_./])(?:ExecutionTime_|(?:Run|Modification)_Timestamp)")
_CELLS = {
    mark: re.compile(rb'((?:[^"\r\n%b]|"(?:[^"]|"")*")*)(%b|\r?\n|\Z)' % (mark, mark))
    for mark in (b",", b"\t")
}
"""A cell and what ends it, by what stands between two."""
_TABLES, _IMAGES = (".csv", ".txt", ".tsv"), (".npy", ".png", ".jpg", ".tif", ".tiff")
_SQLITE, _HDF5 = b"SQLite format 3\0", b"\x89HDF\r\n\x1a\n"
_RUN = re.compile(r"^/?Measurements/[^/]+")
_LONGEST = 60
_BLOCK = 2**20
_MODULES: Mapping[str, str] = {
    "AreaShape": "MeasureObjectSizeShape",
    "Correlation": "MeasureColocalization",
    "Granularity": "MeasureGranularity",
    "ImageQuality": "MeasureImageQuality",
    "Neighbors": "MeasureObjectNeighbors",
    "ObjectSkeleton": "MeasureObjectSkeleton",
    "RadialDistribution": "MeasureObjectIntensityDistribution",
    "Texture": "MeasureTexture",
    "Threshold": "an Identify module",
}
"""The module that makes the columns of a category."""
_CATEGORY = re.compile(rf"(?:^|[_./])({'|'.join(_MODULES)}|Intensity)_")
_ERRORS = re.compile(r"(?:^|[_./])ModuleError_\d*(\w+)")
_OF_IMAGE = re.compile(r"(?:^|[./])Image[_/]")
Columns = Mapping[str, list[object]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two runs differ: a file, or what one module makes of it."""

    file: str
    what: str
    module: str = ""
    """Empty if it is not known."""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.module, self.file, self.what)))


def compare(plain: Path, exact: Path) -> tuple[int, list[Difference]]:
    """How many files were compared, and how they differ.

    Parameters
    ----------
    plain, exact
        The folders that CellProfiler's own modules and the accelerated ones wrote to.
    """
    there, ours = _files(plain), _files(exact)
    found: list[Difference] = []
    for name in sorted(there | ours):
        if name not in ours:
            found.append(Difference(name, "is not written by accelerated modules"))
        elif name not in there:
            found.append(Difference(name, "is written by accelerated modules alone"))
        elif not _same(plain / name, exact / name):
            found += _inside(name, plain / name, exact / name)
    return len(there | ours), found


def _files(folder: Path) -> set[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in paths}


def _same(a: Path, b: Path) -> bool:
    if a.stat().st_size != b.stat().st_size:
        return False
    with a.open("rb") as first, b.open("rb") as second:
        while block := first.read(_BLOCK):
            if block != second.read(_BLOCK):
                return False
    return True


def _inside(name: str, plain: Path, exact: Path) -> Iterator[Difference]:
    """What differs in two files, by module; nothing if only times do."""
    ending = PurePosixPath(name).suffix.lower()
    read = _reader(plain, ending)
    if read is None:
        module = "SaveImages" if ending in _IMAGES else ""
        yield Difference(name, "has other bytes", module)
        return
    try:
        yield from _differences(name, read(plain), read(exact))
    except (OSError, ValueError, KeyError, sqlite3.Error) as error:
        yield Difference(name, f"has other bytes, and cannot be read ({error})")


def _reader(path: Path, ending: str) -> Callable[[Path], Columns] | None:
    with path.open("rb") as file:
        start = file.read(len(_SQLITE))
    if start == _SQLITE:
        return _database
    if start.startswith(_HDF5):
        return _measurements
    return _table if ending in _TABLES else None


def _differences(name: str, plain: Columns, exact: Columns) -> Iterator[Difference]:
    """One difference for each module that has columns which differ."""
    by_module: dict[str, list[str]] = {}
    for column in dict.fromkeys((*plain, *exact)):
        if not _TIMES.search(column) and plain.get(column) != exact.get(column):
            by_module.setdefault(_module(column, name), []).append(column)
    for module, (first, *others) in by_module.items():
        what = f"column {first} {_how(plain.get(first), exact.get(first))}"
        more = f", and {counted(len(others), 'more column')}" if others else ""
        yield Difference(name, what + more, module)


def _module(column: str, name: str) -> str:
    """The module that makes a column, as far as its name tells."""
    if failed := _ERRORS.search(column):
        return failed[1]
    if not (found := _CATEGORY.search(column)):
        return ""
    of_image = PurePosixPath(name).name == "Image.csv" or _OF_IMAGE.search(column)
    intensity = "MeasureImageIntensity" if of_image else "MeasureObjectIntensity"
    return _MODULES.get(found[1], intensity)


def _how(plain: list[object] | None, exact: list[object] | None) -> str:
    if exact is None:
        return "is not written by accelerated modules"
    if plain is None:
        return "is written by accelerated modules alone"
    if len(plain) != len(exact):
        return f"has {counted(len(exact), 'row')} instead of {len(plain)}"
    rows = [n for n, (a, b) in enumerate(zip(plain, exact, strict=True)) if a != b]
    first = rows[0]
    values = f"{_shown(exact[first])} instead of {_shown(plain[first])}"
    return f"differs in {counted(len(rows), 'row')}, in row {first + 1}: {values}"


def _shown(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _table(path: Path) -> Columns:
    """The columns of a CSV; cells are bytes as they stand, quotes included.

    Of an Experiment.csv, which has a key and a value a line, each key is a column.
    """
    rows = list(_rows(path.read_bytes()))
    if rows and rows[0] == [b"Key", b"Value"]:
        return {_name(row[:1]): list(row[1:]) for row in rows[1:]}
    headers = 2 if len(rows) > 1 and _is_second_header(rows) else 1
    columns: dict[str, list[object]] = {}
    for cells in zip_longest(*rows):
        name = _name(cells[:headers])
        while name in columns:
            name += "'"
        columns[name] = list(cells[headers:])
    return columns


def _is_second_header(rows: list[list[bytes]]) -> bool:
    """Whether a table of several objects has names of these above those of columns."""
    return b"ImageNumber" in rows[1] and b"ImageNumber" not in rows[0]


def _name(cells: Iterable[bytes | None]) -> str:
    return "_".join((cell or b"").decode(errors="replace") for cell in cells)


def _rows(data: bytes) -> Iterator[list[bytes]]:
    mark = b"\t" if b"\t" in data.partition(b"\n")[0] else b","
    row: list[bytes] = []
    for found in _CELLS[mark].finditer(data):
        if not found[0] and not row:  # behind the last line
            return
        row.append(found[1])
        if found[2] != mark:
            yield row
            row = []


def _database(path: Path) -> Columns:
    """The columns of all tables of an SQLite database, row by row."""
    columns: dict[str, list[object]] = {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        made = database.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
        columns["schema"] = [*map(repr, sorted(made, key=repr))]
        for table in sorted(name for name, kind, _ in made if kind == "table"):
            rows = database.execute(f'SELECT * FROM "{table}"')
            names = [f"{table}.{column[0]}" for column in rows.description]
            values = list(rows)
            for number, name in enumerate(names):
                columns[name] = [row[number] for row in values]
    return columns


def _measurements(path: Path) -> Columns:
    """The data of an HDF5 file; CellProfiler's, without the time of the run."""
    import h5py  # here, because it takes longer to import than all the rest

    columns: dict[str, list[object]] = {}

    def add(name: str, found: object) -> None:
        if isinstance(found, h5py.Dataset):
            value = found[()]
            data = value.tolist() if found.dtype.hasobject else value.tobytes()
            columns[_RUN.sub("", name).strip("/")] = [found.dtype.str, data]

    with h5py.File(path) as file:
        file.visititems(add)
    return columns
