"""Folders of images: which instrument wrote them, image sets, LoadData tables.

`index_images` is all of it in one call; nothing is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from posixpath import join
from typing import Any

from cpengine.inputs.cut_images import cut_off
from cpengine.inputs.image_index.file_pages import (
    Pages,
    several_pages,
    split_pages,
)
from cpengine.inputs.image_index.image_sets import (
    PlateImageSets,
    doubtful_plates,
    plates_of,
)
from cpengine.inputs.image_index.image_tables import (
    MadeTable,
    TableState,
    check_replaceable,
    make_tables,
    table_states,
    write_tables,
)
from cpengine.inputs.image_index.indexed_image import ImageProblem, PassedOver
from cpengine.inputs.image_index.name_pattern import user_pattern
from cpengine.inputs.image_index.recognise import recognise
from cpengine.inputs.image_index.set_faults import leave_out_faulty
from cpengine.storage.store import Storage

__all__ = [
    "ImageProblem",
    "ImagesOfPlates",
    "MadeTable",
    "Pages",
    "PlateImageSets",
    "TableState",
    "check_replaceable",
    "index_images",
    "table_states",
    "write_tables",
]


@dataclass(frozen=True)
class ImagesOfPlates:
    """What was found in a folder of images."""

    top: str
    plates: list[PlateImageSets]
    problems: list[ImageProblem]
    """What is wrong, all that there is."""
    passed_over: list[PassedOver]
    notes: list[str]

    @cached_property
    def tables(self) -> list[MadeTable]:
        """A LoadData table for each plate."""
        return make_tables(self.top, self.plates)

    @property
    def faults(self) -> list[ImageProblem]:
        """The problems for which image sets are left out, or are missing."""
        return [problem for problem in self.problems if not problem.is_note]

    def to_json(self) -> dict[str, Any]:
        """What was found as JSON, without the tables' rows."""
        return {
            "folder": self.top,
            "plates": [plate.to_json() for plate in self.plates],
            "problems": [problem.to_json() for problem in self.problems],
            "left_out": [
                {"place": entry.place, "cause": entry.cause}
                for entry in self.passed_over
            ],
            "notes": self.notes,
        }


def index_images(
    storage: Storage,
    top: str,
    *,
    pattern: str | None = None,
    pages: Pages | None = None,
    channels: Mapping[str, str] | None = None,
    plates: Mapping[str, str] | None = None,
) -> ImagesOfPlates:
    """Find the images below a folder, and put them together to image sets.

    Parameters
    ----------
    storage
        Opens the folder.
    top
        Its path or address.
    pattern
        How files are named; if None, indexes and known namings are tried.
    pages
        What the pages of files are; if None, files of several pages are a problem.
    channels
        Image names by channel; channels that are not in it are not taken. If None or
        empty, all are, and are called after the index.
    plates
        Other names for plates; with the key "" for the only one.

    Raises
    ------
    ConfigError
        The pattern or a mapping is wrong.
    InputError
        There is no image that can be read, or an index is damaged.
    """
    named = None if pattern is None else user_pattern(pattern)
    folder = recognise(storage, top, named)
    problems = list(folder.problems)
    for index in folder.indexes:
        if pages is None:
            problems += several_pages(storage, folder.top, index.images)
        else:
            index.images = split_pages(storage, folder.top, index.images, pages)
    found = plates_of(folder, channels or {}, plates or {})
    notes = [*folder.notes, *doubtful_plates(found)]
    for plate in found:
        leave_out_faulty(plate, folder.sizes, partial(_cut_off, storage, folder.top))
        problems += plate.problems
    passed_over = list(folder.passed_over)
    return ImagesOfPlates(folder.top, found, problems, passed_over, notes)


def _cut_off(storage: Storage, top: str, places: Iterable[str]) -> set[str]:
    """Which files below a folder end before their data."""
    by_key = {join(top, place): place for place in places}
    return {by_key[key] for key in cut_off(storage, by_key)}
