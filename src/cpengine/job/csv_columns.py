"""Which columns the CSVs of a job have, in few bytes: jobs of a step are compared."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

_DIGITS = 12


def digests(output: Path, names: Iterable[str]) -> dict[str, str]:
    """By CSV with image numbers, what changes with its columns, but for their order.

    Parameters
    ----------
    output
        The folder that CellProfiler wrote to.
    names
        The files below it.
    """
    headers = {n: _header(output / n) for n in names if n.endswith(".csv")}
    return {
        name: hashlib.sha256("\n".join(sorted(header)).encode()).hexdigest()[:_DIGITS]
        for name, header in headers.items()
        if "ImageNumber" in header
    }


def _header(path: Path) -> list[str]:
    """The columns of a CSV; none if it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            return next(csv.reader(file), [])
    except (OSError, csv.Error):
        return []
