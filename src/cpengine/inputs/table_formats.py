"""Tables that are compressed or Parquet, as the CSVs that they stand for. Pure.

The Cell Painting Gallery has tables so. CellProfiler reads CSVs alone, and so does
Distributed-CellProfiler's worker.
"""

import gzip
import zlib
from io import BytesIO

from cpengine import rules
from cpengine.errors import InputError

CSV, GZIP, PARQUET = ".csv", ".csv.gz", ".parquet"
ENDINGS = (CSV, GZIP, PARQUET)
MOST_BYTES = 2**28
"""So large a table's text may be: a few megabytes of a compressed file could fill the
memory. A plate of 1536 wells with 25 sites and 8 channels has about a third of it."""
_GZIPPED = b"\x1f\x8b"


def names_of(name: str) -> tuple[str, ...]:
    """The names by which a table may be there: its CSV's, which counts first.

    One that is named with another ending is that file alone.
    """
    stem = name.removesuffix(CSV)
    return (name,) if stem == name else tuple(stem + ending for ending in ENDINGS)


def csv_name(name: str) -> str:
    """The name of the CSV that a table stands for; its own if it is one."""
    for ending in (GZIP, PARQUET):
        if name.endswith(ending):
            return name.removesuffix(ending) + CSV
    return name


def is_csv(name: str) -> bool:
    """Whether CellProfiler reads a table of that name as it is."""
    return csv_name(name) == name


def to_csv(data: bytes, path: str) -> bytes:
    """The bytes of the CSV that a table stands for, by its name.

    Raises
    ------
    InputError
        It cannot be unpacked, or has more than `MOST_BYTES`.
    """
    if path.endswith(GZIP) and data.startswith(_GZIPPED):
        return _unpacked(data, path)
    if path.endswith(PARQUET):
        return _of_parquet(data, path)
    return data


def _unpacked(data: bytes, path: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        cause = f"cannot be unpacked ({error})"
        raise InputError(
            rules.CSV_UNREADABLE.found(path, cause, "copy it again")
        ) from error
    if len(text) > MOST_BYTES:
        raise too_large(path)
    return text


def too_large(path: str) -> InputError:
    """The refusal of a table that has more text than any plate's."""
    cause = f"has more than {MOST_BYTES >> 20} MB when it is unpacked"
    return InputError(
        rules.CSV_UNREADABLE.found(path, cause, "write one table a plate")
    )


def _of_parquet(data: bytes, path: str) -> bytes:
    try:
        from cpengine.inputs import parquet_table  # slow to import, and an extra
    except ModuleNotFoundError as error:
        cause = f"is Parquet, and {error.name} is not installed"
        cure = 'pip install "cpengine[collect]"'
        raise InputError(rules.CSV_UNREADABLE.found(path, cause, cure)) from error
    return parquet_table.to_csv(data, path)
