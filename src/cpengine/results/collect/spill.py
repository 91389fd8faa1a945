"""A plate's rows on the scratch disk, as they are read: a file a table and batch."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cpengine.results.collect.arrow import ipc, pa
from cpengine.results.collect.kinds import ColumnKind, is_mixed, kind_of

JOB = "_job"
"""The column, kept here alone, that says which of the plate's jobs a row is from."""


class Spill:
    """Tables of one plate, batch by batch, and what is known of all their rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[str, list[int]] = defaultdict(list)
        self.kinds: dict[str, dict[str, ColumnKind]] = {}
        """By table, what each of its columns holds."""
        self.mixed: dict[str, set[str]] = defaultdict(set)
        """By table, columns that hold numbers in some rows and text in others."""
        self.rows: dict[str, int] = defaultdict(int)
        """By table, how many rows its CSVs have, as `csvs.read` counts them."""
        self.headers: dict[str, dict[str, list[int]]] = {}
        """By table, the plate's jobs whose CSV begins with each line."""

    def learn(self, name: str, pieces: Sequence[Any], rows: int) -> None:
        """Take in what a batch's rows of one table hold.

        Parameters
        ----------
        pieces
            Arrow tables that may differ in columns and types.
        """
        kinds = self.kinds.setdefault(name, {})
        for piece in pieces:
            for column in piece.column_names:
                kind, before = (
                    kind_of(piece[column]),
                    kinds.get(column, ColumnKind.NOTHING),
                )
                kinds[column] = before.with_other(kind)
                other = ColumnKind.NOTHING not in (kind, before) and (
                    (kind is ColumnKind.TEXT) != (before is ColumnKind.TEXT)
                )
                if other or (kind is ColumnKind.TEXT and is_mixed(piece[column])):
                    self.mixed[name].add(column)
        self.rows[name] += rows

    def put(self, name: str, batch: int, table: Any) -> None:
        """Keep a batch's rows of one table."""
        self._batches[name].append(batch)
        with (
            pa.OSFile(str(self._path(name, batch)), "wb") as file,
            ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)

    def get(self, name: str, batch: int) -> Any:
        """A batch's rows of one table."""
        with pa.OSFile(str(self._path(name, batch)), "rb") as file:
            return ipc.open_file(file).read_all().combine_chunks()

    def has(self, name: str, batch: int) -> bool:
        """Whether the batch has rows of that table."""
        return batch in self._batches[name]

    def batches(self, name: str) -> Iterator[int]:
        """The batches that have rows of that table, in order."""
        return iter(self._batches[name])

    def _path(self, name: str, batch: int) -> Path:
        return self._folder / f"{batch}-{name}.arrow"
