"""Rows of CSVs that jobs, people or we ourselves wrote: all of them, or damage."""

import csv
import io

from cpengine.errors import InputError


class DamagedCsvError(InputError):
    """A CSV is not whole; others may be read all the same."""


def rows_of(text: str, place: str, cure: str, separator: str = ",") -> list[list[str]]:
    """The rows that hold something, the header first; all as long as that.

    Parameters
    ----------
    place, cure
        How the file is named, and what to do where it is damaged.

    Raises
    ------
    DamagedCsvError
        It is no CSV, or a row has fewer or more values than there are columns.
    """
    lines = io.StringIO(text, newline="")
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error as error:
        raise DamagedCsvError(f"{place}: is no whole CSV ({error}): {cure}") from error
    for row in rows:
        if len(row) != len(rows[0]):
            raise DamagedCsvError(
                f"{place}: has a row of {len(row)} values for {len(rows[0])} columns: "
                f"{cure}"
            )
    return rows


def header_of(line: str) -> list[str]:
    """The columns that a CSV's first line names; none if it cannot be read."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []
