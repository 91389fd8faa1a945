"""Read CSVs of CellProfiler: many with one header at a time, rows counted twice."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cpengine.errors import InputError
from cpengine.results.collect.arrow import csv as arrow_csv
from cpengine.results.collect.arrow import pa
from cpengine.results.collect.kinds import is_large
from cpengine.results.collect.names import columns_of, holds_text
from cpengine.results.csv_rows import header_of
from cpengine.storage.store import as_text

_BLOCK = 8 * 2**20
"""Bytes that are parsed at once; longer than the longest line."""
_MISSING = ["", "nan", "NaN"]
_COLUMN_TYPES = (
    pa.types.is_null,
    pa.types.is_int64,
    pa.types.is_float64,
    pa.types.is_string,
)


@dataclass(frozen=True, slots=True)
class Csv:
    """One CSV of one job, not yet parsed."""

    place: str
    """Where it is, as messages name it."""
    job: int
    """Which of the plate's jobs made it."""
    header: str
    body: bytes
    """All lines but the first."""
    rows: int
    """How many rows it has by its line ends, without the parser."""

    @property
    def quoted(self) -> bool:
        """Whether a value may hold a comma or a line end."""
        return b'"' in self.body


def read(data: bytes, place: str, job: int) -> Csv:
    """Take a CSV apart and count its rows.

    Raises
    ------
    InputError
        It is empty or was cut off.
    """
    if not data:
        raise damaged(place, "is empty")
    if not data.endswith(b"\n"):
        raise damaged(place, "ends within a line")
    end = data.index(b"\n") + 1
    body = data[end:]
    header = as_text(data[:end], place).rstrip("\r\n")
    return Csv(place, job, header, body, _rows(body, place))


def _rows(body: bytes, place: str) -> int:
    if b'"' not in body:
        return body.count(b"\n")
    text = as_text(body, place)
    try:
        return sum(1 for _ in csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise damaged(place, f"is no whole CSV ({error})") from error


def damaged(place: str, what: str) -> InputError:
    """The error for a CSV that is not as CellProfiler wrote it."""
    return InputError(f"{place}: {what}: run its job again with --force")


def columns(table: str, file: Csv) -> list[str] | None:
    """The names that a CSV's columns get; None if it is no such table.

    Raises
    ------
    InputError
        Its header cannot be read, or two columns would have one name.
    """
    header = header_of(file.header)
    if not header:
        raise damaged(file.place, "has a first line that names no columns")
    found = columns_of(table, header)
    if found and len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise InputError(
            f"{file.place}: has two columns for {twice}: run the step again without "
            "ExportToSpreadsheet's image metadata columns in object data files"
        )
    return found


def parse(csvs: Sequence[Csv], names: Sequence[str]) -> Any:
    """All rows of CSVs with one header, as one Arrow table.

    Columns are null, int64, float64 or string; empty values and nan are null.

    Parameters
    ----------
    names
        What the columns are called.

    Raises
    ------
    InputError
        A CSV has lines that do not fit its header, or another number of rows than
        lines.
    """
    try:
        table = _parsed(csvs, names)
    except pa.ArrowInvalid as error:
        if len(csvs) == 1:
            reason = str(error).splitlines()[0][:120]
            raise damaged(csvs[0].place, f"is no whole CSV ({reason})") from error
    else:
        if table.num_rows == sum(file.rows for file in csvs):
            return table
        if len(csvs) == 1:
            lines = f"has {table.num_rows} rows in {csvs[0].rows} lines"
            raise damaged(csvs[0].place, lines)
    for file in csvs:
        parse([file], names)  # raises for the one that is damaged
    raise damaged(csvs[0].place, "cannot be read")


def _parsed(csvs: Sequence[Csv], names: Sequence[str]) -> Any:
    body = b"".join(file.body for file in csvs)
    if not body:
        return pa.table({name: pa.nulls(0) for name in names})
    quoted = any(file.quoted for file in csvs)
    texts = [name for name in names if holds_text(name)]
    table = _read(body, names, texts, quoted)
    odd = [name for name in names if _is_odd(table[name])]
    if not odd:
        return table
    as_texts = _read(body, names, odd, quoted, odd)
    return pa.table({n: (as_texts if n in odd else table)[n] for n in names})


def _is_odd(column: Any) -> bool:
    """Whether a column is to be read as text, to be seen and kept as it stands.

    What is so large may be a whole number that float64 has not.
    """
    if pa.types.is_floating(column.type):
        return is_large(column)
    return not any(is_type(column.type) for is_type in _COLUMN_TYPES)


def _read(
    body: bytes,
    names: Sequence[str],
    texts: Sequence[str],
    quoted: bool,
    only: Sequence[str] = (),
) -> Any:
    """The columns of a body, or only some of them; those of `texts` as they stand."""
    return arrow_csv.read_csv(
        pa.BufferReader(body),
        arrow_csv.ReadOptions(column_names=names, block_size=_BLOCK),
        arrow_csv.ParseOptions(newlines_in_values=quoted),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(texts, pa.string()),
            include_columns=only,
            null_values=_MISSING,
            strings_can_be_null=True,
        ),
    )
