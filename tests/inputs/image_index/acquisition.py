"""What an instrument of the tests acquires, and writes in the form of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

from cpengine.plates import place_of


class Shot(NamedTuple):
    """One image; all but the well are counted from 1."""

    well: str
    site: int
    timepoint: int
    plane: int
    channel: int

    @property
    def row(self) -> int:
        return self._place[0] + 1

    @property
    def column(self) -> int:
        return self._place[1] + 1

    @property
    def _place(self) -> tuple[int, int]:
        place = place_of(self.well)
        assert place
        return place


Content = Callable[[Shot], bytes]
"""The bytes of the file of an image."""


def label(shot: Shot) -> bytes:
    """Bytes that tell images apart; all files have as many."""
    well, site, timepoint, plane, channel = shot
    return f"{well} {site:03} {timepoint:03} {plane:03} {channel:03}".encode()


@dataclass(frozen=True)
class Acquisition:
    """A plate as it is acquired."""

    plate: str = "P1"
    wells: tuple[str, ...] = ("A01", "B11")
    sites: int = 2
    channels: tuple[str, ...] = ("DAPI", "Alexa 568")
    planes: int = 1
    timepoints: int = 1
    content: Content = label

    def __iter__(self) -> Iterator[Shot]:
        counts = (self.sites, self.timepoints, self.planes, len(self.channels))
        for values in product(self.wells, *(range(1, n + 1) for n in counts)):
            yield Shot(*values)

    def write(self, path: Path, shot: Shot) -> None:
        """Write the file of an image."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content(shot))


def position(site: int) -> tuple[float, float]:
    """Where a site lies, in micrometres."""
    return 100.0 * site, -50.0 * site


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
