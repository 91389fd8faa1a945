"""Which of a job's CSVs is which table, and what its columns are called. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cpengine.plates import PLATE, SITE, WELL

IMAGE = "Image"
IMAGE_NUMBER, OBJECT_NUMBER = "Metadata_ImageNumber", "Metadata_ObjectNumber"
KEYS = (PLATE, WELL, SITE, IMAGE_NUMBER, OBJECT_NUMBER)
"""The columns that tell every row from all others, first in every table."""

_CSV = ".csv"
_WITHOUT_OBJECTS = (IMAGE, "Experiment")
_USUAL = ("Cytoplasm", "Cells", "Nuclei")
_LEFT_OUT = {"Experiment", "Object relationships"}
_FILE = ("FileName_", "PathName_", "URL_", "MD5Digest_")
_TEXT = ("Metadata_", *(f"Image_{start}" for start in _FILE))
_NUMBER = re.compile(
    f"{IMAGE_NUMBER}|{OBJECT_NUMBER}"
    "|Metadata_.+_Number_Object_Number|Metadata_.+_Parent_.+"
)


class Files(NamedTuple):
    """The CSVs of one job, by name below its folder."""

    tables: dict[str, str]
    """By table: `Image`, and the names of objects."""
    others: tuple[str, ...]
    """CSVs that are in another folder, or whose names begin otherwise."""


def files_of(names: Iterable[str]) -> Files:
    """Tell a job's tables by the names of its files.

    What stands before `Image.csv` (`MyExpt_Image.csv`) stands before all of them.
    """
    csvs = sorted(name for name in names if name.endswith(_CSV))
    prefix = _prefix(csvs)
    tables: dict[str, str] = {}
    others = []
    for name in csvs:
        table = name[len(prefix) : -len(_CSV)]
        if not name.startswith(prefix) or "/" in table or not table:
            others.append(name)
        elif table not in _LEFT_OUT:
            tables[table] = name
    return Files(tables, tuple(others))


def _prefix(csvs: Sequence[str]) -> str:
    """What stands before the names of tables, a folder included."""
    ends = {table: f"{table}{_CSV}" for table in (*_WITHOUT_OBJECTS, *_USUAL)}
    found = {
        table: sorted((n[: -len(end)] for n in csvs if n.endswith(end)), key=len)
        for table, end in ends.items()
    }
    for table in _WITHOUT_OBJECTS:
        if found[table]:
            return found[table][0]
    common = [p for table in _USUAL for p in found[table][:1]]
    shared = [p for p in common if all(name.startswith(p) for name in csvs)]
    return max(shared, key=len, default="")


def columns_of(table: str, header: Sequence[str]) -> list[str] | None:
    """The names that a CSV's columns get; None if it is no such table.

    Those of pycytominer: features begin with the name of their object (or `Image_`),
    everything else with `Metadata_`.
    """
    if "ImageNumber" not in header or ("ObjectNumber" in header) == (table == IMAGE):
        return None
    return [_column(table, name) for name in header]


def _column(table: str, name: str) -> str:
    if name in ("ImageNumber", "ObjectNumber"):
        return f"Metadata_{name}"
    if name.startswith(("Metadata_", f"{table}_")):
        return name
    if table != IMAGE and (name == "Number_Object_Number" or name[:7] == "Parent_"):
        return f"Metadata_{table}_{name}"
    return f"{IMAGE if name.startswith(_FILE) else table}_{name}"


def number_column(table: str) -> str:
    """The column with the number of an object in its image, of that table's objects."""
    return f"Metadata_{table}_Number_Object_Number"


def parent_column(table: str, parent: str) -> str:
    """The column with the number of an object's parent."""
    return f"Metadata_{table}_Parent_{parent}"


def holds_text(column: str) -> bool:
    """Whether a column is read as text first, since it may hold any."""
    return column.startswith(_TEXT) and not holds_numbers(column)


def holds_numbers(column: str) -> bool:
    """Whether a column holds numbers of images or objects."""
    return _NUMBER.fullmatch(column) is not None


class Link(NamedTuple):
    """How rows of the joined table come to those of another table."""

    child: str
    """The table that names the parent: the driving one, or one that is linked."""
    parent: str


class Joining(NamedTuple):
    """How object tables make one: a row for each of the driving table's."""

    driving: str
    links: tuple[Link, ...]


def joining(tables: dict[str, set[str]]) -> Joining | None:
    """How to join object tables by their Parent_ columns; None if none has a parent.

    Cytoplasm drives if it has parents, else Cells, else Nuclei, else the one with most
    parents. Only from child to parent, so that no row comes twice.

    Parameters
    ----------
    tables
        The columns of each object table, by name.
    """
    parents = {
        child: sorted(p for p in tables if parent_column(child, p) in columns)
        for child, columns in tables.items()
    }
    ranked = sorted(
        (child for child in tables if parents[child]),
        key=lambda child: (_rank(child), -len(parents[child]), child),
    )
    if not ranked:
        return None
    reached = [ranked[0]]
    links = []
    for child in reached:  # grows while it is gone through
        for parent in parents[child]:
            if parent not in reached:
                reached.append(parent)
                links.append(Link(child, parent))
    return Joining(ranked[0], tuple(links))


def _rank(table: str) -> int:
    return _USUAL.index(table) if table in _USUAL else len(_USUAL)
