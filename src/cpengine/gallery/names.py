"""What the Gallery's projects, batches, plates and files may be called. Pure."""

import re
from collections.abc import Iterable
from datetime import date

from cpengine.plates import place_of

_PROJECT = re.compile(r"cpg\d{4}(-[a-z0-9_-]+)?")
_NUMBERED = re.compile(r"cpg\d{4}")
_FOLDER = re.compile(r"[\w-]+", re.ASCII)
_DATED = re.compile(r"(\d{4})_(\d\d)_(\d\d)(_.+)?")
_POOLED_WELL = re.compile(r"Well_?\d+")
_FUNCTION = re.compile(r"(?:Cycle\d+_)?Illum(?P<channel>\w+?)(?:_Round\d+)?\.npy")


def is_project(name: str) -> bool:
    """Whether a project may be called so."""
    return _PROJECT.fullmatch(name) is not None


def is_numbered(name: str) -> bool:
    """Whether a folder is that of a project, by the number it begins with."""
    return _NUMBERED.match(name) is not None


def is_plain(name: str) -> bool:
    """Whether a folder's name has letters, digits, _ and - alone."""
    return _FOLDER.fullmatch(name) is not None


def is_dated(batch: str) -> bool:
    """Whether a batch begins with a date that there is."""
    found = _DATED.fullmatch(batch)
    if not found:
        return False
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return False
    return True


def full_names(short: str, full: Iterable[str]) -> list[str]:
    """The folders of images that a plate's short name stands for.

    One of its own name, or those that go on after it with another sign than a letter
    or digit: `P1` stands for `P1__Measurement1`, and not for `P10`.
    """
    names = list(full)
    if short in names:
        return [short]
    longer = (name for name in names if name.startswith(short))
    return [name for name in longer if short and not name[len(short)].isalnum()]


def channel_of(plate: str, function: str) -> str | None:
    """The channel of an illumination function by its file's name; None for others."""
    found = _FUNCTION.fullmatch(function.removeprefix(f"{plate}_"))
    named = function.startswith(f"{plate}_")
    return found["channel"] if found and named else None


def is_site(plate: str, folder: str) -> bool:
    """Whether a folder of results is that of a site or a well of the plate."""
    well, _, site = folder.removeprefix(f"{plate}-").partition("-")
    is_well = place_of(well) is not None or _POOLED_WELL.fullmatch(well) is not None
    named = folder.startswith(f"{plate}-") and is_well
    return named and (site.isdigit() or "-" not in folder.removeprefix(f"{plate}-"))
