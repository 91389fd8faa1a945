"""CellVoyager of Yokogawa (CV7000, CV8000, CQ1): a `MeasurementData.mlf`.

Beside it are `MeasurementDetail.mrf`, which names the plate and the images by which
shading was corrected, and the settings (`.mes`), which name the channels.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cpengine.inputs.image_index.index_folder import IndexFolder
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    ImageProblem,
    IndexedImage,
    PassedOver,
    PlateIndex,
    ProblemKind,
)
from cpengine.inputs.image_index.values import ValuePool, number, well
from cpengine.inputs.image_index.xml_stream import without_prefixes, xml_events

_CORRECTION = re.compile(r"[SD]C_")
"""How the names of the shading's and the dark image begin."""
_DETAIL = "MeasurementDetail.mrf"
_COLUMNS = {"PositionX": "X", "PositionY": "Y", "PositionZ": "Z", "AbsTime": "Time"}
_COUNTED = ("Row", "Column", "FieldIndex", "TimePoint", "ZIndex")
_SETTINGS = {"MeasurementDetail", "MeasurementSamplePlate", "MeasurementChannel"}
_Values = Mapping[str, str]


@dataclass
class _Detail:
    """What the files beside the index say."""

    plate: str = ""
    settings: str = ""
    """The file of the settings."""
    shading: list[str] = field(default_factory=list)
    channels: dict[str, ImageChannel] = field(default_factory=dict)


def read(folder: IndexFolder) -> PlateIndex:
    """Read the images of a measurement."""
    detail = _detail(folder)
    found = PlateIndex(CELLVOYAGER.title, fields=tuple(_COLUMNS))
    pool = ValuePool(folder.shown)
    for values, name in _records(folder):
        if values.get("Type", "IMG") == "IMG":
            found.images.append(_image(folder, detail, values, name, pool))
        else:
            found.problems.append(_not_acquired(folder, values, name))
    shading = {folder.find(name)[0] for name in detail.shading}
    for place in folder.images:
        if place in shading or _CORRECTION.match(posixpath.basename(place)):
            found.passed_over.append(PassedOver(place, "shading correction"))
    return found


def _records(folder: IndexFolder) -> Iterator[tuple[_Values, str]]:
    """What is said of each image, and its file."""
    values: _Values = {}
    pieces, names = folder.pieces(), {"MeasurementRecord"}
    for _, attributes, text in xml_events(pieces, folder.shown, names):
        if attributes is None:
            yield values, text
        else:
            values = without_prefixes(attributes)


def _image(
    folder: IndexFolder, detail: _Detail, values: _Values, name: str, pool: ValuePool
) -> IndexedImage:
    row, column, site, timepoint, plane = (
        number(values.get(key, "1"), folder.shown, key) for key in _COUNTED
    )
    place, there = folder.find(name)
    channel = values.get("Ch", "1")
    return IndexedImage(
        place,
        detail.plate,
        well(row, column, folder.shown),
        site,
        detail.channels.get(channel) or ImageChannel(channel),
        plane,
        timepoint,
        values=tuple([pool[values.get(key, "")] for key in _COLUMNS.values()]),
        there=there,
    )


def _not_acquired(folder: IndexFolder, values: _Values, text: str) -> ImageProblem:
    row, column = (
        number(values.get(key, "1"), folder.shown, key) for key in _COUNTED[:2]
    )
    place = f"{folder.shown}: {well(row, column, folder.shown)}"
    cause = f"the instrument has noted {text or values['Type']!r}, and no image"
    return ImageProblem(ProblemKind.NOT_ACQUIRED, place, cause)


def _detail(folder: IndexFolder) -> _Detail:
    """What the files beside the index say; without them channels have numbers."""
    detail = _Detail()
    if folder.has(_DETAIL):
        shown = f"{folder.shown} ({_DETAIL})"
        for name, raw, _ in xml_events(folder.pieces(_DETAIL), shown, _SETTINGS):
            _note(detail, name, without_prefixes(raw or {}))
    settings = [detail.settings] if folder.has(detail.settings) else []
    for name in (settings or folder.beside(".mes"))[:1]:
        detail.channels = _channels(folder, name)
    return detail


def _note(detail: _Detail, name: str, values: _Values) -> None:
    if name == "MeasurementDetail" and values:
        detail.plate = detail.plate or values.get("Title", "")
        detail.settings = values.get("MeasurementSettingFileName", "")
    elif name == "MeasurementSamplePlate" and values.get("Name"):
        detail.plate = values["Name"]
    elif shading := values.get("ShadingCorrectionSource"):
        detail.shading.append(shading)


def _channels(folder: IndexFolder, settings: str) -> dict[str, ImageChannel]:
    """The channels by number: called after the fluorophore, or else the laser."""
    shown = f"{folder.shown} ({settings})"
    found: dict[str, str] = {}
    for _, raw, _ in xml_events(folder.pieces(settings), shown, {"Channel"}):
        values = without_prefixes(raw or {})
        if "Ch" in values:
            name = values.get("Fluorophore") or values.get("Target") or ""
            found[values["Ch"]] = name
    times = Counter(found.values())
    return {
        channel: ImageChannel(channel, name if times[name] == 1 else "")
        for channel, name in found.items()
    }


CELLVOYAGER = IndexFormat(
    "cellvoyager",
    "Yokogawa CellVoyager",
    re.compile(r"MeasurementData\.mlf", re.IGNORECASE),
    read,
)
