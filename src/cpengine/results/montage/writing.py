"""Write a montage: its PNG, its tiles, and what the page needs to know of it."""

import json
import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from cpengine.plates import Place, row_name
from cpengine.results.montage import draw, pyramid, stack
from cpengine.results.montage.draw import Ink, SiteState
from cpengine.results.montage.facts import NAME
from cpengine.results.montage.grid import LARGEST, Grid
from cpengine.results.montage.names import Shown
from cpengine.results.montage.on_disk import new_array
from cpengine.results.montage.pyramid import Rgbs
from cpengine.results.montage.sources import Picture, Source
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

_COMPRESSION = 4
"""Of 9: what more would save of noisy pictures is not worth its time."""


@dataclass(frozen=True, slots=True)
class Montage:
    """One picture of a plate, ready to be drawn."""

    plate: str
    step: str
    batch: str
    picture: Picture
    grid: Grid
    inks: Sequence[Ink]
    """One for each layer of the picture."""
    places: Mapping[Shown, tuple[Place, int]]
    """The place of each site's well, and the site's number in its well."""

    @property
    def states(self) -> dict[Shown, SiteState]:
        """What there is of each site."""
        return {shown: draw.state(self.inks, shown) for shown in self.places}

    @property
    def title(self) -> list[str]:
        """What stands above the picture, in parts that may be on lines of their own."""
        words = []
        for ink, layer in zip(self.inks, self.picture.layers, strict=True):
            named = f"{layer.source.name} {layer.colour_name}".strip()
            low, high = ink.limits
            limits = f" {low:.5g} to {high:.5g}" if ink.stack.scaled else ""
            words.append(named + limits)
        return [f"{self.plate}  {self.step}", *words]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes montages into folders below a plate's."""

    storage: Storage
    folder: str

    def write(self, montage: Montage, scratch: Path) -> str:
        """Write a montage's files; give where the PNG is.

        Parameters
        ----------
        scratch
            A local folder for the montage in full size.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        across, down = montage.grid.size
        whole = new_array(scratch / "whole.npy", np.uint8, (down, across, 3))
        draw.fill(whole, montage.grid, montage.inks, montage.places)
        levels = pyramid.levels(whole, scratch)
        folder = f"{self.folder}/{montage.picture.name}"
        tiles = self._tiles(levels, folder)
        png = self._png(levels, montage, folder, scratch / "montage.png")
        facts = self._facts(montage, levels)
        self.storage.write(f"{folder}/{NAME}", json.dumps(facts).encode())
        for name in self.storage.tree(folder):  # of a larger montage made before
            if name.startswith("tiles/") and name not in tiles:
                self.storage.remove(f"{folder}/{name}")
        return png

    def _tiles(self, levels: Sequence[Rgbs], folder: str) -> set[str]:
        """Write the tiles; give their names."""

        def write(at: tuple[int, int, int]) -> str:
            number, x, y = at
            name = f"tiles/{number}/{x}_{y}.jpg"
            self.storage.write(f"{folder}/{name}", pyramid.tile(levels[number], x, y))
            return name

        at_once = max(stack.cores(), self.storage.at_once(folder))
        return set(each(write, pyramid.places(levels), at_once))

    def _png(
        self, levels: Sequence[Rgbs], montage: Montage, folder: str, file: Path
    ) -> str:
        """Write the picture of the whole plate; give where it is."""
        largest = [level for level in levels if max(level.shape) <= LARGEST][-1]
        image = draw.labelled(largest, montage.grid, montage.title)
        image.save(file, "PNG", compress_level=_COMPRESSION)
        key = f"{folder}/montage.png"
        self.storage.publish(file, key)
        return self.storage.url(key)

    def _facts(self, montage: Montage, levels: Sequence[Rgbs]) -> dict[str, Any]:
        """What the page needs to know of a montage."""
        grid = montage.grid
        return {
            "kind": montage.picture.name,
            "title": montage.picture.title,
            "plate": montage.plate,
            "step": montage.step,
            "batch": montage.batch,
            "side": pyramid.SIDE,
            "levels": [[level.shape[1], level.shape[0]] for level in levels],
            "rows": [row_name(row) for row in grid.rows],
            "columns": [column + 1 for column in grid.columns],
            "gap": grid.gap,
            "well": grid.well,
            "tile": grid.tile,
            "channels": [_channel(ink) for ink in montage.inks if ink.stack.scaled],
            "sites": [
                {
                    "well": shown[0],
                    "site": shown[1],
                    "row": well[0] - grid.rows.start,
                    "column": well[1] - grid.columns.start,
                    "at": grid.site_corner(well, number),
                    "state": draw.state(montage.inks, shown),
                    "files": self._files(montage, shown),
                }
                for shown, (well, number) in montage.places.items()
            ],
        }

    def _files(self, montage: Montage, shown: Shown) -> list[dict[str, str]]:
        sources = (ink.stack.source for ink in montage.inks)
        return [self._file(s, s.keys[shown]) for s in sources if shown in s.keys]

    def _file(self, source: Source, key: str) -> dict[str, str]:
        """Where a picture is, and a link to it if a browser can follow one."""
        url = source.storage.url(key)
        if url.startswith(self.storage.root.rstrip("/") + "/"):
            link = posixpath.relpath(url, self.storage.url(self.folder))
            return {"path": url, "href": quote(link)}
        if source.storage.is_local(key):
            return {"path": url, "href": Path(os.path.abspath(url)).as_uri()}
        return {"path": url}


def _channel(ink: Ink) -> dict[str, Any]:
    red, green, blue = ink.colour
    low, high = ink.limits
    return {
        "name": ink.stack.source.name,
        "colour": f"#{red:02x}{green:02x}{blue:02x}",
        "low": low,
        "high": high,
    }
