"""What follows from failures: another try, the end of a run, a common cause."""

import gc
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cpengine.executors.retry import (
    CURES,
    HOPELESS,
    LOST,
    MOST_CAUSES,
    Tally,
    causes,
    next_try,
)
from cpengine.marker import Marker, marker_of
from cpengine.model import ATTEMPTS, UNCOUNTED, Failure, FailureKind, Job, Outcome
from cpengine.run.progress.failing import Failing
from cpengine.testing import jobs

(JOB,) = jobs("A")


def failed(
    kind: FailureKind,
    *,
    attempt: int = 1,
    message: str = "it broke",
    module: str | None = None,
    job: Job = JOB,
) -> Outcome:
    failure = Failure(kind, message, module)
    return Outcome(job, failure, attempt, versions={"cellprofiler": "4.2.8.1"})


@pytest.mark.parametrize("kind", FailureKind)
def test_a_job_is_tried_as_often_as_its_failure_deserves(kind: FailureKind) -> None:
    tries, again = 1, next_try(failed(kind), 0)
    while again and tries < 9:
        tries += 1
        again = next_try(failed(kind, attempt=again.attempt, job=again.job), 0)
    assert tries == (LOST if kind in UNCOUNTED else ATTEMPTS.get(kind, 1))


def test_out_of_memory_gets_twice_the_memory_and_slots() -> None:
    job = replace(JOB, memory_gb=1.5)
    again = next_try(failed(FailureKind.OUT_OF_MEMORY, job=job), 0)
    assert again is not None
    assert (again.job.memory_gb, again.job.share) == (3.0, 2)


@pytest.mark.parametrize("kind", [FailureKind.STORAGE, FailureKind.MACHINE])
def test_what_may_pass_is_waited_for_four_times_longer_each_time(
    kind: FailureKind,
) -> None:
    waits = []
    for attempt in (1, 2):
        again = next_try(failed(kind, attempt=attempt), 5.0)
        assert again is not None
        waits.append(again.after_s)
    assert waits == [5.0, 20.0]


@pytest.mark.parametrize("kind", sorted(UNCOUNTED))
def test_a_job_that_lost_its_worker_waits_four_times_longer_each_time(
    kind: FailureKind,
) -> None:
    waits, again = [], next_try(failed(kind), 5.0)
    while again:
        waits.append((again.attempt, again.after_s))
        again = next_try(failed(kind, job=again.job), 5.0)
    assert waits == [(1, 5.0), (1, 20.0), (1, 80.0), (1, 320.0)]


def test_workers_lost_in_another_run_or_another_way_count_as_they_should() -> None:
    spot, node = failed(FailureKind.SPOT_LOST), failed(FailureKind.NODE_LOST)
    before = replace(JOB, earlier=(marker_of(spot), marker_of(node)))
    job, tries = before, 1
    for kind in [FailureKind.SPOT_LOST, FailureKind.NODE_LOST] * LOST:
        again = next_try(failed(kind, job=job), 0)
        if again is None:
            break
        job, tries = again.job, tries + 1
    assert tries == LOST


def test_the_next_try_knows_the_marker_of_the_failure() -> None:
    again = next_try(failed(FailureKind.CRASH), 0)
    assert again is not None
    marker = Marker.parse(again.job.earlier[-1])
    assert marker is not None
    assert (marker.job_id, marker.failure) == ("A", "crash")


def test_a_done_job_is_not_tried_again() -> None:
    assert next_try(Outcome(JOB), 0) is None


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_of_failure_has_a_cure(kind: FailureKind) -> None:
    assert CURES[kind]


def tally(limit: int | None, *outcomes: Outcome) -> str:
    counted = Tally(limit)
    for outcome in outcomes:
        counted.add(outcome)
    return counted.stopped


CRASH = failed(FailureKind.CRASH)


def test_a_limit_of_failures_ends_a_run() -> None:
    assert tally(3, CRASH, Outcome(JOB), CRASH) == ""
    assert tally(3, CRASH, Outcome(JOB), CRASH, CRASH) == (
        "3 jobs failed, 3 of them so: crash: it broke"
    )


def test_without_a_limit_only_a_hopeless_run_ends() -> None:
    assert tally(None, *[CRASH] * (HOPELESS - 1)) == ""
    assert tally(None, *[CRASH] * HOPELESS) != ""
    assert tally(None, Outcome(JOB), *[CRASH] * 1000) == ""


def test_failures_that_differ_in_names_and_numbers_have_one_cause() -> None:
    made = [
        failed(
            FailureKind.CELLPROFILER,
            module="LoadData",
            message=f"OSError: could not open /data/P{i}/A0{i}_s1.tif ({i} bytes)",
        )
        for i in range(5)
    ]
    other = failed(FailureKind.CELLPROFILER, module="Crop", message="ValueError: no")
    first, second = causes([*made, other])
    assert (first.times, str(first)) == (
        5,
        "cellprofiler in LoadData: OSError: could not open /data/P0/A00_s1.tif "
        "(0 bytes)",
    )
    assert (second.times, second.cure) == (1, CURES[FailureKind.CELLPROFILER])


def _fail_alike_and_not(count: int) -> Iterator[Outcome]:
    """Outcomes of jobs of their own; of ten failures one is like no other."""
    for number in range(count):
        job = replace(JOB, group=(("Metadata_Site", str(number)),))
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        what = f"it {letters}" if number % 10 == 0 else f"no file in /data/{number}"
        yield failed(FailureKind.NO_OUTPUT, message=what, job=job)


@pytest.mark.parametrize("keep", [Tally(), Failing()])
def test_many_failures_take_no_more_room_than_a_few(
    keep: Tally | Failing,
) -> None:
    for outcome in _fail_alike_and_not(2_000):
        keep.add(outcome)
    gc.collect()
    tracemalloc.start()
    for outcome in _fail_alike_and_not(8_000):
        keep.add(outcome)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000


def test_causes_past_the_first_hundred_go_by_their_kind() -> None:
    found = causes(_fail_alike_and_not(2_000))
    assert len(found) == MOST_CAUSES + 1
    assert sum(cause.times for cause in found) == 2_000
    assert found[0].times == 1_800
