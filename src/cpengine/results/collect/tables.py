"""Write a plate's Parquet files from its rows on the scratch disk."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpengine.results.collect import join
from cpengine.results.collect.arrow import pa, parquet
from cpengine.results.collect.kinds import fitted, type_of
from cpengine.results.collect.names import IMAGE, KEYS, Joining, joining
from cpengine.results.collect.record import FileSize
from cpengine.results.collect.spill import JOB, Spill

_ROW_GROUP = 128 * 2**20
"""Bytes of a row group in memory; so much of one table is held."""
JOINED = ""
"""The name of the joined table."""


@dataclass
class Tables:
    """The tables that a plate's rows make."""

    spill: Spill
    float32: bool = False
    without: dict[str, int] = field(default_factory=dict)
    """By table, how many rows of the joined one have no row there, once written."""

    def __post_init__(self) -> None:
        objects = {n: set(kinds) for n, kinds in self.spill.kinds.items() if n != IMAGE}
        self.how: Joining | None = joining(objects)
        image = [IMAGE] if IMAGE in self.spill.kinds else []
        schemas = {name: self._schema(name) for name in [*sorted(objects), *image]}
        joined = {JOINED: self._joined_schema(self.how, schemas)} if self.how else {}
        self._schemas = joined | schemas

    @property
    def names(self) -> list[str]:
        """The tables: the joined one first, Image last."""
        return list(self._schemas)

    def size(self, name: str) -> FileSize:
        """The rows that a table must have, and its columns."""
        source = self.how.driving if self.how and name == JOINED else name
        return FileSize(self.spill.rows[source], len(self._schemas[name]))

    def write(self, name: str, file: Path, metadata: Mapping[str, str]) -> int:
        """Write one table; give the rows that the file says it has."""
        blocks = self._joined() if name == JOINED else self._blocks(name)
        schema = self._schemas[name].with_metadata(metadata)
        _write(file, (fitted(block, schema) for block in blocks), schema)
        rows: int = parquet.read_metadata(file).num_rows
        return rows

    def _schema(self, name: str) -> Any:
        kinds = self.spill.kinds.get(name, {})
        fields = [
            (column, type_of(column, kind, float32=self.float32))
            for column, kind in kinds.items()
        ]
        return pa.schema(sorted(fields, key=lambda pair: _order(pair[0])))

    def _joined_schema(self, how: Joining, schemas: Mapping[str, Any]) -> Any:
        fields: dict[str, Any] = {}
        for name in (how.driving, *(link.parent for link in how.links)):
            for column in schemas[name]:
                fields.setdefault(column.name, column)
        return pa.schema(
            sorted(fields.values(), key=lambda column: _order(column.name))
        )

    def _blocks(self, name: str) -> Iterator[Any]:
        for batch in self.spill.batches(name):
            yield self.spill.get(name, batch).drop_columns([JOB])

    def _joined(self) -> Iterator[Any]:
        assert self.how is not None
        names = [self.how.driving, *(link.parent for link in self.how.links)]
        for batch in self.spill.batches(self.how.driving):
            there = {
                n: self.spill.get(n, batch) for n in names if self.spill.has(n, batch)
            }
            table, without = join.joined(there, self.how)
            for name, rows in without.items():
                self.without[name] = self.without.get(name, 0) + rows
            yield table


def _order(column: str) -> tuple[int, str]:
    """Keys first, then other metadata, then features as they came."""
    if column in KEYS:
        return KEYS.index(column), ""
    return (
        (len(KEYS), column) if column.startswith("Metadata_") else (len(KEYS) + 1, "")
    )


def _write(file: Path, blocks: Iterable[Any], schema: Any) -> None:
    """Write row groups of about `_ROW_GROUP` bytes."""
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    metadata = [field.name for field in schema if field.name.startswith("Metadata_")]
    with parquet.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=texts,
        write_statistics=metadata,
    ) as writer:
        held: list[Any] = []
        for block in blocks:
            held.append(block)
            if sum(table.nbytes for table in held) >= _ROW_GROUP:
                _flush(writer, held)
        _flush(writer, held)


def _flush(writer: Any, held: list[Any]) -> None:
    if held:
        table = pa.concat_tables(held)
        held.clear()
        writer.write_table(table, row_group_size=max(1, table.num_rows))
