"""LoadData tables of image sets. Pure, but for `write_tables`."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cpengine.config.steps import LOAD_DATA, UNPROJECTED
from cpengine.errors import InputError
from cpengine.inputs.image_index.image_sets import PlateImageSets, SetKey
from cpengine.inputs.image_index.indexed_image import IndexedImage
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_images import FILE, PAGES, PATH
from cpengine.plates import PLATE, SITE, WELL, place_of
from cpengine.storage.store import Storage

_METADATA = "Metadata_"
_PLANE, _TIMEPOINT = "PlaneID", "TimepointID"


class TableState(StrEnum):
    """What became of a table, or would."""

    NEW = "new"
    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True)
class MadeTable:
    """A table of a plate, and its name in the plate's folder."""

    plate: str
    name: str
    table: Table

    def key(self, folder: str) -> str:
        """Its key, in the folder that has a folder a plate."""
        return posixpath.join(folder, self.plate, self.name)


def make_tables(top: str, plates: Iterable[PlateImageSets]) -> list[MadeTable]:
    """A table for each plate that has image sets.

    That of a plate with several planes is the unprojected one, for the zproj step.

    Parameters
    ----------
    top
        The path or address of the folder that the images are below.
    """
    return [_Columns(top, plate).table() for plate in plates if plate.sets]


_Column = tuple[str, int | None, str]
"""A metadata column: its name, which value of the image it is (None for the plane or
the timepoint), and the image name (empty where all have the same)."""


class _Columns:
    """The columns of a plate's table, and its rows."""

    def __init__(self, top: str, plate: PlateImageSets) -> None:
        self._top = top
        self._plate = plate
        self._has_pages = any(i.page for s in plate.sets.values() for i in s.values())
        self._metadata = list(_metadata(plate))

    def table(self) -> MadeTable:
        """The table, its rows by well, site, timepoint and plane."""
        name = UNPROJECTED if self._plate.steps[1] else LOAD_DATA
        metadata = (f"{_METADATA}{name}" for name, _, _ in self._metadata)
        header = (*self._image_columns(), PLATE, WELL, SITE, *metadata)
        rows = tuple(map(self._row, sorted(self._plate.sets, key=_order)))
        table = Table(name, header, rows, tuple(range(2, len(rows) + 2)))
        return MadeTable(self._plate.plate, name, table)

    def _image_columns(self) -> Iterator[str]:
        for name in self._plate.names:
            yield from (f"{FILE}{name}", f"{PATH}{name}")
            if self._has_pages:
                yield from (f"{prefix}{name}" for prefix in PAGES)

    def _row(self, key: SetKey) -> tuple[str, ...]:
        images, names = self._plate.sets[key], self._plate.names
        well, site, timepoint, plane = key
        steps = {_PLANE: str(plane), _TIMEPOINT: str(timepoint)}
        cells = [cell for name in names for cell in self._place(images[name])]
        cells += (self._plate.plate, well, str(site))
        for name, number, image in self._metadata:
            values = images[image or names[0]].values
            cells.append(steps[name] if number is None else values[number])
        return tuple(cells)

    def _place(self, image: IndexedImage) -> Iterator[str]:
        folder, name = posixpath.split(image.place)
        yield from (name, posixpath.join(self._top, folder) if folder else self._top)
        if self._has_pages:
            yield from ("0", str(image.page))


def _order(key: SetKey) -> tuple[object, ...]:
    well, *rest = key
    return (place_of(well) or (10**9, 0), well, *rest)


def _metadata(plate: PlateImageSets) -> Iterator[_Column]:
    """The metadata columns, but for plate, well and site."""
    for name, several in zip((_TIMEPOINT, _PLANE), plate.steps, strict=True):
        if several and name not in plate.fields:
            yield name, None, ""
    differ, filled = _differing(plate)
    for number, field in enumerate(plate.fields):
        if number in differ:
            yield from ((f"{field}_{name}", number, name) for name in plate.names)
        elif number in filled:
            yield field, number, ""


def _differing(plate: PlateImageSets) -> tuple[set[int], set[int]]:
    """Which values differ between the images of a set, and which are there at all."""
    differ: set[int] = set()
    filled: set[int] = set()
    for images in plate.sets.values():
        first, *others = (images[name].values for name in plate.names)
        filled.update(number for number, value in enumerate(first) if value)
        for values in others:
            pairs = enumerate(zip(first, values, strict=True))
            differ.update(number for number, (a, b) in pairs if a != b)
    return differ, filled


def table_states(
    storage: Storage, folder: str, tables: Sequence[MadeTable]
) -> Mapping[str, TableState]:
    """What writing each table would do, by its key."""
    states: dict[str, TableState] = {}
    for made in tables:
        there = storage.read_if_there(key := made.key(folder))
        if there is None:
            states[key] = TableState.NEW
        else:
            is_same = there == made.table.to_csv().encode()
            states[key] = TableState.SAME if is_same else TableState.DIFFERENT
    return states


def check_replaceable(storage: Storage, states: Mapping[str, TableState]) -> None:
    """Refuse to replace tables, which may be the user's.

    Raises
    ------
    InputError
        One is there that differs.
    """
    others = [key for key, state in states.items() if state is TableState.DIFFERENT]
    if others:
        raise InputError(
            *(
                f"{storage.url(key)}: is there already, with other rows or columns: "
                "remove it, or give --force to replace it"
                for key in others
            )
        )


def write_tables(
    storage: Storage,
    folder: str,
    tables: Iterable[MadeTable],
    states: Mapping[str, TableState],
) -> None:
    """Write tables into a folder a plate, but for those that are there just so.

    Parameters
    ----------
    folder
        The key of the folder that has a folder a plate.
    states
        What `table_states` gave.
    """
    for made in tables:
        if states[key := made.key(folder)] is not TableState.SAME:
            storage.write(key, made.table.to_csv().encode())
