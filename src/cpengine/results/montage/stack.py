"""Read the pictures of a source, each once, and keep them reduced to their tiles."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from cpengine.errors import CpengineError, InputError
from cpengine.results.montage.grid import Grid
from cpengine.results.montage.grid import Pixels as Size
from cpengine.results.montage.names import Shown
from cpengine.results.montage.on_disk import new_array
from cpengine.results.montage.options import Limits
from cpengine.results.montage.reading import Pixels, fitted, read
from cpengine.results.montage.sources import Source
from cpengine.storage.parallel import each
from cpengine.system.capacity import MemoryLeft

_SAMPLED_SITES = 64
_SAMPLED_PIXELS = 20_000
"""Of each sampled site, at the most."""
_PERCENTILES = (0.5, 99.8)
_AT_ONCE = 8
"""So many pictures are in memory in their full size, at the most."""
_PART_OF_MEMORY = 4
"""Of what can be had a picture may take this part, since it is also scaled in copies;
and so may all that are under way, if they are as large as the first."""

Tell = Callable[[int, int], None]
"""Is told how many pictures of how many are read."""


@dataclass
class Stack:
    """The tiles of a source: an array of (site, down, across), or with 3 colours.

    It is a file in a folder, so that a plate of any size needs little memory.
    """

    source: Source
    tiles: Pixels
    at: dict[Shown, int]
    """The number of the tile of each site whose picture was read."""
    unreadable: dict[Shown, str]
    """Why the others were not, if they are there at all."""
    sample: NDArray[np.float32]
    """Pixel values in full size, from sites spread over the plate."""

    @property
    def scaled(self) -> bool:
        """Whether values are scaled to be seen; 8-bit pictures of a step are not."""
        return self.source.raw or self.tiles.dtype != np.uint8

    def limits(self) -> Limits:
        """The values to show as black and as full colour, the same for all tiles."""
        if not self.scaled:
            return 0.0, 255.0
        low, high = (float(v) for v in np.percentile(self.sample, _PERCENTILES))
        return low, high if high > low else low + 1


def load(
    source: Source,
    sites: Sequence[Shown],
    grid: Grid,
    wanted: int | None,
    folder: Path,
    tell: Tell,
) -> tuple[Stack, Grid]:
    """Read the pictures of some sites; give their tiles and the grid that fits them.

    Parameters
    ----------
    grid
        Tiles have its size if it has been fitted to pictures before.
    wanted
        Pixels along a tile's longer side; as many as fit, if None.
    folder
        Gets a file with the tiles.

    Raises
    ------
    InputError
        None of the pictures can be read.
    """
    there = [shown for shown in sites if shown in source.keys]
    loading = _Loading(source, there, wanted or grid.most_pixels, tell)
    first, rest = loading.first(), there[loading.begun :]
    if first is None:
        why = next(iter(loading.unreadable.values()), "none is there")
        raise InputError(
            f"{source.name}: no picture of {len(sites)} can be read: {why}"
        )
    if grid.tile == (0, 0):
        grid = grid.with_tile(_size(first[1]), wanted)
    shape = (len(there), *grid.tile[::-1], *first[1].shape[2:])
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    loading.tiles = new_array(path, first[1].dtype, shape)
    loading.keep(*first)
    each(loading.read_tile, rest, loading.at_once(first[1]))
    return loading.stack(), grid


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(image: Pixels) -> Size:
    return image.shape[1], image.shape[0]


def _room() -> int:
    """Bytes that a decoded picture may have on this machine, now."""
    return MemoryLeft.of_this_process()() // _PART_OF_MEMORY


@dataclass
class _Loading:
    """Pictures under way; several threads work on it."""

    source: Source
    sites: Sequence[Shown]
    pixels: int
    """As many along the longer side are enough."""
    tell: Tell
    tiles: Pixels = field(default_factory=lambda: np.empty(0, np.uint8))
    unreadable: dict[Shown, str] = field(default_factory=dict)
    most_bytes: int = field(default_factory=_room)
    """A picture that is larger is not decoded."""
    begun: int = 0
    """Pictures that were tried up to the first that could be read."""
    _numbers: dict[Shown, int] = field(init=False)
    _at: dict[Shown, int] = field(default_factory=dict)
    _samples: dict[Shown, NDArray[np.float32]] = field(default_factory=dict)
    _read: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._numbers = {shown: number for number, shown in enumerate(self.sites)}

    def first(self) -> tuple[Shown, Pixels] | None:
        """The first picture that can be read; it tells the form of them all."""
        for shown in self.sites:
            self.begun += 1
            image = self._image(shown)
            if image is not None:
                return shown, image
        return None

    def at_once(self, first: Pixels) -> int:
        """How many pictures like the first are read at a time."""
        local = self.source.storage.is_local(self.source.keys[self.sites[0]])
        wanted = min(_AT_ONCE, cores()) if local else _AT_ONCE
        return max(1, min(wanted, self.most_bytes // first.nbytes))

    def read_tile(self, shown: Shown) -> None:
        """Read one picture and keep its tile."""
        image = self._image(shown)
        if image is not None:
            self.keep(shown, image)

    def _image(self, shown: Shown) -> Pixels | None:
        key = self.source.keys[shown]
        url = self.source.storage.url(key)
        try:
            data = self.source.storage.read(key)
            image = read(data, url, self.pixels, self.most_bytes)
        except CpengineError as error:
            self.unreadable[shown] = str(error)
            image = None
        with self._lock:
            self._read += 1
            self.tell(self._read, len(self.sites))
        if image is not None and not self.source.raw and image.dtype == np.uint8:
            return image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
        return image

    def keep(self, shown: Shown, image: Pixels) -> None:
        """Keep a picture's tile and, of some sites, a sample of its pixels."""
        form = (self.tiles.dtype, self.tiles.shape[3:])
        if (image.dtype, image.shape[2:]) != form:
            url = self.source.storage.url(self.source.keys[shown])
            self.unreadable[shown] = (
                f"{url}: has pixels of {_form(image.dtype, image.shape[2:])}, and "
                f"others of {_form(*form)}: save all in one form"
            )
            return
        number = self._numbers[shown]
        _, down, across = self.tiles.shape[:3]
        self.tiles[number] = fitted(image, (across, down))
        self._at[shown] = number
        if number % max(1, len(self.sites) // _SAMPLED_SITES) == 0:
            self._samples[shown] = _sample(image)

    def stack(self) -> Stack:
        """What has been read."""
        sample = np.concatenate([*self._samples.values(), np.empty(0, np.float32)])
        if not sample.size:  # none of those could be read
            sample = self.tiles[list(self._at.values())[:_SAMPLED_SITES]].reshape(-1)
        return Stack(self.source, self.tiles, self._at, self.unreadable, sample)


def _sample(image: Pixels) -> NDArray[np.float32]:
    """Some of a picture's pixels, the same ones each time."""
    values = image.reshape(-1)
    if values.size > _SAMPLED_PIXELS:
        chosen = np.random.default_rng(0).integers(0, values.size, _SAMPLED_PIXELS)
        values = values[chosen]
    return values.astype(np.float32)


def _form(dtype: object, colours: tuple[int, ...]) -> str:
    return f"{dtype}{' in colours' if colours else ''}"
