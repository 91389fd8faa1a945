"""Where a step stands, in numbers."""

import pytest

from cpengine.events import (
    Event,
    JobEnded,
    JobRetried,
    JobStarted,
    ModuleDone,
    PhaseBegun,
)
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.run.progress import Counts
from cpengine.testing import jobs
from tests.run.progress.screen import Clock, ended, of

A, B, C = jobs("A", "B", "C")
ERROR = Failure(FailureKind.CELLPROFILER, "ValueError: no", "Crop", "/logs/B.log")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counts(*events: Event, clock: Clock | None = None, image_sets: int = 3) -> Counts:
    counts = Counts(3, image_sets, clock=clock or Clock())
    for event in events:
        counts.add(event)
    return counts


def test_jobs_are_counted_by_where_they_stand() -> None:
    found = counts(
        JobStarted(A, 1), JobStarted(B, 1), JobEnded(Outcome(A)), JobStarted(C, 1)
    )
    assert (found.done, len(found.running), found.failed, found.left) == (1, 2, 0, 0)


def test_a_failed_job_counts_as_failed() -> None:
    found = counts(JobStarted(B, 1), JobEnded(Outcome(B, ERROR)))
    assert (found.done, found.failed, found.left) == (0, 1, 2)


def test_a_job_to_be_tried_again_is_left_and_counted_apart() -> None:
    found = counts(JobStarted(B, 1), JobRetried(Outcome(B, ERROR)))
    assert (len(found.running), found.failed, found.left) == (0, 0, 3)
    assert "3 left, 1 tried again, " in str(found)


def test_image_sets_of_a_running_job_count_once_the_next_has_begun() -> None:
    lines = [ModuleDone(A, n, "Crop", 2, 0.1) for n in (7, 7, 8)]
    assert counts(JobStarted(A, 1), *lines).seen_image_sets == 1


@pytest.mark.parametrize(
    "late",
    [
        PhaseBegun(A, "running"),
        ModuleDone(A, 1, "Crop", 2, 0.1),
        JobRetried(Outcome(A, ERROR)),
    ],
)
def test_what_is_reported_of_a_job_after_its_end_changes_nothing(late: Event) -> None:
    found = counts(JobStarted(A, 1), JobEnded(Outcome(A)), late)
    assert (found.done, found.running) == (1, {})


def test_jobs_that_end_without_a_start_are_counted() -> None:
    found = counts(JobEnded(Outcome(A)), JobEnded(Outcome(B, ERROR)))
    assert (found.done, found.failed, found.left) == (1, 1, 1)


# The pace


def test_rate_and_time_left_follow_from_image_sets(clock: Clock) -> None:
    found = counts(JobStarted(A, 1), clock=clock)
    clock.now = 60
    found.add(JobEnded(Outcome(A)))
    assert (found.per_minute, found.eta) == (1, "0:02:00")


def test_the_rate_is_that_of_the_last_minutes(clock: Clock) -> None:
    many = [of(Metadata_Plate="P", Metadata_Site=str(n)) for n in range(2_000)]
    found = Counts(len(many), len(many), clock=clock)
    for n, job in enumerate(many[:1_000]):  # one a second, then one in ten seconds
        clock.now += 1 if n < 800 else 10
        found.add(ended(job))
    assert found.per_minute == pytest.approx(6, abs=0.3)
    assert found.eta == pytest.approx("2:46:40")


def test_the_rate_since_the_start_counts_where_nothing_came_of_late(
    clock: Clock,
) -> None:
    found = counts(clock=clock)
    clock.now = 60
    found.add(ended(A))
    clock.now = 3_600
    found.add(JobStarted(B, 1))
    assert found.per_minute == pytest.approx(1 / 60)


def test_failures_do_not_make_the_rate_faster(clock: Clock) -> None:
    found = counts(clock=clock)
    clock.now = 60
    found.add(ended(A, "channel missing"))
    assert (found.per_minute, found.eta) == (0, "-:--:--")
    found.add(ended(B))
    assert (found.per_minute, found.eta) == (1, "0:01:00")


def test_image_sets_that_are_gone_through_again_count_as_work(clock: Clock) -> None:
    modules = [ModuleDone(A, number, "Crop", 1, 0.1) for number in (1, 2, 3)]
    found = counts(JobStarted(A, 1), *modules, clock=clock)
    clock.now = 60
    found.add(JobRetried(Outcome(A, ERROR)))
    assert (found.per_minute, found.seen_image_sets) == (2, 0)


# Modules


def test_the_last_module_is_known_when_an_image_set_is_through(clock: Clock) -> None:
    found = counts(JobStarted(A, 1), clock=clock)
    for number in (1, 2, 5):
        found.add(ModuleDone(A, 1, "Crop", number, 0.1))
    assert found.modules == 0
    found.add(ModuleDone(A, 2, "Crop", 1, 0.1))
    assert found.modules == 5


def test_a_job_that_failed_half_way_does_not_tell_the_last_module() -> None:
    found = counts(
        JobStarted(A, 1), ModuleDone(A, 1, "Crop", 2, 0.1), JobEnded(Outcome(A, ERROR))
    )
    assert found.modules == 0
