"""What a column holds, over all of a plate: integers, numbers or text."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from cpengine.plates import PLATE, WELL
from cpengine.results.collect.arrow import compute, pa
from cpengine.results.collect.names import holds_numbers, holds_text

_INTEGER = r"^-?(0|[1-9]\d*)$"
_LARGE_INTEGER = r"^-?[1-9]\d{15,}$"
_EXACT = 2**53
"""From here on float64 has not every whole number."""
_REAL = r"^-?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?$|^-?inf$"


_WIDTH = (pa.null(), pa.int32(), pa.int64(), pa.float64(), pa.string())
"""The types that CSVs are read as, from the narrowest."""


class ColumnKind(IntEnum):
    """From the narrowest; of several, the widest holds all values."""

    NOTHING = 0
    INTEGER = 1
    LARGE_INTEGER = 2
    """Whole numbers that int64 holds and float64 does not."""
    REAL = 3
    TEXT = 4

    def with_other(self, other: "ColumnKind") -> "ColumnKind":
        """The kind that holds the values of both, each exactly."""
        if {self, other} == {ColumnKind.LARGE_INTEGER, ColumnKind.REAL}:
            return ColumnKind.TEXT
        return max(self, other)


def kind_of(column: Any) -> ColumnKind:
    """What an Arrow column holds, texts that are numbers included."""
    if column.null_count == len(column):
        return ColumnKind.NOTHING
    if pa.types.is_integer(column.type):
        large = is_large(column)
        return ColumnKind.LARGE_INTEGER if large else ColumnKind.INTEGER
    if pa.types.is_floating(column.type):
        return ColumnKind.REAL
    if _all_match(column, _INTEGER):
        return _kind_of_integers(column)
    if not _all_match(column, _REAL) or _any_matches(column, _LARGE_INTEGER):
        return ColumnKind.TEXT
    return ColumnKind.REAL


def _kind_of_integers(column: Any) -> ColumnKind:
    """What whole numbers are: text, if int64 does not hold them."""
    try:
        return kind_of(column.cast(pa.int64()))
    except pa.ArrowInvalid:
        return ColumnKind.TEXT


def is_large(column: Any) -> bool:
    """Whether a column of numbers has one so large that float64 may not be exact."""
    ends = compute.min_max(column).as_py().values()
    return any(end is not None and abs(end) >= _EXACT for end in ends)


def is_mixed(column: Any) -> bool:
    """Whether some texts of a column are numbers and others not; for kind TEXT."""
    numbers = f"{_INTEGER}|{_REAL}"
    return _any_matches(column, numbers) and not _all_match(column, numbers)


def _all_match(column: Any, pattern: str) -> bool:
    return bool(compute.all(compute.match_substring_regex(column, pattern)).as_py())


def _any_matches(column: Any, pattern: str) -> bool:
    return bool(compute.any(compute.match_substring_regex(column, pattern)).as_py())


def merged(pieces: Sequence[Any]) -> Any:
    """Tables that may differ in columns and types as one: the widest of the types."""
    if len(pieces) == 1:
        return pieces[0]
    columns: dict[str, list[Any]] = {}
    for piece in pieces:
        for name in piece.column_names:
            columns.setdefault(name, []).append(piece[name])
    schema = pa.schema([(name, _widest(some)) for name, some in columns.items()])
    return pa.concat_tables([fitted(piece, schema) for piece in pieces])


def _widest(columns: Sequence[Any]) -> Any:
    """The narrowest type that holds the values of all columns."""
    types = {column.type for column in columns}
    if types >= {pa.int64(), pa.float64()} and any(
        pa.types.is_integer(column.type) and is_large(column) for column in columns
    ):
        return pa.string()
    return max(types, key=_WIDTH.index)


def type_of(name: str, kind: ColumnKind, *, float32: bool = False) -> Any:
    """The Arrow type of a column of that name in the Parquet file."""
    if name in (PLATE, WELL) or kind is ColumnKind.TEXT:
        return pa.string()
    if kind in (ColumnKind.INTEGER, ColumnKind.LARGE_INTEGER) or (
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
