"""The folders that made tables name: where steps put a plate's results today. Pure."""

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cpengine.config.steps import WITH_ILLUM
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_images import PATH, is_whole
from cpengine.output_structure import fault_of, place_of
from cpengine.planning.derive import channels, plates
from cpengine.plates import PLATE
from cpengine.storage.roots import BUCKET, Places


@dataclass(frozen=True)
class TablePlaces:
    """Gives the folders that a table is to name, and compares those that it names."""

    places: Places
    results_of: Callable[[str], tuple[tuple[str, ...], str, str]]
    """By what a step groups, its output, and how results are laid out there."""

    def key(self, step: str, plate: str) -> str:
        """The key of the folder where a step puts the results of a plate.

        A structure that names more than plates has no such folder: then it is the one
        that the handbook has.
        """
        _, output, structure = self.results_of(step)
        by_plate = structure and not fault_of(structure, (PLATE,))
        folder = place_of(structure, ((PLATE, plate),)) if by_plate else plate
        return posixpath.join(output, folder)

    def as_in(self, table: Table, step: str, plate: str) -> str:
        """That folder as the table writes its own: below DCP's mount, or as it is.

        Below the mount also beside relative ones, so that none names the root.
        """
        paths = (image.path for image in table.image_columns if image.path)
        named = (table.rows[0][table.index[path]] for path in paths)
        key = self.key(step, plate)
        if any(map(_names_no_root, named)) and not is_whole(key):
            return f"{BUCKET}/{key}"
        return self.places.outputs.url(key)

    def names_others(self, table_name: str, table: Table) -> bool:
        """Whether a table that was made names other folders than it would today."""
        if PLATE not in table.names:  # it is the user's
            return False
        step = "illum" if table_name == WITH_ILLUM else "zproj"
        of_row = plates(table)
        named = {
            pair
            for column in _made_columns(table_name, table)
            for pair in zip(of_row, table.column(column), strict=True)
        }
        return any(
            place != self.as_in(table, step, plate)
            and self.places.key(place) != self.places.key(self.key(step, plate))
            for plate, place in named
            if plate
        )


def _made_columns(table_name: str, table: Table) -> Iterator[str]:
    """The columns of folders that cpengine fills in a table of that name."""
    if table_name == WITH_ILLUM:
        names = [f"{PATH}Illum{channel}" for channel in channels(table).values()]
        yield from (name for name in names if name in table.index)
    else:
        yield from (image.path for image in table.image_columns if image.path)


def _names_no_root(place: str) -> bool:
    """Whether a folder is below DCP's mount, or relative."""
    return place.startswith(BUCKET) or bool(place and not is_whole(place))
