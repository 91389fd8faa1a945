"""Which thresholds hold for which measure. Pure.

Sources of the built-in ones: CellProfiler 4.2.8's help of MeasureImageQuality, which
recommends PowerLogLogSlope for blur and PercentMaximal for saturation, and M.-A. Bray
et al., "Workflow and metrics for image quality control in large-scale high-content
screens", J Biomol Screen 17(2), 2012, doi 10.1177/1087057111420292. Neither gives
numbers that hold for every assay: the numbers are our choice.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.errors import ConfigError
from cpengine.results.qc.names import ImageMeasure
from cpengine.wording import did_you_mean

_SLOPE = ThresholdSection(low_mad=4, least_deviation=0.05)
BUILT_IN: Mapping[str, ThresholdSection] = {
    "ImageQuality_PowerLogLogSlope_*": _SLOPE,
    "ImageQuality_PercentMaximal_*": ThresholdSection(max=0.25),
    "Metadata_QCFlag*": ThresholdSection(max=0),
}
"""A blurred image has a steeper, that is lower, slope than others of its plate; those
of sound images vary by 0.05 and more (`benchmarks/results/quality.txt`). In a
sound image hardly more than one pixel has the image's maximum, so that the percentage
has no spread to speak of and gets a fixed limit. FlagImage writes 1 for what it flags.
"""

_OPTIONAL = frozenset({"ImageQuality", "Intensity", "Count", "Metadata"})
"""Kinds of measure that not every step makes."""


def chosen(measures: Sequence[str], settings: QcSection) -> dict[str, ThresholdSection]:
    """Give the threshold of each measure that has one.

    Raises
    ------
    ConfigError
        A threshold of the user's own is for no measure, or can never be met.
    """
    mine = settings.thresholds
    wrong = [*_unmatched(measures, mine), *_impossible(mine)]
    if wrong:
        raise ConfigError("\n".join(wrong))
    patterns = {**BUILT_IN, **mine}
    found = {}
    for measure in measures:
        matching = [p for p in patterns if fnmatchcase(measure, p)]
        if matching:
            found[measure] = patterns[max(matching, key=_specific)]
    return found


def _specific(pattern: str) -> tuple[int, int]:
    """How much of a name a pattern says; of two that say as much, the plainer one."""
    signs = sum(map(pattern.count, "*?["))
    return len(pattern) - signs, -signs


def _unmatched(measures: Sequence[str], patterns: Iterable[str]) -> Iterable[str]:
    """Patterns that name nothing, but for kinds of measure that a step may lack."""
    absent = _OPTIONAL - {ImageMeasure.parse(measure).category for measure in measures}
    for pattern in patterns:
        known = any(fnmatchcase(measure, pattern) for measure in measures)
        if not known and ImageMeasure.parse(pattern).category not in absent:
            place = f'qc.thresholds."{pattern}"'
            yield f"{place}: no measure has such a name{_nearest(pattern, measures)}"


def _nearest(pattern: str, measures: Sequence[str]) -> str:
    """The nearest measure, or the kinds that there are."""
    if hint := did_you_mean(pattern, measures, cutoff=0.3, form=": {}"):
        return hint
    first = ", ".join(sorted({_family(measure) for measure in measures})[:8])
    return f": there are {first}"


def _family(measure: str) -> str:
    parts = ImageMeasure.parse(measure)
    return f"{parts.category}_{parts.feature}_*"


def _impossible(thresholds: Mapping[str, ThresholdSection]) -> Iterable[str]:
    for pattern, limits in thresholds.items():
        low, high = limits.min, limits.max
        if low is not None and high is not None and low > high:
            yield (
                f'qc.thresholds."{pattern}": min {low:g} is above max {high:g}: '
                "swap them, or every value is flagged"
            )
