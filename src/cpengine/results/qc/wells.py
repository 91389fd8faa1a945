"""Where wells are on their plate, however their names are written. Pure."""

import re
import string

_WELL = re.compile(r"([A-Za-z]{1,2})[-_ ]?0*([1-9]\d?)")


def position(well: str) -> tuple[int, int] | None:
    """A well's row and column, from 1; None for a name that tells neither."""
    found = _WELL.fullmatch(well)
    if found is None:
        return None
    row = 0
    for letter in found[1].upper():
        row = row * 26 + string.ascii_uppercase.index(letter) + 1
    return row, int(found[2])


def normal(well: str) -> str:
    """One spelling for all: A01, a1 and A-01 are one well."""
    place = position(well)
    return f"{row_name(place[0])}{place[1]:02}" if place else well


def row_name(row: int) -> str:
    """The letters of a row, from 1: A, B, ..., Z, AA, AB."""
    first, last = divmod(row - 1, 26)
    letters = string.ascii_uppercase
    return (letters[first - 1] if first else "") + letters[last]


def in_order(well: str, site: str = "") -> tuple[object, ...]:
    """The key that sorts wells row by row, and sites by number."""
    place = position(well)
    number = int(site) if site.isdecimal() else -1
    return (place is None, place or (0, 0), well, number, site)
