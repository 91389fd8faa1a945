"""Numbers for people: with units, and no more digits than they mean."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cpengine.wording import GB, MB


class Spread(NamedTuple):
    """How values lie."""

    low: float
    """2 % are below."""
    median: float
    high: float
    """2 % are above."""
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """The spread of finite values; None of no value."""
        found = sorted(values)
        if not found:
            return None
        low, median, high = (quantile(found, at) for at in (0.02, 0.5, 0.98))
        return cls(low, median, high, found[0], found[-1])


def quantile(ordered: Sequence[float], at: float) -> float:
    """The value below which a part of sorted values lies, between two if need be."""
    place = at * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def count(number: float) -> str:
    """`12,345`; a sum that is no whole number as `value`."""
    whole = round(number)
    return f"{whole:,}" if number == whole else value(number)


def size(number: float) -> str:
    """`405 MB`, `1.2 GB`; of 1024^3 bytes, as every `memory_gb`."""
    if number >= 0.9995 * GB:
        return f"{number / GB:.3g} GB"
    return f"{number / MB:.0f} MB"


def percent(part: float) -> str:
    """`64 %`, `0.4 %`; never 100 % or 0 % of what is not all or none."""
    if part == 0:
        return "0 %"
    if part < 0.0005:
        return "< 0.1 %"
    if 0.9995 < part < 1:
        return "> 99.9 %"
    digits = 1 if part < 0.0995 or 0.99 < part < 1 else 0
    return f"{100 * part:.{digits}f} %".replace("100.0", "100")


def value(number: float) -> str:
    """Three digits or so: `-2.32`, `0.0154`, `12,345`, `1.2e-05`."""
    if number == 0:
        return "0"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def short(number: float, digits: int = 4) -> float | int | None:
    """A number as the page's data has it; None for one that is not finite."""
    if not math.isfinite(number):
        return None
    rounded = float(f"{number:.{digits}g}")
    return int(rounded) if rounded == int(rounded) else rounded
