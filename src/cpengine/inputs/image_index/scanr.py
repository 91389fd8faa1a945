"""ScanR of Olympus and Evident: an `experiment_descriptor.xml`, and names of files.

The names say all but the plate; where they have a well's number alone, the descriptor
says which well it is. Newer versions write an OME file beside the images, too, which
is read in place of the descriptor.
"""

import re
from dataclasses import dataclass, field

from cpengine.inputs.image_index.file_names import read_names
from cpengine.inputs.image_index.index_folder import IndexFolder
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.indexed_image import (
    ImageProblem,
    PlateIndex,
    ProblemKind,
)
from cpengine.inputs.image_index.known_names import SCANR_NAMES
from cpengine.inputs.image_index.values import ValuePool
from cpengine.inputs.image_index.xml_stream import xml_events
from cpengine.plates import place_of, well_name

_NUMBER = re.compile(r"W(\d{4,})")
_TABLE = "well selection table + cDNA"


@dataclass
class _Descriptor:
    """What the descriptor says of the plate."""

    plate: str = ""
    columns: int = 0
    labels: dict[int, str] = field(default_factory=dict)
    """The wells that were selected, by number."""
    number: int = 0
    """The number that the next label is of."""

    def note(self, key: str, value: str) -> None:
        """Take in a value that has a name."""
        if key == "plate name":
            self.plate = self.plate or value
        elif key == "Columns" and value.isdigit():
            self.columns = self.columns or int(value)
        elif key == _TABLE and value.isdigit():
            self.number = int(value)
        elif key == _TABLE and (place := place_of(value)):
            self.labels[self.number] = well_name(place)

    def well(self, well: str) -> str:
        """A well by the number that its name is, as far as the descriptor says it."""
        found = _NUMBER.fullmatch(well)
        if not found:
            return well
        number = int(found[1])
        if number in self.labels or not (self.columns and 0 < number < 10_000):
            return self.labels.get(number, well)
        row, column = divmod(number - 1, self.columns)
        return well_name((row, column))


def read(folder: IndexFolder) -> PlateIndex:
    """Read the images of an acquisition."""
    descriptor = _descriptor(folder)
    found = PlateIndex(SCANR.title, lists_all=False)
    for index in read_names(
        folder.top, folder.images, (SCANR_NAMES,), lambda *_: descriptor.plate
    ):
        found.passed_over += index.passed_over
        for image in index.images:
            found.images.append(image._replace(well=descriptor.well(image.well)))
    there = {image.well for image in found.images}
    for well in descriptor.labels.values() if there else ():
        if well not in there:
            place = f"{folder.shown}: {well}"
            found.problems.append(
                ImageProblem(ProblemKind.NO_IMAGES, place, "has no image")
            )
    return found


def _descriptor(folder: IndexFolder) -> _Descriptor:
    """Read the descriptor: a LabVIEW tree of names and values in no said encoding."""
    descriptor, pool, key = _Descriptor(), ValuePool(folder.shown), ""
    texts, encoding = {"Name", "Val"}, "iso-8859-1"
    for name, _, text in xml_events(
        folder.pieces(), folder.shown, texts=texts, encoding=encoding
    ):
        if name == "Name":
            key = text
        elif text:
            descriptor.note(key, pool[text])
    return descriptor


SCANR = IndexFormat(
    "scanr",
    "Olympus/Evident ScanR",
    re.compile(r"experiment_descriptor\.xml", re.IGNORECASE),
    read,
)
