"""IN Cell Analyzer of Cytiva and GE Healthcare: an `.xdce`."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cpengine.inputs.image_index.index_folder import IndexFolder
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    IndexedImage,
    PassedOver,
    PlateIndex,
)
from cpengine.inputs.image_index.values import ValuePool, number, well
from cpengine.inputs.image_index.xml_stream import xml_events

_FIELDS = ("PositionX", "PositionY", "PositionZ", "ExposureTime")
_CHANNELS = {"Wavelength", "ExcitationFilter", "EmissionFilter"}
_OF_IMAGE = {"Row", "Column", "Identifier", "FocusPosition", "Exposure"}
_ELEMENTS = frozenset({*_CHANNELS, *_OF_IMAGE, "Image", "offset_point"})
_Values = Mapping[str, str]


@dataclass
class _Protocol:
    """What an `.xdce` says before its images."""

    filters: list[dict[str, str]] = field(default_factory=list)
    """Of each wavelength, which filters are in the light's way."""
    positions: list[tuple[str, str]] = field(default_factory=list)
    """Where each field lies in the well."""

    def note(self, name: str, values: _Values) -> None:
        """Take in an element."""
        if name == "Wavelength":
            self.filters.append({})
        elif name in _CHANNELS and self.filters:
            self.filters[-1][name] = values.get("name", "")
        elif name == "offset_point":
            self.positions.append((values.get("x", ""), values.get("y", "")))

    def channel(self, wave: int) -> ImageChannel:
        """The channel of a wavelength (from 0), after its filters."""
        filters = self.filters[wave] if wave < len(self.filters) else {}
        emission = filters.get("EmissionFilter", "")
        name = emission
        if [f.get("EmissionFilter") for f in self.filters].count(emission) > 1:
            name = f"{filters.get('ExcitationFilter', '')} - {emission}"
        return ImageChannel(str(wave + 1), name)

    def position(self, site: int) -> tuple[str, str]:
        """Where a field (from 0) lies; empty where that is not described."""
        return self.positions[site] if site < len(self.positions) else ("", "")


def read(folder: IndexFolder) -> PlateIndex:
    """Read the images of a plate, which has the name of the file."""
    found = PlateIndex(INCELL.title, fields=_FIELDS)
    plate = posixpath.splitext(posixpath.basename(folder.index))[0]
    pool, protocol = ValuePool(folder.shown), _Protocol()
    for values in _images(folder, protocol):
        found.images.append(_image(folder, plate, protocol, values, pool))
        place, there = folder.find(values.get("Image.thumbnail", ""))
        if there:
            found.passed_over.append(PassedOver(place, "thumbnail"))
    return found


def _images(folder: IndexFolder, protocol: _Protocol) -> Iterator[_Values]:
    """The values of each image, by element and attribute: `Identifier.z_index`."""
    values: dict[str, str] | None = None
    for name, attributes, _ in xml_events(folder.pieces(), folder.shown, _ELEMENTS):
        if name == "Image":
            if attributes is None:
                yield values or {}
            values = None if attributes is None else _named(name, attributes)
        elif attributes is not None and values is None:
            protocol.note(name, attributes)
        elif attributes is not None and values is not None:
            values |= _named(name, attributes)


def _named(name: str, attributes: _Values) -> dict[str, str]:
    return {f"{name}.{key}": value for key, value in attributes.items()}


def _image(
    folder: IndexFolder,
    plate: str,
    protocol: _Protocol,
    values: _Values,
    pool: ValuePool,
) -> IndexedImage:
    row, column = (
        number(values.get(key, ""), folder.shown, key)
        for key in ("Row.number", "Column.number")
    )
    site, timepoint, plane, wave = (
        number(values.get(f"Identifier.{key}", "0"), folder.shown, key)
        for key in ("field_index", "time_index", "z_index", "wave_index")
    )
    place, there = folder.find(values.get("Image.filename", ""))
    depth = values.get("FocusPosition.z", "")
    described = (*protocol.position(site), depth, values.get("Exposure.time", ""))
    return IndexedImage(
        place,
        plate,
        well(row, column, folder.shown),
        site + 1,
        protocol.channel(wave),
        plane + 1,
        timepoint + 1,
        values=tuple([pool[value] for value in described]),
        there=there,
    )


INCELL = IndexFormat(
    "incell",
    "Cytiva IN Cell Analyzer",
    re.compile(r".+\.xdce", re.IGNORECASE),
    read,
)
