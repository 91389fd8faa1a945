"""Where below a step's output a group's results go: values for the names of columns.

Source of what names stand for: `worker/cp-worker.py` 2.2.1, its metadataID.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection
from functools import lru_cache

from cpengine import rules
from cpengine.errors import InputError
from cpengine.group_names import Group, as_written, id_of


def normal(structure: str) -> str:
    """A structure without empty parts and parts that are `.`: no `//`, no `/` last."""
    return "/".join(part for part in structure.split("/") if part not in ("", "."))


def place_of(structure: str, group: Group) -> str:
    """The folder of a group's results; its name, where there is no structure.

    All names are replaced at once, the longest first, so that no value is taken for a
    name and no name for the beginning of another.
    """
    if not structure:
        return id_of(group)
    values = dict(reversed(group))
    parts = _parts(structure, tuple(values))
    return "".join([values.get(part, part) for part in parts])


def dcp_place_of(structure: str, group: Group) -> str:
    """The folder that DCP's worker gives a group, which replaces name after name."""
    if not structure:
        return id_of(group)
    place = normal(structure)
    for key, value in group:
        place = place.replace(key, value)
    return place


def names_all(structure: str, keys: Collection[str]) -> bool:
    """Whether a structure names every column, so that each group has its own place."""
    return not unnamed(structure, keys)


def unnamed(structure: str, keys: Collection[str]) -> list[str]:
    """The columns that a structure does not name; all have their part in no structure.

    Groups that differ in these alone share a place.
    """
    named = _parts(structure, tuple(keys))
    return [key for key in keys if structure and key not in named]


def can_be_one(
    first: tuple[str, Collection[str]], second: tuple[str, Collection[str]]
) -> bool:
    """Whether two folders, each with the columns that it names, may be the same.

    They are where both have the same names, and may be where one has a folder's name
    and the other a column: that may be its value.
    """
    parts, others = (text.split("/") for text, _ in (first, second))
    values, other_values = (_values(columns) for _, columns in (first, second))
    return len(parts) == len(others) and all(
        part == other or values(part, other) or other_values(other, part)
        for part, other in zip(parts, others, strict=True)
    )


def _values(columns: Collection[str]) -> Callable[[str, str], bool]:
    """What tells whether a folder with names of columns may come to be called so."""

    def may_be(part: str, name: str) -> bool:
        pieces = _parts(part, tuple(columns))
        form = "".join(".+" if p in columns else re.escape(p) for p in pieces)
        return "Metadata_" not in name and re.fullmatch(form, name) is not None

    return may_be


@lru_cache(maxsize=64)
def _parts(structure: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Names and what stands between them, in order."""
    longest = sorted(filter(None, keys), key=len, reverse=True)
    if not longest:
        return (normal(structure),)
    names = "|".join(map(re.escape, longest))
    return tuple(filter(None, re.split(f"({names})", normal(structure))))


def fault_of(structure: str, keys: Collection[str]) -> str:
    """What is wrong with a structure for groups of these columns; empty if nothing."""
    others = (part for part in _parts(structure, tuple(keys)) if part not in keys)
    leads_out = structure.startswith("/") or ".." in structure.split("/")
    if leads_out or any("Metadata_" in part for part in others):
        return f"{structure!r} must stay below the output and name only groups"
    if structure and not normal(structure):
        return f"{structure!r} must name a folder"
    return ""


def check_places(
    groups: Collection[Group],
    structure: str,
    fold: Callable[[str], str] = as_written,
) -> None:
    """Refuse groups of one place, where the structure names every column.

    Where it does not, jobs share places on purpose, and claim the names of their files.

    Parameters
    ----------
    groups
        Of distinct names, with the same columns.
    fold
        As for `check_ids`.

    Raises
    ------
    InputError
        Two groups have one place.
    """
    keys = [key for key, _ in next(iter(groups), ())]
    is_name = "-".join(keys) in normal(structure).split("/")
    if is_name or not structure or not names_all(structure, keys):
        return  # a folder that is a group's name is as distinct as that

    def place_in(group: Group) -> str:
        return fold(place_of(structure, group))

    times = Counter(map(place_in, groups))
    if len(times) == len(groups):
        return
    (place, _), *_ = times.most_common(1)
    same = (group for group in groups if place_in(group) == place)
    names = " and ".join(id_of(group) for group, _ in zip(same, "12", strict=False))
    raise InputError(
        rules.OUTPUT_STRUCTURE.found(
            "output_structure",
            f"{structure!r} gives {names} one folder, {place}",
            "put / between the names of columns",
        )
    )
