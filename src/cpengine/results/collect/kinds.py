"""What a column holds, over all of a plate: integers, numbers or text."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from cpengine.plates import PLATE, WELL
from cpengine.results.collect.arrow import compute, pa
from cpengine.results.collect.names import holds_numbers, holds_text

_INTEGER = r"^-?(0|[1-9]\d{0,17})$"
_REAL = r"^-?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?$|^-?inf$"


_WIDTH = (pa.null(), pa.int32(), pa.int64(), pa.float64(), pa.string())
"""The types that CSVs are read as, from the narrowest."""


class ColumnKind(IntEnum):
    """From the narrowest; of several, the widest holds all values."""

    NOTHING = 0
    INTEGER = 1
    REAL = 2
    TEXT = 3


def kind_of(column: Any) -> ColumnKind:
    """What an Arrow column holds, texts that are numbers included."""
    if column.null_count == len(column):
        return ColumnKind.NOTHING
    if pa.types.is_integer(column.type):
        return ColumnKind.INTEGER
    if pa.types.is_floating(column.type):
        return ColumnKind.REAL
    if _all_match(column, _INTEGER):
        return ColumnKind.INTEGER
    return ColumnKind.REAL if _all_match(column, _REAL) else ColumnKind.TEXT


def is_mixed(column: Any) -> bool:
    """Whether some texts of a column are numbers; for columns of kind TEXT."""
    matches = compute.match_substring_regex(column, f"{_INTEGER}|{_REAL}")
    return bool(compute.any(matches).as_py())


def _all_match(column: Any, pattern: str) -> bool:
    return bool(compute.all(compute.match_substring_regex(column, pattern)).as_py())


def merged(pieces: Sequence[Any]) -> Any:
    """Tables that may differ in columns and types as one: the widest of the types."""
    if len(pieces) == 1:
        return pieces[0]
    types: dict[str, Any] = {}
    for field in (field for piece in pieces for field in piece.schema):
        before = types.get(field.name, field.type)
        types[field.name] = max(field.type, before, key=_WIDTH.index)
    schema = pa.schema(list(types.items()))
    return pa.concat_tables([fitted(piece, schema) for piece in pieces])


def type_of(name: str, kind: ColumnKind, *, float32: bool = False) -> Any:
    """The Arrow type of a column of that name in the Parquet file."""
    if name in (PLATE, WELL) or kind is ColumnKind.TEXT:
        return pa.string()
    if kind is ColumnKind.INTEGER or (
        kind is ColumnKind.NOTHING and holds_numbers(name)
    ):
        return pa.int64()
    if kind is ColumnKind.NOTHING and holds_text(name):
        return pa.string()
    return pa.float32() if float32 else pa.float64()


def fitted(table: Any, schema: Any) -> Any:
    """A table with the columns and types of a schema; what it lacks is null."""
    there = set(table.column_names)
    columns = [
        table[field.name].cast(field.type, safe=False)
        if field.name in there
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
