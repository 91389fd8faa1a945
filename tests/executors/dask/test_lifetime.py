"""When a worker takes no more jobs, so that it ends before its scheduler ends it."""

import pytest

from cpengine.executors.dask.lifetime import Lifetime

NOW = 1_000_000.0
HOUR = 3600.0


def _end(end_time: str) -> float:
    return Lifetime.of(HOUR, {"SLURM_JOB_END_TIME": end_time}, NOW, 0.0).end


def test_without_a_word_of_the_scheduler_the_walltime_counts_from_now() -> None:
    assert Lifetime.of(HOUR, {}, NOW, 0.0).end == NOW + HOUR


def test_what_slurm_says_of_the_end_counts_more() -> None:
    assert _end(str(int(NOW) + 100)) == NOW + 100


@pytest.mark.parametrize("end_time", ["", "Unknown", "-1", "2026-01-01T00:00:00"])
def test_what_is_no_time_is_no_word_of_the_scheduler(end_time: str) -> None:
    assert _end(end_time) == NOW + HOUR


@pytest.mark.parametrize(
    ("life_s", "chance", "margin_s"),
    [
        (600, 0.0, 30),  # a twentieth
        (600, 1.0, 60),  # and at most another one by chance
        (600, 0.5, 45),
        (4 * HOUR, 0.0, 120),  # at most two minutes
        (4 * HOUR, 1.0, 840),
        (0, 1.0, 0),
    ],
)
def test_the_margin_grows_with_life_and_has_a_part_by_chance(
    life_s: float, chance: float, margin_s: float
) -> None:
    found = Lifetime.of(life_s, {}, NOW, chance)
    assert found.margin_s == pytest.approx(margin_s)


def test_the_margin_is_that_of_the_life_which_is_left() -> None:
    environ = {"SLURM_JOB_END_TIME": str(int(NOW) + 600)}
    assert Lifetime.of(24 * HOUR, environ, NOW, 0.0).margin_s == pytest.approx(30)


def test_an_end_that_has_passed_leaves_no_life() -> None:
    environ = {"SLURM_JOB_END_TIME": str(int(NOW) - 1)}
    found = Lifetime.of(HOUR, environ, NOW)
    assert found.margin_s == 0
    assert found.over(NOW, 0.0)


def test_workers_that_start_together_do_not_end_together() -> None:
    margins = {Lifetime.of(HOUR, {}, NOW).margin_s for _ in range(20)}
    assert len(margins) > 1
    assert all(120 <= margin <= 300 for margin in margins)


@pytest.mark.parametrize(
    ("after_s", "longest_s", "over"),
    [
        (0, 0, False),
        (569, 0, False),
        (570, 0, True),  # with a margin of 30
        (449, 100, False),
        (450, 100, True),  # the next one may take 120
        (0, 480, True),
    ],
)
def test_it_is_over_when_one_more_job_might_not_end_in_time(
    after_s: float, longest_s: float, over: bool
) -> None:
    life = Lifetime.of(600, {}, NOW, 0.0)
    assert life.over(NOW + after_s, longest_s) is over
