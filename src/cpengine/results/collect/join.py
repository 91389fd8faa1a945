"""Which row of one table belongs to which of another, in the same image and job."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cpengine.results.collect.arrow import compute, pa
from cpengine.results.collect.names import (
    IMAGE_NUMBER,
    OBJECT_NUMBER,
    Joining,
    parent_column,
)
from cpengine.results.collect.spill import JOB

Numbers = npt.NDArray[np.int64]
NONE = -1
_LARGEST = 2.0**62
"""Stands for a number or row that is not there."""


def joined(tables: Mapping[str, Any], how: Joining) -> tuple[Any, dict[str, int]]:
    """One table of a batch: the driving table's rows, and their parents' columns.

    Parameters
    ----------
    tables
        The batch's object tables, by name; the driving one must be there.

    Returns
    -------
    tuple
        The joined table, and by parent table how many rows have no parent there.
    """
    driving = tables[how.driving]
    at: dict[str, Numbers] = {how.driving: np.arange(driving.num_rows)}
    columns = {name: driving[name] for name in driving.column_names}
    without: dict[str, int] = {}
    for child, parent in how.links:
        if child not in at or parent not in tables:
            without[parent] = driving.num_rows
            continue
        number = parent_column(child, parent)
        same = {JOB: JOB, IMAGE_NUMBER: IMAGE_NUMBER, number: OBJECT_NUMBER}
        found = rows(tables[child], tables[parent], same)
        at[parent] = np.where(at[child] == NONE, NONE, found[at[child]])
        gone = at[parent] == NONE
        without[parent] = int(gone.sum())
        taken = tables[parent].take(pa.array(at[parent], mask=gone))
        for name in taken.column_names:
            columns.setdefault(name, taken[name])
    return pa.table(columns), without


def rows(table: Any, other: Any, equal: Mapping[str, str]) -> Numbers:
    """For each row of a table, the row of another that belongs to it, or `NONE`.

    Parameters
    ----------
    equal
        By column of the table, the column of the other that is equal to it.
    """
    wanted = [numbers(table, name) for name in equal]
    there = [numbers(other, name) for name in equal.values()]
    return _found(_coded(wanted, there), _coded(there, wanted))


def numbers(table: Any, column: str) -> Numbers:
    """A column of whole numbers; `NONE` where it is empty or not there."""
    if column not in table.column_names:
        return np.full(table.num_rows, NONE)
    values = compute.fill_null(table[column].cast(pa.float64()), NONE).to_numpy()
    whole = np.abs(values) < _LARGEST  # no number of an image or object is larger
    return np.where(whole, values, NONE).astype(np.int64)


def _coded(columns: list[Numbers], others: list[Numbers]) -> Numbers:
    """One number for each row, equal in both tables where all columns are equal."""
    code = columns[0].copy()
    for mine, theirs in zip(columns[1:], others[1:], strict=True):
        span = 2 + max(mine.max(initial=0), theirs.max(initial=0))
        code = code * span + mine + 1
    return code


def _found(wanted: Numbers, there: Numbers) -> Numbers:
    """The place in `there` of each wanted number, or `NONE`."""
    if not len(there):
        return np.full(len(wanted), NONE)
    order = np.argsort(there, kind="stable")
    place = np.searchsorted(there, wanted, sorter=order).clip(max=len(there) - 1)
    at: Numbers = order[place]
    return np.where(there[at] == wanted, at, NONE)


def twice(table: Any, *columns: str) -> int | None:
    """The first row whose numbers in these columns another row has, too."""
    found = [numbers(table, name) for name in columns]
    code = _coded(found, found)
    distinct, first = np.unique(code, return_index=True)
    if len(distinct) == len(code):
        return None
    again = np.ones(len(code), dtype=bool)
    again[first] = False
    return int(np.flatnonzero(again)[0])
