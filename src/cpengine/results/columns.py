"""Columns of a table that only some jobs have. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cpengine.results.csv_rows import header_of
from cpengine.wording import counted

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class SomeColumns:
    """Columns of one table that some jobs have and others lack."""

    table: str
    columns: tuple[str, ...]
    """As the CSVs call them; what most jobs have comes first."""
    jobs: int
    """How many jobs have the first of them,"""
    without: int
    """how many have not,"""
    lacking: str
    """and the id of one of these."""

    def __str__(self) -> str:
        some = counted(len(self.columns), "column")
        shown = ", ".join(self.columns[:_SHOWN])
        more = ", ..." if len(self.columns) > _SHOWN else ""
        return (
            f"{some} of {self.table}.csv that only some jobs have: {shown}{more}; "
            f"{self.columns[0]} is in {self.jobs} and not in {self.without}, such as "
            f"{self.lacking}"
        )


def names(header: str) -> frozenset[str]:
    """The columns that a CSV's first line names."""
    return frozenset(header_of(header))


def in_some_jobs(
    table: str, headers: Iterable[tuple[frozenset[str], int, str]]
) -> SomeColumns | None:
    """What is not in all headers of a table; None if they have the same columns.

    Parameters
    ----------
    headers
        Columns, how many jobs have just these, and the id of one of them.
    """
    found = list(headers)
    total = sum(jobs for _, jobs, _ in found)
    having: Counter[str] = Counter()
    for columns, jobs, _ in found:
        having.update(dict.fromkeys(columns, jobs))
    some = [name for name, jobs in having.items() if jobs < total]
    if not some:
        return None
    first, *more = sorted(some, key=lambda name: (-having[name], name))
    lacking = next(job for columns, _, job in found if first not in columns)
    left = total - having[first]
    return SomeColumns(table, (first, *more), having[first], left, lacking)
