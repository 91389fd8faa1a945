"""Robust scores and coefficients of variation. Pure."""

from typing import NamedTuple

import numpy as np

from cpengine.results.qc.images import Array

MAD_TO_SD = 1.4826
"""The MAD of a normal distribution times this is its standard deviation."""


LEAST = 0.02
"""A robust deviation is taken for at least so large a part of the median. Of values
that are nearly the same, one that is as near is not out of the ordinary."""


class Centre(NamedTuple):
    """What values are compared with."""

    median: float
    spread: float
    """1.4826 times the median absolute deviation; 0 where half are the same."""


def centre(values: Array) -> Centre | None:
    """The median and robust deviation of what is a number; None if nothing is."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    median = float(np.median(known))
    return Centre(median, MAD_TO_SD * float(np.median(np.abs(known - median))))


def scores(values: Array, about: Centre | None, least: float = 0.0) -> Array:
    """How many robust deviations values are above (or below, negative) the median.

    NaN for what is no number, and for all where nothing deviates: more than half of
    the values are the same then, and there is no measure of how far others are away.

    Parameters
    ----------
    least
        What a deviation is taken for at the least, as with `LEAST`.
    """
    if about is None or not about.spread > _tiny(about.median):
        return np.full(values.shape, np.nan)
    deviation = max(about.spread, LEAST * abs(about.median), least)
    with np.errstate(over="ignore"):  # of the tiniest one they are infinite
        return np.asarray((values - about.median) / deviation, float)


def _tiny(median: float) -> float:
    """A spread that rounding alone may make."""
    return 1e-12 * abs(median)


class Variation(NamedTuple):
    """How values of wells vary."""

    wells: int
    mean: float
    sd: float
    """The sample's standard deviation."""

    @property
    def cv_percent(self) -> float | None:
        """100 sd / |mean|; None if the mean is 0."""
        return 100 * self.sd / abs(self.mean) if self.mean else None


def variation(values: Array) -> Variation | None:
    """The variation of what is a number; None for fewer than two."""
    known = values[~np.isnan(values)]
    if known.size < 2:
        return None
    return Variation(int(known.size), float(known.mean()), float(known.std(ddof=1)))


def mean(values: Array) -> float:
    """The mean of what is a number; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
