"""Values that are sorted once, and order statistics of them as numpy computes them.

numpy partitions all values anew for each median and percentile. Which values it finds
does not depend on how, so that those at the same places of sorted values are the same,
but for zeros of both signs, between which no order is set: there, and where a value is
not finite, nothing is sorted.
"""

from __future__ import annotations

from typing import Any

import numpy


class SortedArray(numpy.ndarray):
    """Sorted values, which numpy's own functions need not sort."""

    def sort(self, *_: Any, **__: Any) -> None:
        """Leave them as they are."""

    def partition(self, *_: Any, **__: Any) -> None:
        """Leave them as they are."""


def sorted_values(values: Any) -> Any:
    """The values of an array in order; None where another order would be as good."""
    if values.dtype not in (numpy.float32, numpy.float64) or values.size == 0:
        return None
    if not numpy.isfinite(values).all():
        return None
    ordered = numpy.sort(values, axis=None)
    first, end = (numpy.searchsorted(ordered, 0, side) for side in ("left", "right"))
    return None if numpy.signbit(ordered[first:end]).any() else ordered


def median(ordered: Any) -> Any:
    """numpy.median of sorted values."""
    return numpy.median(ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1])


def percentiles(ordered: Any, wanted: Any) -> list[Any]:
    """numpy.percentile of sorted values."""
    found = numpy.percentile(ordered.view(SortedArray), wanted)
    return list(numpy.asarray(found))


def median_deviation(ordered: Any, middle: Any) -> Any:
    """numpy.median of the absolute differences of sorted values from one of them.

    To both sides of it they grow: differences are rounded, but never to another order.
    """
    deviations = numpy.abs(ordered - middle)
    place = int(numpy.searchsorted(ordered, middle))
    below, above = deviations[:place][::-1], deviations[place:]
    last = len(ordered) // 2
    ranks = range((len(ordered) - 1) // 2, last + 1)
    return numpy.median(
        numpy.array([_of_rank(below, above, k) for k in ranks], ordered.dtype)
    )


def _of_rank(first: Any, second: Any, rank: int) -> Any:
    """The value that so many are before, of two sorted arrays together."""
    low, high = max(0, rank - len(second)), min(rank, len(first))
    while low < high:  # how many of the first array are before it
        middle = (low + high) // 2
        if first[middle] < second[rank - middle - 1]:
            low = middle + 1
        else:
            high = middle
    rest = [
        part[i] for part, i in ((first, low), (second, rank - low)) if i < len(part)
    ]
    return min(rest)
