"""What measured jobs tell of others, and of a run as a whole."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.model import Outcome
from cpengine.results.estimate.model import (
    UNKNOWN,
    Interval,
    Line,
    Measured,
    fit,
    makespan,
    walls,
)
from tests.results.estimate.build import ANY, measured

# How long jobs take


def test_jobs_of_one_size_take_their_mean() -> None:
    found = fit([measured(8.0), measured(10.0), measured(12.0)])
    assert found.seconds == Line(10.0, 0.0)
    assert found.spread == pytest.approx(0.2)


def test_a_fixed_part_and_one_for_each_image_set_are_separated() -> None:
    found = fit([measured(4 + 2 * n, n) for n in (1, 2, 5, 9)])
    assert found.seconds.fixed == pytest.approx(4)
    assert found.seconds.per_image_set == pytest.approx(2)
    assert found.seconds(20) == pytest.approx(44)
    assert found.spread == pytest.approx(0)
    assert found.cpu(20) == pytest.approx(22)


def test_no_part_is_below_zero() -> None:
    assert Line.through([(1, 9.0), (9, 5.0)]) == Line(7.0, 0.0)
    assert Line.through([(2, 1.0), (8, 9.0)]) == Line(0.0, 1.0)


def test_one_job_alone_tells_no_spread() -> None:
    found = fit([measured(10.0)])
    assert found.free == 0
    assert found.spread == UNKNOWN


def test_two_sizes_with_one_job_each_tell_no_spread() -> None:
    assert fit([measured(10.0, 1), measured(20.0, 9)]).spread == UNKNOWN


def test_the_start_of_a_cellprofiler_is_not_taken_for_the_job() -> None:
    first = [measured(20.0, own_s=7.0), measured(18.0, own_s=6.5)]
    found = fit([*first, *[measured(10.0)] * 6])
    assert found.seconds.fixed == pytest.approx(10)
    assert found.start_s == pytest.approx(9)
    assert found.cpu(1) == pytest.approx(5)


def test_where_all_jobs_were_the_first_the_usual_start_is_taken_off() -> None:
    found = fit([measured(20.0, own_s=8.0), measured(18.0, own_s=5.5)])
    assert found.seconds.fixed == pytest.approx((14 + 13) / 2)
    assert found.start_s == pytest.approx((6 + 5) / 2)


def test_a_start_that_each_job_pays_is_the_jobs_own() -> None:
    found = fit([measured(20.0, own_s=8.0), measured(18.0, own_s=5.5)], warm=False)
    assert found.seconds.fixed == pytest.approx(19)
    assert found.start_s == 0


def test_jobs_that_waited_for_a_slot_were_not_the_first() -> None:
    found = fit([measured(20.0, own_s=4.0), measured(18.0, own_s=4.0, waited_s=20.0)])
    assert found.seconds.fixed == pytest.approx(19)
    assert found.start_s == 0


def test_much_time_outside_of_modules_in_all_of_many_jobs_is_no_start() -> None:
    found = fit([measured(20.0, own_s=8.0)] * 20)
    assert found.seconds.fixed == pytest.approx(20)
    assert found.start_s == 0


def test_memory_is_the_most_and_what_95_percent_need() -> None:
    found = fit([measured(1.0, peak_memory=n) for n in range(1, 101)])
    assert (found.peak_95, found.peak_max) == (95, 100)


def test_jobs_whose_memory_was_not_seen_do_not_count_for_it() -> None:
    found = fit([measured(1.0, peak_memory=5), measured(1.0)])
    assert found.peaks == (5,)
    assert fit([measured(1.0)]).peak_max == fit([measured(1.0)]).peak_95 == 0


def outcome(**phases: float) -> Outcome:
    return Outcome(
        replace(ANY, image_sets=3),
        wall_s=90.0,
        phase_s=phases,
        module_s={"1 LoadData": 2.0, "2 Crop": 6.0},
        cpu_s=7.0,
        peak_memory=11,
    )


def test_waiting_for_a_slot_does_not_count() -> None:
    phases = {"fetching": 1.0, "waiting": 79.0, "running": 9.0, "publishing": 1.0}
    found = Measured.of(outcome(**phases))
    assert (found.slot_s, found.own_s, found.waited_s) == (9.0, 1.0, 79.0)
    assert found.image_sets == 3
    assert (found.cpu_s, found.peak_memory) == (7.0, 11)


def test_a_slot_waits_for_files_that_take_longer_than_cellprofiler() -> None:
    phases = {"fetching": 12.0, "running": 9.0, "publishing": 3.0}
    assert Measured.of(outcome(**phases)).slot_s == 15.0


# How long a run takes


@pytest.mark.parametrize(
    ("seconds", "slots", "end"),
    [
        ([], 2, 0.0),
        ([5.0], 8, 5.0),
        ([5.0, 3.0], 2, 5.0),
        ([4.0, 3.0, 3.0], 2, 6.0),
        ([1.0] * 12, 4, 3.0),
        ([9.0, 1.0, 1.0, 1.0], 2, 9.0),
        ([2.0, 2.0, 2.0], 1, 6.0),
    ],
)
def test_the_last_job_ends_when_it_must(
    seconds: list[float], slots: int, end: float
) -> None:
    assert makespan(seconds, slots) == pytest.approx(end)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=40), st.integers(1, 8))
def test_no_schedule_beats_its_bounds(seconds: list[float], slots: int) -> None:
    end = makespan(sorted(seconds, reverse=True), slots)
    least = max(max(seconds), sum(seconds) / slots)
    assert least * 0.999 <= end <= (2 - 1 / slots) * least * 1.001


def test_jobs_that_do_not_differ_leave_only_what_machines_differ() -> None:
    found = fit([measured(10.0)] * 9)
    assert found.spread == 0
    wall = Interval.of(walls(found, [1] * 8, 2))
    assert wall.typical == pytest.approx(40, rel=0.02)
    assert 36 < wall.low < wall.typical < wall.high < 44


def test_each_slot_starts_a_cellprofiler_once() -> None:
    first = [measured(19.0, own_s=7.0)] * 2
    found = fit([*first, *[measured(10.0)] * 8])
    wall = Interval.of(walls(found, [1] * 8, 2))
    assert wall.typical == pytest.approx(49, rel=0.03)


def test_few_measured_jobs_leave_a_wider_interval() -> None:
    few, many = ([measured(s) for s in (8.0, 10.0, 12.0)] * n for n in (1, 20))
    width = [
        (wall := Interval.of(walls(fit(some), [1] * 50, 2))).high - wall.low
        for some in (few, many)
    ]
    assert width[0] > 1.5 * width[1]


def test_the_same_is_drawn_again() -> None:
    found = fit([measured(8.0), measured(12.0)])
    assert walls(found, [1] * 9, 2, "a") == walls(found, [1] * 9, 2, "a")
    assert walls(found, [1] * 9, 2, "a") != walls(found, [1] * 9, 2, "b")


def test_nothing_left_takes_no_time() -> None:
    assert set(walls(fit([measured(8.0)]), [], 2)) == {0.0}


def test_very_many_jobs_take_what_their_work_takes() -> None:
    found = fit([measured(s) for s in (9.0, 10.0, 11.0)] * 30)
    wall = Interval.of(walls(found, [1] * 100_000, 100))
    assert wall.typical == pytest.approx(10_000, rel=0.03)
    assert wall.low > 9_000


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(7)
    held = 0
    for number in range(100):
        drift = rng.gauss(1, 0.05)
        pilot = [measured(10 * rng.lognormvariate(0, 0.2)) for _ in range(8)]
        truth = [10 * drift * rng.lognormvariate(0, 0.2) for _ in range(60)]
        wall = Interval.of(walls(fit(pilot), [1] * 60, 4, str(number)))
        held += wall.low <= makespan(truth, 4) <= wall.high
    assert 68 <= held <= 92
