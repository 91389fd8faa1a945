"""Numbers as people read them."""

import math

import pytest

from cpengine.results.html import numbers
from cpengine.results.html.numbers import Spread


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 MB"), (424988672, "405 MB"), (1024**3, "1 GB"), (1.5 * 1024**3, "1.5 GB")],
)
def test_sizes_are_of_1024(size: float, text: str) -> None:
    assert numbers.size(size) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.0001, "< 0.1 %"),
        (0.9999, "> 99.9 %"),
        (0.012, "1.2 %"),
        (0.996, "99.6 %"),
        (0.64, "64 %"),
    ],
)
def test_a_part_is_never_all_or_nothing_unless_it_is(part: float, text: str) -> None:
    assert numbers.percent(part) == text


def test_counts_and_values() -> None:
    assert numbers.count(12345.0) == "12,345"
    assert [numbers.value(v) for v in (0, -2.32012, 0.0154349, 12345.6)] == [
        "0",
        "-2.32",
        "0.0154",
        "12,346",
    ]


def test_numbers_of_the_page_have_few_digits_and_no_nan() -> None:
    assert numbers.short(0.0154349) == 0.01543
    assert str(numbers.short(18.0)) == "18"
    assert numbers.short(math.nan) is None


def test_spread_of_values() -> None:
    found = Spread.of(range(101))
    assert found == Spread(low=2, median=50, high=98, least=0, most=100)
    assert Spread.of([]) is None
    assert Spread.of([7]) == Spread(7, 7, 7, 7, 7)
