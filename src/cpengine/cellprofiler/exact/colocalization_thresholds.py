"""Costes' thresholds with one pass over the pixels for each one that is tried.

CellProfiler tries thresholds from above and asks scipy.stats.pearsonr for the
correlation of the pixels below each: a dozen passes with copies, divisions and a
p-value. It then only compares the correlation with a few bounds. So it is enough to
know on which side of a bound scipy's value is, and that is known from sums of one pass
unless it is close:

With n < 10 ** 7 pixels, u = 2 ** -53, and x, y less constants, let Sxx, Syy, Sxy be the
sums of squares and products, and Vx = Sxx - Sx ** 2 / n that of squared distances from
the mean. Each sum is off by n * u of the sum of its terms' sizes at most, so that the
covariance is by 3 * n * u * sqrt(Sxx * Syy) and Vx by 3 * n * u * Sxx. Where Vx is
above Sxx / 1000, and so for y, the correlation is then off by less than 10 ** -5. So is
scipy's: its terms are distances from a mean that is off by 2 * n * u of the largest
pixel at most, which matters less where the deviation is above 10 ** -6 of that. In all
other cases, and within 10 ** -4 of a bound, scipy is asked.
"""

from __future__ import annotations

import math
from typing import Any

import cellprofiler.modules.measurecolocalization as measure
import numpy
import scipy.stats

from .kernel_calls import call, is_measurable, suffix

LEAST_PIXELS, MOST_PIXELS = 3, 10**7
MARGIN = 1e-4


def compared(pixels: Any, threshold: Any) -> float:
    """A threshold as numpy compares it with an array: rounded to the array's type."""
    return float(numpy.asarray(threshold, numpy.result_type(pixels, threshold)))


class Below:
    """Two images' pixels that are below either of two thresholds."""

    def __init__(self, fi: Any, si: Any) -> None:
        self._fi, self._si = fi, si
        self._kernel = "colocalization_below_" + suffix(fi) + "_" + suffix(si)
        self._middles = float(fi.mean(dtype=float)), float(si.mean(dtype=float))
        self._largest = float(abs(fi).max()), float(abs(si).max())
        self._sums = numpy.zeros(5)
        self._thresholds: Any = None
        self.count = 0

    def set(self, thr_fi: Any, thr_si: Any) -> None:
        """Choose the thresholds; `count` is how many pixels are below."""
        self._thresholds = thr_fi, thr_si
        self._sums[:] = 0
        self.count = call(
            self._kernel,
            *(self._fi.size, self._fi, self._si),
            *(compared(self._fi, thr_fi), compared(self._si, thr_si)),
            *(*self._middles, self._sums),
        )

    def correlation(self, bounds: tuple[float, ...]) -> float:
        """The pixels' correlation, on the same side of each bound as scipy's.

        Raises ValueError where scipy does.
        """
        estimate = self._estimate()
        if all(abs(estimate - bound) > MARGIN for bound in bounds):
            return estimate
        thr_fi, thr_si = self._thresholds
        below = (self._fi < thr_fi) | (self._si < thr_si)
        return scipy.stats.pearsonr(self._fi[below], self._si[below])[0]

    def _estimate(self) -> float:
        """The correlation; NaN where it may be off."""
        n = self.count
        if not LEAST_PIXELS <= n <= MOST_PIXELS:
            return math.nan
        x, y, xx, yy, xy = self._sums.tolist()
        squares = xx - x * x / n, yy - y * y / n
        # Below 10 ** -200, products may have lost digits.
        for square, total, largest in zip(squares, (xx, yy), self._largest):
            least = max(total / 1000, n * 1e-12 * largest * largest, 1e-200)
            if not square > least:  # also where something is not finite
                return math.nan
        return (xy - x * y / n) / math.sqrt(squares[0]) / math.sqrt(squares[1])


def can_find(fi: Any, si: Any, scale_max: Any) -> bool:
    """Whether thresholds can be found by what is in this file.

    With a pixel that is not finite, scipy raises errors that have an effect.
    """
    return (
        all(is_measurable(pixels) and pixels.ndim == 1 for pixels in (fi, si))
        and fi.flags.c_contiguous
        and si.flags.c_contiguous
        and fi.size == si.size >= LEAST_PIXELS
        and bool(numpy.isscalar(scale_max))
        and scale_max > 0
    )


def _line(fi: Any, si: Any) -> tuple[Any, Any]:
    """The slope and intercept of the orthogonal regression, as CellProfiler has it."""
    non_zero = (fi > 0) | (si > 0)
    fi, si = fi[non_zero], si[non_zero]
    xvar, yvar = numpy.var(fi, axis=0, ddof=1), numpy.var(si, axis=0, ddof=1)
    xmean, ymean = numpy.mean(fi, axis=0), numpy.mean(si, axis=0)
    zvar = numpy.var(fi + si, axis=0, ddof=1)
    covar = 0.5 * (zvar - (xvar + yvar))
    denom = 2 * covar
    num = (yvar - xvar) + numpy.sqrt(
        (yvar - xvar) * (yvar - xvar) + 4 * (covar * covar)
    )
    a = num / denom
    return a, ymean - a * xmean


def bisection(module: Any, fi: Any, si: Any, scale_max: Any) -> tuple[Any, Any]:
    """The thresholds of `bisection_costes`."""
    a, b = _line(fi, si)
    below = Below(fi, si)
    left, right = 1, scale_max
    mid = ((right - left) // (6 / 5)) + left
    lastmid, valid = 0, 1
    while lastmid != mid:
        thr_fi = mid / scale_max
        below.set(thr_fi, (a * thr_fi) + b)
        correlation = -1.0 if below.count <= 2 else below.correlation((0.0,))
        if correlation < 0:
            left = mid - 1
        elif correlation >= 0:
            right = mid + 1
            valid = mid
        lastmid = mid
        part = 6 / 5 if right - left > 6 else 2
        mid = ((right - left) // part) + left
    thr_fi = (valid - 1) / scale_max
    return thr_fi, (a * thr_fi) + b


def linear(module: Any, fi: Any, si: Any, scale_max: Any) -> tuple[Any, Any]:
    """The thresholds of `linear_costes`."""
    i_step = 1 / scale_max
    a, b = _line(fi, si)
    below = Below(fi, si)
    fi_max, si_max = fi.max(), si.max()
    i = i_step * ((max(fi_max, si_max) // i_step) + 1)
    known, correlation = None, 0.0
    thr_fi, thr_si = i, (a * i) + b
    while i > fi_max and (a * i) + b > si_max:
        i -= i_step
    while i > i_step:
        thr_fi, thr_si = i, (a * i) + b
        below.set(thr_fi, thr_si)
        if below.count != known:
            try:
                correlation = below.correlation((0.0, 0.25, 0.35, 0.45))
            except ValueError:
                break
            known = below.count
        if correlation <= 0:
            break
        slow = module.fast_costes.value == measure.M_ACCURATE or i < i_step * 10
        i -= i_step if slow else i_step * _steps(correlation)
    return thr_fi, thr_si


def _steps(correlation: float) -> int:
    for bound, steps in ((0.45, 10), (0.35, 5), (0.25, 2)):
        if correlation > bound:
            return steps
    return 1
