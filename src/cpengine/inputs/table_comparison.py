"""What a table has otherwise than the one of which it could be made. Pure."""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_groups import sites
from cpengine.inputs.table_images import ImageColumns, image_file

_METADATA = "Metadata_"


@dataclass(frozen=True)
class TableComparison:
    """A table and its source, or what would be made of that."""

    table: Table
    source: Table
    comparable: Callable[[str], str]
    """Gives the same for folders that are one, however they are written."""

    def other_sites(self) -> str:
        """How the sites differ, if they do."""
        mine, theirs = map(set, self._sites)
        lacking, more = len(theirs - mine), len(mine - theirs)
        parts = [
            *([f"without {lacking} of its {len(theirs)}"] if lacking else []),
            *([f"with {more} more"] if more else []),
        ]
        how = " and ".join(parts)
        return f"lists other sites than {self._name} ({how})" if parts else ""

    def lacking_image(self) -> str:
        """An image that the source has and the table lacks, if there is one."""
        lacking = (name for name in self.source.images if name not in self.table.images)
        return next((f"has no {name}, unlike {self._name}" for name in lacking), "")

    def other_values(self) -> str:
        """What both have with other values at a site of both, if there is anything."""
        others = chain(self._other_images(), self._other_metadata())
        return next((f"{other} than {self._name}" for other in others), "")

    @property
    def _name(self) -> str:
        return posixpath.basename(self.source.path)

    @cached_property
    def _sites(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        return sites(self.table), sites(self.source)

    @cached_property
    def _of_same_sites(self) -> bool:
        """Whether rows are of the same sites in the same order, as in most tables."""
        mine, theirs = self._sites
        return mine == theirs

    @cached_property
    def _common(self) -> set[tuple[str, ...]]:
        mine, theirs = self._sites
        return set(mine) & set(theirs)

    def _other_images(self) -> Iterator[str]:
        for image, theirs in self.source.images.items():
            mine = self.table.images.get(image)
            if mine is None or (mine == theirs and self._are_equal(mine)):
                continue
            pair = self._files(self.table, mine), self._files(self.source, theirs)
            for what, part in (("files", 1), ("folders", 0)):
                columns = ([file[part] for file in files] for files in pair)
                if self._differ(*columns):
                    yield f"names other {what} for {image}"

    def _other_metadata(self) -> Iterator[str]:
        for name in self.source.names:
            if name.startswith(_METADATA) and name in self.table.names:
                texts, values = (
                    (read(self.table, name), read(self.source, name))
                    for read in (Table.column, Table.values)
                )
                # A value's type depends on all others, which may be of other sites.
                if self._differ(*texts) and self._differ(*values):
                    yield f"has other values of {name}"

    def _are_equal(self, image: ImageColumns) -> bool:
        """Whether the columns of an image are the same text for text."""
        names = filter(None, (image.file, image.path, image.url))
        return self._of_same_sites and all(
            self.table.column(name) == self.source.column(name) for name in names
        )

    def _files(self, table: Table, image: ImageColumns) -> list[tuple[str, str]]:
        """The folder and name of an image in each row."""
        files = (image_file(table, row, image) for row in range(len(table.rows)))
        found = [(file.folder, file.name) for file in files]
        known = {folder: self.comparable(folder) for folder in dict(found)}
        return [(known[folder], name) for folder, name in found]

    def _differ(self, mine: Sequence[str], theirs: Sequence[str]) -> bool:
        """Whether two columns have other values at the sites that both tables have."""
        if self._of_same_sites and mine == theirs:
            return False
        first, second = (
            {
                pair
                for pair in zip(of_row, column, strict=True)
                if pair[0] in self._common
            }
            for of_row, column in zip(self._sites, (mine, theirs), strict=True)
        )
        return first != second
