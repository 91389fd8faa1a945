"""Which sites are flagged, and in which words."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.results.qc.flags import Flag, flags
from tests.results.qc.made import MAXIMAL, SLOPE, sites_of, sound

LOW = ThresholdSection(low_mad=4)
DEVIATION = 1.4826 * 0.05
"""Of the slopes of sound sites."""


def of(
    threshold: ThresholdSection,
    *plates: list[float] | list[float | str],
    measure: str = SLOPE,
    plate_sites: int = 20,
) -> list[Flag]:
    settings = QcSection(plate_sites=plate_sites)
    return flags(sites_of(measure, *plates), {measure: threshold}, settings)


def names(found: list[Flag]) -> list[str]:
    return ["-".join(flag.key) for flag in found]


def test_sound_sites_are_not_flagged() -> None:
    assert of(LOW, sound(40)) == []


@pytest.mark.parametrize(("deviations", "flagged"), [(3.99, 0), (4.01, 1), (40, 1)])
def test_a_site_is_flagged_past_the_threshold(deviations: float, flagged: int) -> None:
    values = [*sound(40), -2 - deviations * DEVIATION]
    found = of(LOW, values)
    assert len(found) == flagged
    for flag in found:
        assert flag.key == ("P1", "A01", "41")
        assert flag.score == pytest.approx(-deviations)
        assert flag.median == pytest.approx(-2)
        assert flag.severity == pytest.approx(deviations / 4)


def test_a_low_threshold_lets_high_values_pass_and_the_other_way_round() -> None:
    values = [*sound(40), -2.5, -1.5]
    assert names(of(LOW, values)) == ["P1-A01-41"]
    assert names(of(ThresholdSection(high_mad=4), values)) == ["P1-A01-42"]
    both = ThresholdSection(low_mad=4, high_mad=4)
    assert sorted(names(of(both, values))) == ["P1-A01-41", "P1-A01-42"]


@pytest.mark.parametrize(("value", "flagged"), [(0.25, 0), (0.2500001, 1)])
def test_a_fixed_limit_is_passed_above_it(value: float, flagged: int) -> None:
    found = of(ThresholdSection(max=0.25), [0.001] * 30 + [value], measure=MAXIMAL)
    assert len(found) == flagged


def test_a_fixed_limit_needs_no_spread() -> None:
    (flag,) = of(ThresholdSection(max=0.25), [0.001] * 30 + [3.0], measure=MAXIMAL)
    assert (flag.score, flag.median) == (None, 0.001)
    assert flag.severity == pytest.approx(12)


def test_values_below_a_fixed_limit_are_flagged() -> None:
    assert names(of(ThresholdSection(min=-2.2), [*sound(30), -2.3])) == ["P1-A01-31"]


def test_a_constant_measure_flags_nothing_by_deviations() -> None:
    both = ThresholdSection(low_mad=1, high_mad=1)
    assert of(both, [1.0] * 30) == []
    assert of(both, [1.0] * 30 + [9.0]) == []


def test_what_is_no_number_is_not_flagged() -> None:
    every = ThresholdSection(low_mad=1, high_mad=1, min=-2.1, max=-1.9)
    values: list[float | str] = [*sound(30), "nan", "", "inf", "None"]
    found = of(every, values)
    assert {flag.key.site for flag in found}.isdisjoint({"31", "32", "33", "34"})
    assert all(math.isfinite(flag.value) for flag in found)


def test_a_site_is_flagged_once_a_measure() -> None:
    (flag,) = of(ThresholdSection(low_mad=4, min=-2.2), [*sound(40), -3.0])
    assert flag.limit.mad


def test_each_plate_is_compared_with_itself() -> None:
    other = [value - 1 for value in sound(40)]
    found = of(LOW, [*sound(40), -3.0], other)
    assert names(found) == ["P1-A01-41"]
    assert found[0].compared_with == "plate"


def test_a_small_plate_is_compared_with_the_batch() -> None:
    small = [-2.0] * 10 + [-2.5]
    found = of(LOW, sound(40), small)
    assert names(found) == ["P2-A01-11"]
    assert found[0].compared_with == "batch"
    assert of(LOW, sound(40), small, plate_sites=11) == []


@pytest.mark.parametrize("step", [1e-9, 0.001, 0.01])
def test_sharp_sites_that_are_nearly_the_same_are_not_flagged(step: float) -> None:
    alike = [-2 + step * (i % 5 - 2) for i in range(40)]
    assert of(LOW, [*alike, -2.15]) == []  # 4 times 2 % of the median is more
    assert names(of(LOW, [*alike, -2.17])) == ["P1-A01-41"]
    floor = ThresholdSection(low_mad=4, least_deviation=0.1)
    assert of(floor, [*alike, -2.39]) == []
    assert names(of(floor, [*alike, -2.41])) == ["P1-A01-41"]


@pytest.mark.parametrize(("sites", "flagged"), [(3, 0), (4, 0), (7, 0), (8, 4), (9, 4)])
def test_plates_of_few_sites_are_not_scored(sites: int, flagged: int) -> None:
    plates = [[*sound(sites - 1), -4.0] for _ in range(4)]
    assert len(of(LOW, *plates)) == flagged
    assert len(of(LOW, sound(400), *plates)) == flagged


def test_sites_without_a_value_are_not_counted() -> None:
    few: list[float | str] = [*sound(6), -4.0, "nan", "nan"]
    assert of(LOW, few) == []
    assert names(of(LOW, [*few, -2.0])) == ["P1-A01-7"]


def test_fixed_limits_hold_for_plates_of_few_sites() -> None:
    (flag,) = of(ThresholdSection(low_mad=4, min=-3), [-2.0, -2.1, -4.0])
    assert not flag.limit.mad
    assert flag.why.endswith("is below the limit of -3")


def test_the_worst_comes_first() -> None:
    found = of(LOW, [*sound(40), -2.5, -3.5, -3.0])
    assert names(found) == ["P1-A01-42", "P1-A01-43", "P1-A01-41"]


def test_why_is_given_in_words() -> None:
    (flag,) = of(LOW, [*sound(40), -2.5])
    assert flag.reason == "blurred"
    assert flag.why == (
        "OrigDNA blurred: PowerLogLogSlope -2.5 is 6.74 robust deviations below the "
        "plate's median of -2 (limit 4)"
    )
    (flag,) = of(ThresholdSection(max=0.25), [0.001] * 30 + [3.0], measure=MAXIMAL)
    assert flag.why == (
        "OrigDNA saturated or blank: PercentMaximal 3 is above the limit of 0.25"
    )


@pytest.mark.parametrize(
    ("measure", "threshold", "reason"),
    [
        ("Count_Cells", ThresholdSection(min=1), "Count of Cells low"),
        ("ImageQuality_StdIntensity_DNA", ThresholdSection(min=1), "StdIntensity low"),
        ("ImageQuality_FocusScore_DNA", ThresholdSection(min=1), "blurred"),
        ("ImageQuality_Correlation_DNA_20", ThresholdSection(max=-1), "blurred"),
        ("Metadata_QCFlag", ThresholdSection(max=-1), "flagged by the pipeline"),
    ],
)
def test_reasons_are_the_same_for_all_channels(
    measure: str, threshold: ThresholdSection, reason: str
) -> None:
    assert {flag.reason for flag in of(threshold, [0.0], measure=measure)} == {reason}


@pytest.mark.parametrize(("contrast", "flagged"), [(3.1, []), (2.9, ["P1-A01-31"])])
def test_what_has_far_more_contrast_than_most_is_not_blurred(
    contrast: float, flagged: list[str]
) -> None:
    """As an image of cells among empty ones, whose noise has a high slope."""
    found = sites_of(SLOPE, [*sound(30), -6.0])
    focus = np.array([*[1.0] * 30, contrast])
    values = {**found.values, SLOPE.replace("PowerLogLogSlope", "FocusScore"): focus}
    sites = replace(found, values=values)
    assert names(flags(sites, {SLOPE: LOW}, QcSection())) == flagged
