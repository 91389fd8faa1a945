"""Images degraded by known amounts, and which of them are flagged among sound ones.

CellProfiler measures plates of the demo, and some of their sites again after their
images were degraded. Of these values batches are drawn: so many sites of each plate,
one of them degraded. What is flagged is then counted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from cpengine.config.qc import QcSection
from cpengine.demo.images import CHANNELS
from cpengine.demo.make import BATCH, NAME, Size, make
from cpengine.demo.synthetic_plate import wells_of, write_plate
from cpengine.project import Project
from cpengine.results import qc
from cpengine.results.qc.flags import flags
from cpengine.results.qc.images import SiteKey, SiteMeasures
from cpengine.results.qc.names import ImageMeasure
from cpengine.results.qc.thresholds import chosen

Floats = NDArray[np.float64]
Degrade = Callable[[Floats, np.random.Generator], Floats]

OFFSET, READ_NOISE, GAIN, BACKGROUND = 180.0, 14.0, 2.5, 120.0
"""Of the demo's camera."""
SITES_A_WELL = 4
PIXELS = 256


def _photograph(light: Floats, rng: np.random.Generator) -> Floats:
    """What the camera makes of light, with noise."""
    variance = GAIN * np.clip(light, 0, None) + READ_NOISE**2
    return OFFSET + light + rng.normal(size=light.shape) * np.sqrt(variance)


def _out_of_focus(image: Floats, rng: np.random.Generator, *, sigma: float) -> Floats:
    reach = round(4 * sigma) + 1
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    light = np.pad(image - OFFSET, reach, mode="reflect")
    for axis in (0, 1):
        light = np.apply_along_axis(np.convolve, axis, light, kernel, "valid")
    return _photograph(light / kernel.sum() ** 2, rng)


def _saturated(image: Floats, rng: np.random.Generator, *, percent: float) -> Floats:
    return np.minimum(image, np.quantile(image, 1 - percent / 100))


def _dim(image: Floats, rng: np.random.Generator, *, part: float) -> Floats:
    return (image - OFFSET) * part + OFFSET


def _empty(image: Floats, rng: np.random.Generator) -> Floats:
    return _photograph(np.full(image.shape, BACKGROUND), rng)


def _black(image: Floats, rng: np.random.Generator) -> Floats:
    return np.zeros(image.shape)


DEGRADATIONS: Mapping[str, Degrade] = {
    **{
        f"out of focus by {sigma:g} px": partial(_out_of_focus, sigma=sigma)
        for sigma in (0.5, 1, 1.5, 2, 3, 5)
    },
    **{
        f"{percent:g} % of pixels saturated": partial(_saturated, percent=percent)
        for percent in (0.1, 0.3, 0.5, 1, 2, 5)
    },
    "half as bright": partial(_dim, part=0.5),
    "a tenth as bright": partial(_dim, part=0.1),
    "without cells": _empty,
    "black": _black,
}


