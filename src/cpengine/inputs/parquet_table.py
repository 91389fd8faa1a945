"""Parquet tables as CSVs. pyarrow is an extra: import this when it is needed."""

import csv
import io
from collections.abc import Iterator

import pyarrow as pa  # type: ignore[import-untyped]  # it publishes no types
from pyarrow import compute, parquet

from cpengine import rules
from cpengine.errors import InputError
from cpengine.inputs.table_formats import MOST_BYTES, too_large

_ROWS = 1024
"""Rows that are read at a time: what is too large is seen before it is in memory."""
_INDEX = "__index_level_"
"""How the columns begin that pandas makes of an index without a name."""
_EXACT = 2.0**53
"""Whole numbers below this are the same as floats."""


def to_csv(data: bytes, path: str) -> bytes:
    """A Parquet file's bytes as those of a CSV.

    Raises
    ------
    InputError
        It is no Parquet, has a column of lists and the like, or is too large.
    """
    try:
        table = _read(data, path)
    except (pa.ArrowException, OSError, KeyError) as error:
        cause = f"cannot be read as Parquet ({str(error).splitlines()[0]})"
        raise InputError(
            rules.CSV_UNREADABLE.found(path, cause, "copy it again")
        ) from error
    columns = [list(_texts(table[name], name, path)) for name in table.column_names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _read(data: bytes, path: str) -> pa.Table:
    file = parquet.ParquetFile(pa.BufferReader(data))
    names = [name for name in file.schema_arrow.names if not name.startswith(_INDEX)]
    cells = file.metadata.num_rows * len(names)  # each is a byte in a CSV at the least
    batches, size = [], 0
    for batch in file.iter_batches(_ROWS, columns=names) if cells < MOST_BYTES else ():
        size += batch.nbytes
        batches.append(batch)
        if size > MOST_BYTES:
            break
    if max(cells, size) > MOST_BYTES:
        raise too_large(path)
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    return pa.Table.from_batches(batches, schema)


def _texts(column: pa.ChunkedArray, name: str, path: str) -> Iterator[str]:
    """A column's values as pandas and R write them; of those that are null, nothing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = _without_points(column)
    if pa.types.is_boolean(column.type):
        return ("" if v is None else str(v) for v in column.to_pylist())
    try:
        return (text or "" for text in column.cast(pa.string()).to_pylist())
    except pa.ArrowException as error:
        cause = f"holds {column.type}, which no CSV can"
        cure = "write it as text or numbers"
        raise InputError(
            rules.CSV_UNREADABLE.found(f"{path}:{name}", cause, cure)
        ) from error


def _without_points(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers as such: pandas holds those of a column with gaps as floats."""
    column = compute.if_else(compute.is_nan(column), None, column)
    is_whole = compute.and_(
        compute.equal(column, compute.floor(column)),
        compute.less(compute.abs(column), _EXACT),
    )
    if not compute.all(is_whole, min_count=0).as_py():
        return column
    return column.cast(pa.int64())
