"""A few numbers of a job's `Image.csv` that its outcome keeps: counts and quality."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

MODULE_ERRORS = "ModuleErrors"
"""How many image sets have a `ModuleError_*` that is not 0."""
COUNT = "Count_"
_RECORDED = (
    COUNT,
    "ImageQuality_PowerLogLogSlope_",
    "ImageQuality_FocusScore_",
    "ImageQuality_PercentMaximal_",
    "ImageQuality_MedianIntensity_",
    "ImageQuality_MeanIntensity_",
)
_ERROR = "ModuleError_"
_MOST = 60
_DIGITS = 6


def of(output: Path, names: Iterable[str]) -> dict[str, float]:
    """The measures of a job, by the columns' names; none if they cannot be read.

    Counts are summed over image sets, all else is their mean. Values that are no
    numbers are left out.

    Parameters
    ----------
    output
        The folder that CellProfiler wrote to.
    names
        The files below it.
    """
    for name in sorted(names):
        if name.endswith("Image.csv"):
            try:
                found = _read(output / name)
            except (OSError, csv.Error):
                continue
            if found is not None:
                return found
    return {}


def is_sum(name: str) -> bool:
    """Whether a measure adds up over image sets; else it is a mean."""
    return name == MODULE_ERRORS or name.startswith(COUNT)


def _read(path: Path) -> dict[str, float] | None:
    """The measures of an image table; None if the file is none."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        # Object tables have both numbers; an object may be called "SomethingImage".
        if "ImageNumber" not in header or "ObjectNumber" in header:
            return None
        return _measured(header, (row for row in rows if len(row) == len(header)))


def _measured(header: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, float]:
    """The measures of rows, which may be many and wide: they are not kept."""
    wanted = _wanted(header)
    errors = [i for i, name in enumerate(header) if name.startswith(_ERROR)]
    values: dict[str, list[float]] = {name: [] for name, _ in wanted}
    wrong = 0
    for row in rows:
        for name, column in wanted:
            if (value := _number(row[column])) is not None:
                values[name].append(value)
        wrong += any(_number(row[column]) for column in errors)
    found = {name: _together(name, some) for name, some in values.items() if some}
    return found | {MODULE_ERRORS: wrong} if errors else found


def _together(name: str, values: Sequence[float]) -> float:
    return sum(values) if is_sum(name) else _rounded(sum(values) / len(values))


def _wanted(header: Sequence[str]) -> list[tuple[str, int]]:
    """The columns to keep, counts first, and their places."""
    columns = [
        (name, at) for at, name in enumerate(header) if name.startswith(_RECORDED)
    ]
    return sorted(columns, key=lambda pair: _rank(pair[0]))[:_MOST]


def _rank(name: str) -> int:
    return next(n for n, start in enumerate(_RECORDED) if name.startswith(start))


def _number(text: str) -> float | None:
    """The number in a cell; None if it holds none, or one that is not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
