"""Which sites are flagged, by which measure, and why in words. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.results.qc.images import Array, SiteKey, SiteMeasures
from cpengine.results.qc.names import ImageMeasure, Side
from cpengine.results.qc.numbers import Centre, centre, scores

CONTRAST = 3.0
"""So many times the median of FocusScore (variance by mean) is no contrast that a
blurred image has among sharp ones: the highest of sharp ones is 1.5 times theirs
(`benchmarks/results/quality.txt`)."""
_SLOPE = "PowerLogLogSlope"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a value went past."""

    side: Side
    value: float
    mad: bool
    """Whether it counts robust deviations from the median."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One measure of one image set that is out of its limits."""

    key: SiteKey
    measure: str
    value: float
    median: float | None
    """Of what it is compared with."""
    score: float | None
    """Robust deviations from the median, if there are any."""
    limit: Limit
    compared_with: str
    """`plate` or `batch`."""

    @property
    def reason(self) -> str:
        """What is wrong, in a word or two; the same for all channels."""
        return ImageMeasure.parse(self.measure).reason(self.limit.side)

    @property
    def why(self) -> str:
        """What is wrong with what, and by how much."""
        _, feature, channel = ImageMeasure.parse(self.measure)
        of = f"{channel} {self.reason}" if channel else self.reason
        side = "below" if self.limit.side == "low" else "above"
        if not self.limit.mad or self.score is None or self.median is None:
            limit = f"{side} the limit of {self.limit.value:g}"
            return f"{of}: {feature} {self.value:.4g} is {limit}"
        away = f"{abs(self.score):.3g} robust deviations {side}"
        return (
            f"{of}: {feature} {self.value:.4g} is {away} the {self.compared_with}'s "
            f"median of {self.median:.4g} (limit {self.limit.value:g})"
        )

    @property
    def severity(self) -> float:
        """How many times the limit it is; 1 is at the limit."""
        if self.limit.mad and self.score is not None:
            return abs(self.score) / self.limit.value
        over = abs(self.value - self.limit.value)
        return 1 + over / (abs(self.limit.value) or 1)

    def to_json(self) -> dict[str, Any]:
        """The flag as `--json` prints it."""
        names = ("measure", "reason", "value", "median", "score", "why")
        return self.key._asdict() | {name: getattr(self, name) for name in names}


class Compared(NamedTuple):
    """One measure of one plate, beside what it is compared with."""

    measure: str
    rows: NDArray[np.intp]
    """The plate's rows, from 0."""
    values: Array
    about: Centre | None
    scores: Array
    """NaN where there are too few values, or nothing deviates."""
    scored: bool
    """Whether there are enough."""
    compared_with: str


def compared(
    sites: SiteMeasures, measure: str, limits: ThresholdSection, settings: QcSection
) -> Iterator[Compared]:
    """Compare a measure of each plate with the plate, or with the batch."""
    everything, least = sites.values[measure], limits.least_deviation or 0.0
    batch = centre(everything)
    for rows in sites.rows_of.values():
        small = len(rows) < settings.plate_sites
        values = everything[rows]
        about = batch if small else centre(values)
        scored = int(np.isfinite(values).sum()) >= settings.score_sites
        away = scores(values, about if scored else None, least)
        whom = "batch" if small else "plate"
        yield Compared(measure, rows, values, about, away, scored, whom)


def flags(
    sites: SiteMeasures,
    thresholds: Mapping[str, ThresholdSection],
    settings: QcSection,
) -> list[Flag]:
    """Flag what is out of its limits, worst first."""
    found = [
        flag
        for measure, limits in thresholds.items()
        for comparison in compared(sites, measure, limits, settings)
        for flag in _of(sites, comparison, limits)
    ]
    return sorted(found, key=lambda flag: (-flag.severity, flag.key, flag.measure))


def _of(
    sites: SiteMeasures, comparison: Compared, limits: ThresholdSection
) -> Iterator[Flag]:
    """Flag each row once: where both are passed, a relative limit is told."""
    out: dict[int, Limit] = {}
    for limit, rows in _past(comparison, limits):
        spared = rich_in_contrast(sites, comparison) if limit.mad else frozenset()
        out.update(dict.fromkeys(set(rows) - spared, limit))
    for number, limit in sorted(out.items()):
        score = float(comparison.scores[number])
        yield Flag(
            key=sites.keys[comparison.rows[number]],
            measure=comparison.measure,
            value=float(comparison.values[number]),
            median=comparison.about.median if comparison.about else None,
            score=None if math.isnan(score) else score,
            limit=limit,
            compared_with=comparison.compared_with,
        )


def spared(sites: SiteMeasures, limits: ThresholdSection, comparison: Compared) -> int:
    """How many rows of a plate are past a limit, and not flagged for their contrast."""
    rich = rich_in_contrast(sites, comparison)
    past = _past(comparison, limits) if rich else ()
    return sum(len(rich.intersection(rows)) for limit, rows in past if limit.mad)


def rich_in_contrast(sites: SiteMeasures, comparison: Compared) -> frozenset[int]:
    """The rows of a plate, from 0, that are not blurred however low their slope is.

    Where most images are empty or dim, and so nothing but noise, one with cells has
    less fine detail among them than noise has. But blur takes contrast away.
    """
    category, feature, channel = ImageMeasure.parse(comparison.measure)
    contrast = sites.values.get(f"{category}_FocusScore_{channel}")
    if feature != _SLOPE or contrast is None:
        return frozenset()
    mine = contrast[comparison.rows]
    about = centre(contrast if comparison.compared_with == "batch" else mine)
    if about is None:
        return frozenset()
    return frozenset(np.flatnonzero(mine > CONTRAST * about.median).tolist())


def _past(
    comparison: Compared, limits: ThresholdSection
) -> Iterator[tuple[Limit, list[int]]]:
    """Each limit that is set and what is past it; NaN is past none."""
    possible: tuple[tuple[float | None, Side, bool], ...] = (
        (limits.min, "low", False),
        (limits.max, "high", False),
        (limits.low_mad, "low", True),
        (limits.high_mad, "high", True),
    )
    for value, side, mad in possible:
        if value is None:
            continue
        got = comparison.scores if mad else comparison.values
        past = got < (-value if mad else value) if side == "low" else got > value
        yield Limit(side, value, mad), np.flatnonzero(past).tolist()
