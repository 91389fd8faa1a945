"""A picture in tiles at many scales, as the page shows it."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cpengine.results.montage.on_disk import new_array

SIDE = 512
"""Pixels along a tile's sides."""
_QUALITY = 90
Rgbs = NDArray[np.uint8]


def levels(whole: Rgbs, folder: Path) -> list[Rgbs]:
    """The picture at all scales: from one that is a single tile to the whole.

    Each has half the pixels of the next along both sides, rounded up.

    Parameters
    ----------
    folder
        Gets a file for each but the last.
    """
    found = [whole]
    while max(found[-1].shape) > SIDE:
        found.append(_halved(found[-1], folder / f"level{len(found)}.npy"))
    return found[::-1]


def _halved(level: Rgbs, path: Path) -> Rgbs:
    """Means of two by two pixels, strip by strip."""
    down, across, colours = level.shape
    shape = (-(-down // 2), -(-across // 2), colours)
    half: Rgbs = new_array(path, np.uint8, shape)
    for top in range(0, down, 2 * SIDE):
        strip = level[top : top + 2 * SIDE]
        odd = (strip.shape[0] % 2, across % 2)
        even = np.pad(strip, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
        reduced = Image.fromarray(even).reduce(2)
        half[top // 2 : top // 2 + reduced.height] = np.asarray(reduced)
    return half


def places(of: Sequence[Rgbs]) -> Iterator[tuple[int, int, int]]:
    """The level, column and row of each tile."""
    for number, level in enumerate(of):
        down, across = level.shape[:2]
        for y in range(-(-down // SIDE)):
            for x in range(-(-across // SIDE)):
                yield number, x, y


def tile(level: Rgbs, x: int, y: int) -> bytes:
    """A tile as a JPEG file."""
    part = level[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE]
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(part))
    image.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()
