"""One data file, made ready once for all jobs that it lists."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import TypeVar

from cpengine import rules
from cpengine.errors import InputError
from cpengine.group_names import UNFIT, Group
from cpengine.inputs import table_groups
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_images import ImageFile, image_files
from cpengine.planning import fingerprint
from cpengine.plates import PLATE

T = TypeVar("T")

_ALL = "all"
"""What the job of a table is called that names no plate, or several."""


@dataclass(frozen=True)
class GroupedTable:
    """The image sets of a data file, by group and with their image numbers."""

    table: Table
    groups: dict[Group, list[int]]
    """The rows of each group, from 0."""
    numbers: Sequence[int]
    """The ImageNumber of each row."""
    whole: bool = False
    """Whether its one group is all of it, because the pipeline does not group."""
    mixed: bool = False
    """Whether that group's value is but a name, of several plates or of none."""
    listed: bool = False
    """Whether it is a list of files: CellProfiler alone finds those of a group in it,
    so that each group has all of them."""

    @classmethod
    def of_list(cls, table: Table, groups: Iterable[Group]) -> "GroupedTable":
        """A list of files, with groups that others name."""
        rows = list(range(len(table.rows)))
        return cls(table, dict.fromkeys(groups, rows), rows, listed=True)

    @classmethod
    def of(
        cls, table: Table, group_keys: Sequence[str], pipeline_keys: Sequence[str]
    ) -> "GroupedTable":
        """Make a sheet for groups by these columns.

        Parameters
        ----------
        pipeline_keys
            The columns by which the pipeline groups, which order image numbers.

        Raises
        ------
        InputError
            A column is missing, or a value cannot name a group.
        """
        groups = table_groups.groups(table, group_keys)
        same = tuple(group_keys) == tuple(pipeline_keys)
        ordered = groups if same else table_groups.groups(table, pipeline_keys)
        numbers = table_groups.image_numbers(table, ordered)
        # Rows without any value are image sets that have a number and no job.
        named = {g: rows for g, rows in groups.items() if all(v for _, v in g)}
        return cls(table, named, numbers)

    @classmethod
    def whole_of(
        cls, table: Table, group: Group, *, mixed: bool = False
    ) -> "GroupedTable":
        """All image sets as one group, numbered in the order of the file."""
        numbers = table.lines if table.typed else range(1, len(table.rows) + 1)
        rows = list(range(len(table.rows)))
        return cls(table, {group: rows}, list(numbers), whole=True, mixed=mixed)

    def fingerprint(self, group: Group) -> str:
        """The part of a job's fingerprint that stands for its image sets."""
        return self._of_list if self.listed else self._of_rows(self.groups[group])

    def _of_rows(self, rows: Sequence[int]) -> str:
        return fingerprint.of_image_sets(self.table, rows, self.numbers)

    @cached_property
    def _of_list(self) -> str:
        return self._of_rows(self.numbers)

    def of_each(
        self, groups: Sequence[Group], read: Callable[[Sequence[int]], T]
    ) -> Iterator[T]:
        """What `read` gives of the rows of each group; asked once, if all have all."""
        if self.listed:
            return repeat(read(self.numbers), len(groups))
        return (read(self.groups[group]) for group in groups)

    def image_sets(self, group: Group) -> int:
        """How many a group has; 0 if that is not known."""
        return 0 if self.listed else len(self.groups[group])

    def files(self, group: Group) -> dict[int, list[ImageFile]]:
        """The images of a group, by row."""
        rows = self.groups.get(group, ())
        return {row: list(image_files(self.table, row)) for row in rows}

    def is_shared(self, file: ImageFile) -> bool:
        """Whether other groups have this file, too, as illumination functions are."""
        return self.listed or self._uses[file.folder, file.name] > 1

    @cached_property
    def _uses(self) -> Counter[tuple[str, str]]:
        """How many groups each file is in."""
        uses: Counter[tuple[str, str]] = Counter()
        for group in self.groups:
            files = {f for of_row in self.files(group).values() for f in of_row}
            uses.update({(file.folder, file.name) for file in files})
        return uses


def ungrouped(table: Table, keys: Sequence[str], folder: str) -> GroupedTable:
    """The table of a pipeline that does not group: as a whole, if that is one group.

    Parameters
    ----------
    keys
        The step's columns; if none, the job is called by the table's plate.
    folder
        The folder that names a table of no plate or several.

    Raises
    ------
    InputError
        A column is missing, a value cannot name a group, or a row is empty.
    """
    if blank := [row for row, values in enumerate(table.rows) if not any(values)]:
        raise InputError(
            rules.CSV_EMPTY_CELL.found(
                table.where(blank[0]),
                "has nothing but commas, and is in the job of the whole table",
                "remove the row",
            )
        )
    if not keys:
        values = table.values(PLATE) if PLATE in table.names else ()
        plates = list(dict.fromkeys(filter(None, values)))
        if len(plates) == 1 and not UNFIT.search(plates[0]):
            return GroupedTable.whole_of(table, ((PLATE, plates[0]),))
        name = _ALL if UNFIT.search(folder) else folder
        return GroupedTable.whole_of(table, ((PLATE, name),), mixed=True)
    grouped = GroupedTable.of(table, keys, keys)
    if len(grouped.groups) == 1:
        return GroupedTable.whole_of(table, *grouped.groups)
    return grouped
