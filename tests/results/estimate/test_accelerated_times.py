"""Forecasts of accelerated modules are made of their times alone."""

import pytest

from cpengine.model import ALL_OFF, ExactCheck, Outcome
from cpengine.results.estimate.accelerated_times import of_mode
from cpengine.results.estimate.model import Measured
from tests.results.estimate.build import job

RAN = {"running": 20.0, "fetching": 1.0, "checking": 5.0}
PLAIN = Outcome(job("P1"), cpu_s=19.0, phase_s=RAN)
FAST = Outcome(job("P1"), cpu_s=4.0, phase_s={"running": 5.0}, exact=("texture",))
OFF = Outcome(job("P1"), cpu_s=19.0, phase_s=RAN, exact_off={ALL_OFF: "no host"})
WAY = ExactCheck(("texture",), 1, 3, wall_s=5.0, cpu_s=4.0, start_s=6.0)
CHECKED = Outcome(job("P1"), cpu_s=19.0, phase_s=RAN, check=WAY, peak_memory=9)
FIRST = Outcome(job("P1", image_sets=99), exact=("texture",), check=WAY, cpu_s=50.0)


@pytest.mark.parametrize(
    ("outcomes", "exact", "cpu_s"),
    [
        ([PLAIN, FAST], True, [4.0]),
        ([PLAIN, FAST], False, [19.0]),
        ([PLAIN], True, []),
        ([FAST], False, []),
        ([OFF, PLAIN], True, [19.0]),
        ([OFF, FAST], True, [4.0]),
        ([CHECKED], True, [4.0]),
        ([CHECKED], False, [19.0]),
        ([FIRST], True, [50.0]),
        ([FIRST], False, []),
    ],
)
def test_each_mode_has_its_own_times(
    outcomes: list[Outcome], exact: bool, cpu_s: list[float]
) -> None:
    assert [o.cpu_s for o in of_mode(outcomes, exact=exact)] == cpu_s


def test_what_a_comparison_took_is_no_jobs_time() -> None:
    (plain,), (fast,) = (of_mode([CHECKED], exact=exact) for exact in (False, True))
    assert Measured.of(plain).slot_s == 20.0
    assert (Measured.of(fast).slot_s, Measured.of(fast).peak_memory) == (11.0, 9)