@dataclass(frozen=True)
class Images:
    """The images of a batch, sound and degraded, to be measured by the step qc.

    Degraded sites are on plates of their own.
    """

    folder: Path
    plates: int
    wells: int
    degraded: int
    """Sites of each plate that are degraded in each way: at most as many as wells."""
    ways: Sequence[str] = tuple(DEGRADATIONS)

    @property
    def sources(self) -> list[SiteKey]:
        """The sites that are degraded."""
        wells = wells_of(self.wells)[: self.degraded]
        numbers = range(1, self.plates + 1)
        return [SiteKey(f"DemoPlate{n}", well, "1") for n in numbers for well in wells]

    def write(self) -> None:
        """Draw them; a project that has nothing but the step qc to do."""
        size = Size(self.plates, self.wells, SITES_A_WELL, PIXELS, 1)
        make(self.folder, size, lambda done, total: None)
        plates = [f"way{number}" for number in range(len(self.ways))]
        wells = wells_of(-(-len(self.sources) // SITES_A_WELL))
        write_plate(
            self.folder.resolve(),
            project=NAME,
            batch=BATCH,
            plates=plates,
            wells=wells,
            sites=SITES_A_WELL,
            size=PIXELS,
            planes=1,
        )
        for plate, way in zip(plates, self.ways, strict=True):
            for source, copy in zip(self.sources, self._copies(plate), strict=True):
                self._degrade(source, copy, DEGRADATIONS[way])

    def _copies(self, plate: str) -> list[SiteKey]:
        places = (divmod(n, SITES_A_WELL) for n in range(len(self.sources)))
        wells = wells_of(-(-len(self.sources) // SITES_A_WELL))
        return [SiteKey(plate, wells[well], str(site + 1)) for well, site in places]

    def _degrade(self, source: SiteKey, copy: SiteKey, degrade: Degrade) -> None:
        rng = np.random.default_rng(list("-".join(source).encode()))
        for channel in CHANNELS:
            sound = tifffile.imread(self._image(source, channel)).astype(float)
            pixels = np.clip(np.rint(degrade(sound, rng)), 0, 65535)
            tifffile.imwrite(self._image(copy, channel), pixels.astype(np.uint16))

    def _image(self, key: SiteKey, channel: str) -> Path:
        plate = self.folder / "projects" / NAME / BATCH / "images" / key.plate
        return plate / f"{key.well}_s{key.site}_{channel}.tiff"

    def measured(self) -> "Measured":
        """What the step qc has measured on them."""
        sites = qc.judge(Project.load(self.folder), "qc").sites
        rows = {key: row for row, key in enumerate(sites.keys)}
        degraded = {
            way: {
                source: rows[copy]
                for source, copy in zip(
                    self.sources, self._copies(f"way{number}"), strict=True
                )
            }
            for number, way in enumerate(self.ways)
        }
        sound = {p: r for p, r in sites.rows_of.items() if not p.startswith("way")}
        return Measured(sites, sound, degraded)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some sites of each plate, one of them degraded."""

    sites: SiteMeasures
    degraded: frozenset[SiteKey]


@dataclass(frozen=True)
class Measured:
    """The measures of sound and of degraded sites."""

    sites: SiteMeasures
    sound: Mapping[str, NDArray[np.intp]]
    """The rows of each plate."""
    degraded: Mapping[str, Mapping[SiteKey, int]]
    """By way, the row of each site after it was degraded."""

    def batches(
        self, way: str, sites: int, *, count: int, plates: int, seed: int = 0
    ) -> Iterator[Batch]:
        """Draw batches of so many sites a plate, at random, always the same."""
        rng = np.random.default_rng(seed)
        for _ in range(count):
            yield self._batch(way, sites, plates, rng)

    def _batch(
        self, way: str, sites: int, plates: int, rng: np.random.Generator
    ) -> Batch:
        keys: list[SiteKey] = []
        rows: list[int] = []
        bad: list[SiteKey] = []
        for plate in list(self.sound)[:plates]:
            mine = [key for key in self.degraded[way] if key.plate == plate]
            worse = mine[rng.integers(len(mine))]
            others = [r for r in self.sound[plate] if self.sites.keys[r] != worse]
            drawn = rng.choice(others, sites - 1, replace=False).tolist()
            keys += [worse, *(self.sites.keys[row] for row in drawn)]
            rows += [self.degraded[way][worse], *drawn]
            bad.append(worse)
        values = {name: column[rows] for name, column in self.sites.values.items()}
        return Batch(SiteMeasures(tuple(keys), values), frozenset(bad))


@dataclass(frozen=True, slots=True)
class Mixture:
    """Plates of which most sites are degraded in one way, and the others sharp."""

    way: str
    degraded: int
    sites: int

    def __str__(self) -> str:
        return f"{self.degraded} of {self.sites} sites {self.way}"

    def batches(self, measured: "Measured", count: int) -> Iterator[Batch]:
        """Draw plates, at random, always the same."""
        rng = np.random.default_rng(0)
        worse = list(measured.degraded[self.way].values())
        sound, *_ = measured.sound.values()
        for _ in range(count):
            sharp = rng.choice(sound, self.sites, replace=False)
            rows = [*rng.choice(worse, self.degraded), *sharp[self.degraded :]]
            values = {name: v[rows] for name, v in measured.sites.values.items()}
            keys = [SiteKey("P1", f"A{number:02}", "1") for number in range(self.sites)]
            degraded = frozenset(keys[: self.degraded])
            yield Batch(SiteMeasures(tuple(keys), values), degraded)


MIXTURES = [
    Mixture(way, degraded, sites)
    for way in ("without cells", "a tenth as bright")
    for degraded, sites in ((6, 9), (9, 16), (13, 16))
]


@dataclass
class Count:
    """How many images, of one channel each, were flagged."""

    degraded: int = 0
    caught: int = 0
    sound: int = 0
    falsely: int = 0

    def add(self, batch: Batch, settings: QcSection) -> None:
        """Judge a batch, and count."""
        sites = batch.sites
        found = flags(sites, chosen(sites.measures, settings), settings)
        images = {(f.key, ImageMeasure.parse(f.measure).channel) for f in found}
        caught = sum(key in batch.degraded for key, _ in images)
        self.degraded += len(batch.degraded) * len(CHANNELS)
        self.caught += caught
        self.sound += (len(sites.keys) - len(batch.degraded)) * len(CHANNELS)
        self.falsely += len(images) - caught
