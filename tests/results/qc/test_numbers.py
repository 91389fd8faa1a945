"""Robust scores and variation, against the standard library's statistics."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.results.qc.numbers import centre, mean, scores, variation

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def by_hand(values: list[float]) -> tuple[float, float]:
    median = statistics.median(values)
    return median, 1.4826 * statistics.median(abs(v - median) for v in values)


@given(VALUES)
def test_median_and_robust_deviation_are_those_of_the_definition(
    values: list[float],
) -> None:
    found = centre(np.array(values))
    assert found is not None
    assert (found.median, found.spread) == pytest.approx(by_hand(values))


@given(VALUES)
def test_scores_count_robust_deviations_from_the_median(values: list[float]) -> None:
    array = np.array(values)
    median, spread = by_hand(values)
    found = scores(array, centre(array))
    if spread > 1e-9 * abs(median):
        deviation = max(spread, 0.02 * abs(median))
        expected = [(value - median) / deviation for value in values]
        assert found.tolist() == pytest.approx(expected)


@given(VALUES)
def test_no_score_counts_deviations_of_nearly_nothing(values: list[float]) -> None:
    array = np.array(values)
    found = scores(array, centre(array), 5.0)
    away = np.abs(array - statistics.median(values))
    assert (np.nan_to_num(np.abs(found)) <= away / 5.0 + 1e-9).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_variation_is_that_of_the_sample(values: list[float]) -> None:
    found = variation(np.array(values))
    assert found is not None
    assert found.wells == len(values)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found.sd == pytest.approx(statistics.stdev(values), abs=1e-6)


def test_the_coefficient_of_variation_is_in_percent_of_the_means_size() -> None:
    found = variation(np.array([-1.0, -2.0, -3.0]))
    assert found is not None
    assert found.cv_percent == pytest.approx(50.0)


def test_a_mean_of_zero_has_no_coefficient_of_variation() -> None:
    found = variation(np.array([-1.0, 1.0]))
    assert found is not None
    assert found.cv_percent is None


def test_one_well_has_no_variation() -> None:
    assert variation(np.array([1.0, math.nan])) is None


def test_what_is_no_number_counts_nowhere() -> None:
    values = np.array([1.0, math.nan, 2.0, 4.0])
    found = centre(values)
    assert found is not None
    assert (found.median, found.spread) == pytest.approx((2.0, 1.4826))
    assert np.isnan(scores(values, found)).tolist() == [False, True, False, False]
    assert mean(values) == pytest.approx(7 / 3)


def test_nothing_but_nan_has_no_centre_and_no_mean() -> None:
    values = np.array([math.nan, math.nan])
    assert centre(values) is None
    assert np.isnan(scores(values, None)).all()
    assert math.isnan(mean(values))


@pytest.mark.parametrize("values", [[3.0] * 9, [0.0] * 9, [0.1] * 6 + [0.1 + 1e-17, 9]])
def test_what_is_mostly_the_same_has_no_scores(values: list[float]) -> None:
    array = np.array(values)
    assert np.isnan(scores(array, centre(array))).all()
