"""Plates, wells and sites: their columns, parts of a batch, where wells lie. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

PLATE, WELL, SITE = "Metadata_Plate", "Metadata_Well", "Metadata_Site"
SITE_KEYS = (PLATE, WELL, SITE)
"""The columns that together name a site."""

Place = tuple[int, int]
"""The row and the column of a well, both from 0."""
SHAPES = {
    6: (2, 3),
    12: (3, 4),
    24: (4, 6),
    48: (6, 8),
    96: (8, 12),
    384: (16, 24),
    1536: (32, 48),
}
"""Rows and columns of the standard plates by their number of wells, smallest first."""

_WELL = re.compile(r"([A-Za-z]{1,2})[-_ ]?0*([1-9]\d?)")
_NUMBERED = re.compile(r"r0*([1-9]\d?)c0*([1-9]\d?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Which plates, wells and sites to take; an empty set takes all.

    Each is given as any iterable, or as one name.
    """

    plates: frozenset[str] = frozenset()
    wells: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    flagged: frozenset[tuple[str, str, str]] = frozenset()
    """Sites (plate, well, site) to leave out where a job has no others."""

    if TYPE_CHECKING:  # what is given need not be a set

        def __init__(
            self,
            plates: Iterable[str | int] = (),
            wells: Iterable[str] = (),
            sites: Iterable[str | int] = (),
            flagged: Iterable[tuple[str, str, str]] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ("plates", "wells", "sites"):
            object.__setattr__(self, name, _names(getattr(self, name)))
        object.__setattr__(self, "flagged", frozenset(self.flagged))

    @property
    def wanted(self) -> dict[str, frozenset[str]]:
        """The values wanted of each metadata column that is restricted."""
        values = zip(SITE_KEYS, (self.plates, self.wells, self.sites), strict=True)
        return {key: wanted for key, wanted in values if wanted}

    def read_as(self, spellings: Mapping[str, Mapping[str, str]]) -> "Part":
        """The part in the values of a table, whose spellings are by column."""
        plates, wells, sites = (
            frozenset(spellings.get(key, {}).get(value, value) for value in wanted)
            for key, wanted in zip(
                SITE_KEYS, (self.plates, self.wells, self.sites), strict=True
            )
        )
        return Part(plates, wells, sites, self.flagged)


def _names(given: Iterable[object]) -> frozenset[str]:
    """Names as text; a text is one name, and no iterable of letters."""
    return frozenset([given] if isinstance(given, str) else map(str, given))


def place_of(well: str) -> Place | None:
    """Where a well lies by its name: `A01`, `a1`, `A-01`, `AF48`, `r01c12`.

    None for a name that tells no row and column.
    """
    if found := _NUMBERED.fullmatch(well):
        return int(found[1]) - 1, int(found[2]) - 1
    if found := _WELL.fullmatch(well):
        row = 0
        for letter in found[1].upper():
            row = 26 * row + ascii_uppercase.index(letter) + 1
        return row - 1, int(found[2]) - 1
    return None


def row_name(row: int) -> str:
    """The letters of a row, from 0: A, B, ..., Z, AA."""
    more, last = divmod(row, 26)
    return (row_name(more - 1) if more else "") + ascii_uppercase[last]


def well_name(place: Place) -> str:
    """A well's usual name: `A01`."""
    row, column = place
    return f"{row_name(row)}{column + 1:02}"


def plate_shape(places: Collection[Place], wells: int | None = None) -> Place | None:
    """Rows and columns of a plate, as every page and picture draws it.

    They are those of the plate's format, or else of the smallest standard plate that
    has all of these wells.

    Parameters
    ----------
    wells
        The format that the project file names, if it does. It counts as long as no
        well lies outside of it. None is returned if no standard plate is so large.
    """
    named = [SHAPES[wells]] if wells else []
    for rows, columns in (*named, *SHAPES.values()):
        if all(r < rows and c < columns for r, c in places):
            return rows, columns
    return None
