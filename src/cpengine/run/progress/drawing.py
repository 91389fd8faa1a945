"""A plate as a grid of wells. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from cpengine.plates import row_name
from cpengine.run.progress.glyphs import Glyphs
from cpengine.run.progress.plate_map import Box, PlateMap

_GAP = 3
"""Columns between two plates."""
_LEAST_WIDTH = 24
"""A plate with few wells is as wide, for its name."""
_LABELLED = 5
"""Every so many columns have their number above them."""


@dataclass(frozen=True, slots=True)
class PlateGrid:
    """How plates of one step are drawn: all alike."""

    box: Box
    pitch: int
    """The distance of two wells, in columns of the terminal."""

    @property
    def margin(self) -> int:
        """The width of the rows' letters, with the blank behind them."""
        return len(row_name(self.box.rows[-1])) + 1

    @property
    def width(self) -> int:
        """Of a plate, in columns of the terminal."""
        wells = self.pitch * (len(self.box.columns) - 1) + 1
        return max(_LEAST_WIDTH, self.margin + wells)

    @property
    def height(self) -> int:
        """Of a plate, in lines: its name, the columns' numbers, its rows."""
        return 2 + len(self.box.rows)

    def draw(self, plate: PlateMap, glyphs: Glyphs) -> list[Text]:
        """A plate's lines, all of one width."""
        rows = [self._row(plate, row, glyphs) for row in self.box.rows]
        lines = [self._title(plate), Text(self._numbers(), style="dim"), *rows]
        for line in lines:
            line.truncate(self.width, overflow=glyphs.cut, pad=True)
        return lines

    def _title(self, plate: PlateMap) -> Text:
        title = Text(plate.name or "all wells", style="bold")
        return title.append(f"  {plate.done}/{plate.jobs}", style="not bold")

    def _numbers(self) -> str:
        line = ""
        for at, column in enumerate(self.box.columns):
            place = self.margin + self.pitch * at
            wanted = at == 0 or (column + 1) % _LABELLED == 0
            if wanted and (len(line) < place or not line):
                line = line.ljust(place) + str(column + 1)
        return line

    def _row(self, plate: PlateMap, row: int, glyphs: Glyphs) -> Text:
        line = Text(row_name(row).ljust(self.margin))
        between = " " * (self.pitch - 1)
        run, style = "", ""
        for spot in self.box.spots(row):
            glyph, own = glyphs.well(*plate.well(spot))
            if own != style and glyph != " ":
                line.append(run, style)  # as many as are alike: few pieces to draw
                run, style = "", own
            run += glyph + between
        return line.append(run.rstrip(), style)


def grids(box: Box | None, width: int) -> Iterator[PlateGrid]:
    """The ways to draw plates that fit that width; with room between wells first."""
    for pitch in (2, 1) if box else ():
        assert box
        grid = PlateGrid(box, pitch)
        if grid.width <= width:
            yield grid


def room(grid: PlateGrid, width: int, height: int) -> int:
    """How many plates fit."""
    return (width + _GAP) // (grid.width + _GAP) * (height // grid.height)


def side_by_side(
    grid: PlateGrid, plates: Sequence[PlateMap], width: int, glyphs: Glyphs
) -> list[Text]:
    """Plates as lines: as many beside each other as fit."""
    a_row = max(1, (width + _GAP) // (grid.width + _GAP))
    lines: list[Text] = []
    for first in range(0, len(plates), a_row):
        drawn = [grid.draw(plate, glyphs) for plate in plates[first : first + a_row]]
        lines += map(_joined, zip(*drawn, strict=True))
    return lines


def _joined(parts: Sequence[Text]) -> Text:
    return Text(" " * _GAP).join(parts)
