"""OME companion files: `.companion.ome`, and the `.ome.xml` of ScanR.

They list each page of each file; a `Plate` says which well an image is of. Where there
is none, as ScanR writes it, the names of the files do.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile, islice, product
from math import prod

from cpengine.errors import InputError
from cpengine.inputs.image_index.index_folder import IndexFolder
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    ImageProblem,
    IndexedImage,
    PlateIndex,
    ProblemKind,
)
from cpengine.inputs.image_index.known_names import KNOWN_NAMES
from cpengine.inputs.image_index.name_pattern import well_of
from cpengine.inputs.image_index.values import ValuePool, number, well
from cpengine.inputs.image_index.xml_stream import xml_events
from cpengine.plates import place_of, well_name

_FIELDS = ("PositionX", "PositionY", "PositionZ", "ExposureTime")
_ELEMENTS = frozenset(
    {"Plate", "Well", "WellSample", "ImageRef", "Image", "Pixels", "Channel"}
    | {"TiffData", "UUID", "Plane"}
)
_MOST_PLANES = 10**6
_IN_BRACKETS = re.compile(r"\(([A-Z]{1,2}\d{1,2})\)")
_Values = Mapping[str, str]
_Zct = tuple[int, int, int]


@dataclass
class _OmeImage:
    """An image of several planes: a site."""

    name: str
    pixels: _Values = field(default_factory=dict)
    channels: list[str] = field(default_factory=list)
    pages: list[tuple[_Zct, str, int]] = field(default_factory=list)
    """Z, C and T of a plane, its file, and the page there."""
    planes: dict[_Zct, tuple[str, ...]] = field(default_factory=dict)
    """What is said of a plane, as the fields have it."""
    file: str = ""


@dataclass
class _Place:
    """The well and the site of an image."""

    plate: str
    well: str
    site: int


@dataclass
class _OmeFile:
    """What an OME file says."""

    shown: str
    images: dict[str, _OmeImage] = field(default_factory=dict)
    plate: str = ""
    well: str = ""
    samples: dict[tuple[str, str], list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """The samples of each plate and well: their index, and their image."""
    sample: int | None = None
    current: _OmeImage = field(default_factory=lambda: _OmeImage(""))
    tiff: _Values = field(default_factory=dict)

    def begin(self, name: str, values: _Values) -> None:
        """Take in where an element begins."""
        match name:
            case "Plate":
                self.plate = values.get("Name", "")
            case "Well":
                row, column = self._numbers(values, "Row", "Column")
                self.well = well(row + 1, column + 1, self.shown)
            case "WellSample":
                self.sample = self._numbers(values, "Index")[0]
            case "ImageRef" if self.sample is not None:
                sample = self.sample, values.get("ID", "")
                self.samples[self.plate, self.well].append(sample)
            case _:
                self._begin_in_image(name, values)

    def _begin_in_image(self, name: str, values: _Values) -> None:
        match name:
            case "Image":
                self.current = _OmeImage(values.get("Name", ""))
                self.images[values.get("ID", "")] = self.current
            case "Pixels":
                self.current.pixels = dict(values)
            case "Channel":
                self.current.channels.append(values.get("Name", ""))
            case "TiffData":
                self.tiff, self.current.file = values, ""
            case "UUID":
                self.current.file = values.get("FileName", "")
            case "Plane":
                z, c, t = self._numbers(values, "TheZ", "TheC", "TheT")
                described = tuple([values.get(key, "") for key in _FIELDS])
                self.current.planes[z, c, t] = described

    def end(self, name: str) -> None:
        """Take in where an element ends."""
        if name == "TiffData":
            self.current.pages += self._pages()
        elif name == "WellSample":
            self.sample = None

    def _numbers(self, values: _Values, *names: str) -> list[int]:
        return [number(values.get(name, "0"), self.shown, name) for name in names]

    def _pages(self) -> Iterator[tuple[_Zct, str, int]]:
        """The planes that a `TiffData` is of: one page each, from its first on."""
        names = ("IFD", "FirstZ", "FirstC", "FirstT", "PlaneCount")
        page, z, c, t, count = self._numbers(self.tiff, *names)
        says_which = not {"IFD", "FirstZ", "FirstC", "FirstT"}.isdisjoint(self.tiff)
        planes: Iterable[_Zct] = [(z, c, t)]
        if count > 1 or not says_which:
            rest = dropwhile(lambda plane: plane != (z, c, t), self._order())
            planes = islice(rest, count or None)
        for offset, plane in enumerate(planes):
            yield plane, self.current.file, page + offset

    def _order(self) -> Iterator[_Zct]:
        """Z, C and T of all planes in the order in which pages follow each other."""
        pixels = self.current.pixels
        order = pixels.get("DimensionOrder", "XYZCT")[:1:-1]
        axes = order if sorted(order) == ["C", "T", "Z"] else "TCZ"
        counts = [max(n, 1) for n in self._numbers(pixels, *(f"Size{a}" for a in axes))]
        if prod(counts) > _MOST_PLANES:
            raise InputError(f"{self.shown}: has an image of {prod(counts)} planes")
        for indexes in product(*map(range, counts)):
            at = dict(zip(axes, indexes, strict=True))
            yield at["Z"], at["C"], at["T"]


def read(folder: IndexFolder) -> PlateIndex:
    """Read the images of an OME file."""
    described, pool = _OmeFile(folder.shown), ValuePool(folder.shown)
    for name, attributes, _ in xml_events(folder.pieces(), folder.shown, _ELEMENTS):
        if attributes is None:
            described.end(name)
        else:
            described.begin(name, attributes)
    found = PlateIndex(OME.title, fields=_FIELDS)
    places = _places(described)
    for name, image in described.images.items():
        site = places.get(name) or _place_by_names(image)
        if site:
            found.images += _images(folder, image, site, pool)
        else:
            found.problems += _without_well(image)
    return found


def _places(described: _OmeFile) -> dict[str, _Place]:
    """The well and site of each image; samples of a well are its sites in order."""
    return {
        image: _Place(plate, name, site)
        for (plate, name), samples in described.samples.items()
        for site, (_, image) in enumerate(sorted(samples), 1)
    }


def _place_by_names(image: _OmeImage) -> _Place | None:
    """The well and site by the name of the image's first file, and by its own."""
    files = [file for _, file, _ in image.pages[:1]]
    parts = next((p for f in files for n in KNOWN_NAMES if (p := n.parts(f))), {})
    bracketed = _IN_BRACKETS.search(image.name)
    place = bracketed and place_of(bracketed[1])
    name = well_of(parts) or (well_name(place) if place else "")
    return _Place("", name, int(parts.get("site", "1"))) if name else None


def _images(
    folder: IndexFolder, image: _OmeImage, site: _Place, pool: ValuePool
) -> Iterator[IndexedImage]:
    for (z, c, t), file, page in image.pages:
        place, there = folder.find(file)
        channel = image.channels[c] if c < len(image.channels) else ""
        described = image.planes.get((z, c, t), ("",) * len(_FIELDS))
        yield IndexedImage(
            place,
            pool[site.plate],
            site.well,
            site.site,
            ImageChannel(str(c + 1), pool[channel]),
            z + 1,
            t + 1,
            page,
            values=tuple([pool[value] for value in described]),
            there=there,
        )


def _without_well(image: _OmeImage) -> Iterator[ImageProblem]:
    cause = "is of no plate in the OME file, and its name says no well"
    for file in dict.fromkeys(file for _, file, _ in image.pages):
        yield ImageProblem(ProblemKind.UNREADABLE_NAME, file, cause)


OME = IndexFormat(
    "ome",
    "OME companion file",
    re.compile(r".*\.companion\.ome|.*\.ome\.xml", re.IGNORECASE),
    read,
)
