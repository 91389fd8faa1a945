"""Where wells and their sites go in a montage. Pure; pixels are of the full size."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cpengine.errors import ConfigError, InputError
from cpengine.plates import Place, place_of

LARGEST = 8000
"""Pixels along the longer side of the picture of the whole plate, at the most."""
_MOST = 32_768
"""Pixels along a side that a montage can have: a file of 2 GB for a plate's shape."""
_SITE_GAP = 2

Pixels = tuple[int, int]
"""Across and down."""


def place(well: str) -> Place:
    """The row and column that a well's name tells, such as A01, AB12 or r01c12.

    Raises
    ------
    InputError
        It tells none.
    """
    found = place_of(well)
    if found is not None:
        return found
    raise InputError(
        f"well {well}: tells no row and column: name wells as in A01 or r01c01"
    )


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """What to sort names by so that site 10 comes after site 9."""
    parts = filter(None, re.split(r"(\d+)", name))
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)


@dataclass(frozen=True, slots=True)
class SiteGrid:
    """How the sites of a well lie: row by row from the upper left."""

    rows: int = 1
    columns: int = 1
    snake: bool = False
    """Whether every second row runs from right to left."""

    @classmethod
    def near_square(cls, sites: int, snake: bool = False) -> "SiteGrid":
        """The smallest grid for so many sites that is a square or nearly one."""
        columns = max(1, math.ceil(math.sqrt(sites)))
        return cls(math.ceil(sites / columns) or 1, columns, snake)

    def place(self, number: int) -> Place:
        """The row and column of a site by its number from 0."""
        row, column = divmod(number, self.columns)
        back = self.snake and row % 2
        return row, self.columns - 1 - column if back else column


@dataclass(frozen=True, slots=True)
class Grid:
    """The montage of a plate: rows and columns of wells, each a grid of sites."""

    rows: range
    columns: range
    sites: SiteGrid
    tile: Pixels = (0, 0)
    """The size of one site; nothing before a picture is known."""

    @property
    def gap(self) -> int:
        """Pixels between wells, and around them all."""
        return max(4, max(self.tile) // 24)

    @property
    def site_gap(self) -> int:
        """Pixels between the sites of a well."""
        return _SITE_GAP

    @property
    def well(self) -> Pixels:
        """The size of a well."""
        across, down = self.tile
        more = self.site_gap
        return (
            self.sites.columns * (across + more) - more,
            self.sites.rows * (down + more) - more,
        )

    @property
    def pitch(self) -> Pixels:
        """From one well to the next."""
        return self.well[0] + self.gap, self.well[1] + self.gap

    @property
    def size(self) -> Pixels:
        """The size of the whole."""
        across, down = self.pitch
        return (
            len(self.columns) * across + self.gap,
            len(self.rows) * down + self.gap,
        )

    def corner(self, well: Place) -> Pixels:
        """The upper left pixel of a well."""
        row, column = well
        across, down = self.pitch
        return (
            self.gap + (column - self.columns.start) * across,
            self.gap + (row - self.rows.start) * down,
        )

    def site_corner(self, well: Place, site: int) -> Pixels:
        """The upper left pixel of a well's site, by the site's number from 0."""
        row, column = self.sites.place(site)
        x, y = self.corner(well)
        return (
            x + column * (self.tile[0] + self.site_gap),
            y + row * (self.tile[1] + self.site_gap),
        )

    @property
    def most_pixels(self) -> int:
        """More pixels than a site can have along its longer side in `LARGEST`."""
        across = len(self.columns) * self.sites.columns
        down = len(self.rows) * self.sites.rows
        return max(1, LARGEST // min(across, down))

    def with_tile(self, picture: Pixels, wanted: int | None) -> "Grid":
        """The grid with tiles in the shape of a picture, never larger than that.

        Parameters
        ----------
        wanted
            Pixels along a tile's longer side; as many as fit in `LARGEST`, if None.

        Raises
        ------
        ConfigError
            So many pixels a tile make a montage that is too large.
        """
        longer = max(picture)
        pixels = min(longer, wanted or self.most_pixels)
        while True:
            tile = (
                max(1, round(picture[0] * pixels / longer)),
                max(1, round(picture[1] * pixels / longer)),
            )
            grid = Grid(self.rows, self.columns, self.sites, tile)
            if wanted and max(grid.size) > _MOST:
                raise ConfigError(
                    f"--tile-size {wanted}: makes a montage of {grid.size[0]} x "
                    f"{grid.size[1]} pixels: choose fewer, for at most {_MOST} a side"
                )
            if wanted or pixels == 1 or max(grid.size) <= LARGEST:
                return grid
            pixels = max(1, min(pixels - 1, pixels * LARGEST // max(grid.size)))


def grid_of(wells: Iterable[str], sites: SiteGrid, shape: Place | None = None) -> Grid:
    """The grid that wells need.

    Parameters
    ----------
    shape
        Rows and columns of the plate, all of which are shown; those from the first to
        the last well, if None.
    """
    if shape:
        return Grid(range(shape[0]), range(shape[1]), sites)
    places = [place(well) for well in wells]
    rows, columns = (
        range(min(values), max(values) + 1) for values in zip(*places, strict=True)
    )
    return Grid(rows, columns, sites)


def site_grid(text: str, sites: int) -> SiteGrid:
    """Read `--site-grid`: `3x3` (rows x columns), `snake`, or both with a comma.

    Raises
    ------
    ConfigError
        It is something else, or too small for so many sites.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    snake = "snake" in words
    shapes = [word for word in words if word != "snake"]
    if not shapes:
        return SiteGrid.near_square(sites, snake)
    found = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", shapes[0])
    if found is None or len(shapes) > 1:
        raise ConfigError(
            f"--site-grid {text}: is no grid: write rows x columns such as 3x3, or "
            "snake, or 3x3,snake"
        )
    grid = SiteGrid(int(found[1]), int(found[2]), snake)
    if grid.rows * grid.columns < sites:
        raise ConfigError(
            f"--site-grid {text}: has no room for {sites} sites: make it larger"
        )
    return grid
