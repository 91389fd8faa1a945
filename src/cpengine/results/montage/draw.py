"""Draw a montage: tiles in their colours, marks where none is, and labels around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cpengine.plates import Place, row_name
from cpengine.results.montage.grid import Grid
from cpengine.results.montage.names import Shown
from cpengine.results.montage.options import Limits, Rgb
from cpengine.results.montage.stack import Stack

Rgbs = NDArray[np.uint8]
"""(down, across, 3)"""

_BETWEEN: Rgb = (84, 88, 94)
_NO_WELL: Rgb = (70, 73, 78)
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_PAPER, _INK = (255, 255, 255), (32, 34, 38)
_STRIP = 512
_SMALLEST_TEXT, _LARGEST_TEXT = 11, 48


class SiteState(StrEnum):
    """What a montage has of a site."""

    SHOWN = "shown"
    MISSING = "missing"
    """There is no picture of it."""
    UNREADABLE = "unreadable"


_MARKS: Mapping[SiteState, tuple[Rgb, Rgb]] = {
    SiteState.MISSING: ((44, 46, 50), (150, 154, 160)),
    SiteState.UNREADABLE: ((74, 16, 16), (255, 120, 96)),
}
"""The ground and the cross of a site that cannot be shown."""


@dataclass(frozen=True, slots=True)
class Ink:
    """A stack, the colour in which it is shown, and the limits of its contrast."""

    stack: Stack
    colour: Rgb
    limits: Limits


def state(inks: Sequence[Ink], shown: Shown) -> SiteState:
    """What there is of a site: all layers, or else why not."""
    if any(shown in ink.stack.unreadable for ink in inks):
        return SiteState.UNREADABLE
    whole = all(shown in ink.stack.at for ink in inks)
    return SiteState.SHOWN if whole else SiteState.MISSING


def tile(inks: Sequence[Ink], shown: Shown) -> Rgbs:
    """A site's layers, added up."""
    if len(inks) == 1 and not inks[0].stack.scaled:
        return np.asarray(inks[0].stack.tiles[inks[0].stack.at[shown]], np.uint8)
    total = np.zeros((*inks[0].stack.tiles.shape[1:3], 3), np.float32)
    for ink in inks:
        values = ink.stack.tiles[ink.stack.at[shown]].astype(np.float32)
        low, high = ink.limits
        part = np.clip((values - low) / (high - low), 0, 1)
        if part.ndim == 2:
            part = part[..., np.newaxis] * np.asarray(ink.colour, np.float32)
        else:
            part *= 255
        total += part
    return (np.minimum(total, 255) + 0.5).astype(np.uint8)


def mark(size: tuple[int, int], kind: SiteState) -> Rgbs:
    """A tile with a cross, for a site that cannot be shown."""
    ground, cross = _MARKS[kind]
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    right, bottom = size[0] - 1, size[1] - 1
    width = max(1, min(size) // 60)
    for line in ((0, 0, right, bottom), (0, bottom, right, 0)):
        draw.line(line, fill=cross, width=width)
    draw.rectangle((0, 0, right, bottom), outline=cross, width=width)
    return np.asarray(image)


def fill(
    whole: Rgbs,
    grid: Grid,
    inks: Sequence[Ink],
    sites: Mapping[Shown, tuple[Place, int]],
) -> None:
    """Draw the montage into an array of the grid's size.

    Parameters
    ----------
    sites
        The place of each site's well, and the site's number in its well.
    """
    whole[:] = _BETWEEN
    across, down = grid.well
    for row in grid.rows:
        for column in grid.columns:
            x, y = grid.corner((row, column))
            whole[y : y + down, x : x + across] = _NO_WELL
    across, down = grid.tile
    for shown, (well, number) in sites.items():
        x, y = grid.site_corner(well, number)
        found = state(inks, shown)
        area = whole[y : y + down, x : x + across]
        area[:] = (
            tile(inks, shown) if found is SiteState.SHOWN else mark(grid.tile, found)
        )


def labelled(whole: Rgbs, grid: Grid, title: Sequence[str]) -> Image.Image:
    """A montage with letters and numbers around it and a title above.

    Parameters
    ----------
    whole
        The montage; it may have been reduced since it was drawn.
    title
        Parts that are kept on one line each.
    """
    down, across = whole.shape[:2]
    scale = across / grid.size[0]
    text = _text_size(grid, scale)
    left, labels = round(text * 2), round(text * 1.6)
    font = ImageFont.load_default(text)
    lines = _lines(title, font, left + across - text)
    top = round(len(lines) * text * 1.4) + labels
    wide = max(round(font.getlength(line)) + text for line in lines)
    image = Image.new("RGB", (max(left + across, wide), top + down), _PAPER)
    for y in range(0, down, _STRIP):  # a copy of the whole would take much memory
        strip = np.ascontiguousarray(whole[y : y + _STRIP])
        image.paste(Image.fromarray(strip), (left, top + y))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        at = (text / 2, text * (1.4 * number + 0.8))
        draw.text(at, line, _INK, font, anchor="lm")
    for column in grid.columns:
        x = (grid.corner((grid.rows.start, column))[0] + grid.well[0] / 2) * scale
        at = (left + x, top - labels / 2)
        draw.text(at, str(column + 1), _INK, font, anchor="mm")
    for row in grid.rows:
        y = (grid.corner((row, grid.columns.start))[1] + grid.well[1] / 2) * scale
        draw.text((left / 2, top + y), row_name(row), _INK, font, anchor="mm")
    return image


def _lines(parts: Sequence[str], font: _Font, most: int) -> list[str]:
    """Parts joined to lines of at most so many pixels."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}    {part}"
        if font.getlength(longer) <= most:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _text_size(grid: Grid, scale: float) -> int:
    """Pixels that leave room for a label of two letters at each well."""
    room = min(grid.pitch) * scale / 2
    return round(min(_LARGEST_TEXT, max(_SMALLEST_TEXT, room)))
