"""Which threshold holds for a measure, and settings that are wrong."""

import tomllib

import pytest
from pydantic import ValidationError

from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.errors import ConfigError
from cpengine.results.qc.thresholds import BUILT_IN, chosen
from tests.results.qc.made import MAXIMAL, MEAN, SLOPE

MEASURES = [MAXIMAL, MEAN, SLOPE, "ImageQuality_PowerLogLogSlope_OrigER"]


def settings(text: str) -> QcSection:
    return QcSection.model_validate(tomllib.loads(text))


def thresholds(text: str = "") -> dict[str, ThresholdSection]:
    return chosen(MEASURES, settings(text))


def refusal(text: str, measures: list[str] = MEASURES) -> str:
    with pytest.raises(ConfigError) as caught:
        chosen(measures, settings(text))
    return str(caught.value)


def test_blur_and_saturation_have_thresholds_without_any_setting() -> None:
    found = thresholds()
    assert set(found) == {MAXIMAL, *MEASURES[2:]}
    assert found[SLOPE] == BUILT_IN["ImageQuality_PowerLogLogSlope_*"]
    assert found[SLOPE].high_mad is None


def test_a_pattern_of_ones_own_replaces_the_built_in_one() -> None:
    found = thresholds('[thresholds."ImageQuality_PowerLogLogSlope_*"]\nhigh_mad = 6\n')
    assert found[SLOPE] == ThresholdSection(high_mad=6)


def test_an_empty_section_switches_a_threshold_off() -> None:
    found = thresholds('[thresholds."ImageQuality_PowerLogLogSlope_*"]\n')
    assert found[SLOPE] == ThresholdSection()


def test_the_most_specific_pattern_wins() -> None:
    found = thresholds(
        f'[thresholds."*"]\nmin = 1\n[thresholds."{SLOPE}"]\nmin = 2\n'
        '[thresholds."ImageQuality_*"]\nmin = 3\n'
    )
    assert found[SLOPE].min == 2
    assert found[MEASURES[3]].low_mad == 4
    assert found[MEAN].min == 3


def test_an_unknown_measure_is_reported_with_the_nearest() -> None:
    text = '[thresholds."ImageQuality_PowerLogSlope_*"]\nlow_mad = 4\n'
    assert refusal(text) == (
        'qc.thresholds."ImageQuality_PowerLogSlope_*": no measure has such a name: '
        "did you mean ImageQuality_PowerLogLogSlope_OrigER?"
    )


def test_a_measure_like_none_is_reported_with_what_there_is() -> None:
    assert refusal("[thresholds.zzz]\nmin = 1\n") == (
        'qc.thresholds."zzz": no measure has such a name: there are '
        "ImageQuality_MeanIntensity_*, ImageQuality_PercentMaximal_*, "
        "ImageQuality_PowerLogLogSlope_*"
    )


def test_a_kind_of_measure_that_the_step_does_not_make_is_no_error() -> None:
    assert "Count_Cells" not in thresholds("[thresholds.Count_Cells]\nmin = 1\n")


def test_limits_that_nothing_can_keep_are_refused() -> None:
    text = f"[thresholds.{MEAN}]\nmin = 2\nmax = 1\n"
    assert "min 2 is above max 1: swap them" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "[thresholds.x]\nlow_mad = 0\n",
        "[thresholds.x]\nlow = 1\n",
        "measures = []\n",
        "plate_sites = 0\n",
        "[controls]\nnegcon = []\n",
    ],
)
def test_values_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        settings(text)


def test_controls_are_a_list_or_named_lists() -> None:
    assert settings('controls = ["A01"]').controls == ["A01"]
    named = settings('[controls]\nnegcon = ["A01", "B01"]').controls
    assert named == {"negcon": ["A01", "B01"]}
