"""Harmony of PerkinElmer and Revvity (Operetta, Opera Phenix): an `Index.xml`.

Versions differ in where they say what all images of a channel share: V1 to V5 in each
image, V6 and V7 once, in the entry of the channel.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

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
from cpengine.inputs.image_index.values import ValuePool, number, well
from cpengine.inputs.image_index.xml_stream import xml_events

FIELDS = (
    *("Row", "Col", "FieldID", "PlaneID", "ChannelID", "ChannelName"),
    *("ImageResolutionX", "ImageResolutionY", "ImageSizeX", "ImageSizeY"),
    *("BinningX", "BinningY", "MaxIntensity", "PositionX", "PositionY", "PositionZ"),
    *("AbsPositionZ", "AbsTime", "MainExcitationWavelength", "MainEmissionWavelength"),
    *("ObjectiveMagnification", "ObjectiveNA", "ExposureTime"),
)
"""What becomes metadata, as pe2loaddata advises."""
_PLACE = ("URL", "State", "TimepointID")
_PLATE = ("PlateID", "Name")
_RECORDS = frozenset({"Plate", "Image", "Entry"})
_TEXTS = frozenset({*FIELDS, *_PLACE, *_PLATE})
_Values = dict[str, str]


def read(folder: IndexFolder) -> PlateIndex:
    """Read the images of a measurement."""
    found = PlateIndex(HARMONY.title, fields=FIELDS)
    plate: _Values = {}
    of_channel: Mapping[str, _Values] = defaultdict(dict)
    pool = ValuePool(folder.shown)
    for kind, values in _records(folder):
        if kind == "Plate":
            _check_single(folder, plate, values)
            plate = values
        elif kind == "Entry":
            of_channel[values.get("ChannelID", "")].update(values)
        else:
            image = of_channel.get(values.get("ChannelID", ""), {}) | values
            found.images.append(_image(folder, _name(plate), image, pool))
            if image.get("State", "Ok") != "Ok":
                found.problems.append(_not_acquired(found.images[-1], image["State"]))
    return found


def _records(folder: IndexFolder) -> Iterator[tuple[str, _Values]]:
    """The plates, the channels' entries, and the images, each with what it says."""
    values: _Values = {}
    events = xml_events(folder.pieces(), folder.shown, _RECORDS, _TEXTS)
    for name, attributes, text in events:
        if attributes is not None:
            values = {} if name == "Image" and "id" in attributes else dict(attributes)
        elif name not in _RECORDS:
            values[name] = text
        elif values:
            yield name, values
            values = {}


def _check_single(folder: IndexFolder, before: _Values, plate: _Values) -> None:
    if before:
        raise InputError(
            f"{folder.shown}: has plates {_name(before)} and {_name(plate)}, and does "
            "not say whose images are whose: export one plate at a time"
        )


def _name(plate: _Values) -> str:
    return plate.get("Name") or plate.get("PlateID") or ""


def _image(
    folder: IndexFolder, plate: str, values: _Values, pool: _Values
) -> IndexedImage:
    numbers = (
        number(values.get(name, "1"), folder.shown, name)
        for name in ("Row", "Col", "FieldID", "TimepointID", "PlaneID")
    )
    row, column, site, timepoint, plane = numbers
    place, there = folder.find(values.get("URL", ""))
    channel = ImageChannel(values.get("ChannelID", ""), values.get("ChannelName", ""))
    return IndexedImage(
        place,
        plate,
        well(row, column, folder.shown),
        site,
        channel,
        plane,
        timepoint,
        values=tuple([pool[values.get(name, "")] for name in FIELDS]),
        there=there,
    )


def _not_acquired(image: IndexedImage, state: str) -> ImageProblem:
    cause = f"is marked {state!r} by the instrument"
    return ImageProblem(ProblemKind.NOT_ACQUIRED, image.place, cause)


HARMONY = IndexFormat(
    "harmony",
    "PerkinElmer/Revvity Harmony",
    re.compile(r"Index(\.idx|\.ref)?\.xml", re.IGNORECASE),
    read,
    is_single=True,
)
