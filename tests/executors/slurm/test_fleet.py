"""A run's workers, watched and replaced; the cluster and the clock are stand-ins."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from cpengine.errors import ExecutorError
from cpengine.executors.slurm.fleet import needed
from cpengine.executors.slurm.schedulers import (
    RefusedError,
    SchedulerState,
)
from cpengine.model import Failure, FailureKind
from tests.executors.slurm.fleet_cluster import Cluster, cluster

__all__ = ["cluster"]  # the fixture


# How many there are


@pytest.mark.parametrize(
    ("under_way", "least", "expected"),
    [(0, 0, 0), (1, 0, 1), (4, 0, 1), (5, 0, 2), (99, 0, 3), (0, 2, 2), (0, 9, 3)],
)
def test_there_are_as_many_workers_as_jobs_need(
    under_way: int, least: int, expected: int
) -> None:
    assert needed(under_way, slots=4, least=least, most=3) == expected


def test_as_many_workers_are_submitted_as_are_wanted(cluster: Cluster) -> None:
    assert cluster.lasts(5, wanted=3) == []
    assert cluster.numbers == ["1", "2", "3"]
    cluster.lasts(5, wanted=2)
    assert cluster.numbers == ["1", "2", "3"]
    assert cluster.cancelled == []


def test_not_all_workers_are_submitted_in_one_go(cluster: Cluster) -> None:
    counts = []
    for _ in range(4):
        cluster.tend(25)
        counts.append(len(cluster.submitted))
    assert counts == [10, 20, 25, 25]


@pytest.mark.parametrize("state", ["COMPLETED", "TIMEOUT", "CANCELLED", "DEADLINE"])
def test_a_worker_whose_job_ended_is_replaced(state: str, cluster: Cluster) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.lasts(60)
    cluster.ends("1", state)
    assert cluster.lasts(3) == []
    assert cluster.numbers == ["1", "2"]
    assert not cluster.fleet.troubled


def test_a_job_is_not_over_while_its_worker_is_there(cluster: Cluster) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.states["1"] = SchedulerState(
        "NODE_FAIL", "", "n1"
    )  # it has only fallen silent
    cluster.lasts(100)
    assert cluster.numbers == ["1"]


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "COMPLETING"])
def test_a_job_that_comes_back_to_the_queue_is_not_replaced(
    state: str, cluster: Cluster
) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.tend()
    cluster.ends("1", state)
    cluster.lasts(10)
    cluster.states["1"] = SchedulerState("PENDING", "BeginTime")
    cluster.lasts(100)
    cluster.comes("1", "n2", start=1)
    cluster.lasts(10)
    assert cluster.numbers == ["1"]
    assert cluster.fleet.waiting == []


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL"])
def test_a_job_that_does_not_come_back_is_replaced(
    state: str, cluster: Cluster
) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.tend()
    cluster.ends("1", state)
    cluster.lasts(15)
    assert cluster.numbers == ["1"]
    cluster.lasts(15)
    assert cluster.numbers == ["1", "2"]


def test_a_job_that_comes_back_too_late_is_not_left_in_the_queue(
    cluster: Cluster,
) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.tend()
    cluster.ends("1", "PREEMPTED")
    cluster.lasts(30)
    cluster.states["1"] = SchedulerState("PENDING", "BeginTime")
    cluster.lasts(5)
    cluster.fleet.close()
    assert "1" in cluster.cancelled


def test_a_job_that_nobody_knows_any_more_is_replaced(cluster: Cluster) -> None:
    # Without accounting SLURM forgets jobs after a while, at some sites a short one.
    cluster.tend()
    cluster.lasts(60)
    del cluster.states["1"]
    cluster.lasts(600)
    assert cluster.numbers == ["1", "2"]


def test_jobs_that_one_answer_leaves_out_are_not_given_up(cluster: Cluster) -> None:
    # A bug: how long a job is unknown is counted from when its state was first seen.
    cluster.tend(3)
    cluster.lasts(90, wanted=3)
    known = cluster.states.copy()
    cluster.states.clear()
    cluster.polls.clear()
    while not cluster.polls:
        cluster.lasts(0.5, wanted=3)
    cluster.states.update(known)
    cluster.lasts(60, wanted=3)
    assert cluster.numbers == ["1", "2", "3"]


def test_a_job_that_left_the_queue_is_known_from_accounting(cluster: Cluster) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.lasts(60)
    cluster.ends("1", "TIMEOUT")
    cluster.accounts["1"] = cluster.states.pop("1")
    cluster.lasts(3)
    assert cluster.numbers == ["1", "2"]


def test_a_worker_that_takes_no_more_jobs_is_replaced_while_it_is_there(
    cluster: Cluster,
) -> None:
    cluster.tend()
    cluster.fleet.drains(cluster.comes("1"))
    cluster.lasts(5)
    assert "w-1-0" in cluster.present
    assert cluster.numbers == ["1", "2"]


def test_the_end_of_a_worker_that_takes_no_more_jobs_is_no_fault(
    cluster: Cluster,
) -> None:
    cluster.tend()
    cluster.fleet.drains(cluster.comes("1"))
    cluster.lasts(5)
    cluster.comes("2")
    cluster.ends("1", "FAILED")
    assert cluster.lasts(5) == []
    assert cluster.numbers == ["1", "2"]
    assert not cluster.fleet.troubled


# Workers that do not start


def _refusal(cluster: Cluster, number: str) -> None:
    cluster.fleet.refuses(f"w-{number}-0", "scratch: $TMPDIR is not set")


def _log(cluster: Cluster, number: str) -> None:
    path = cluster.logs / f"w-{number}.err"
    path.write_text("Traceback:\nImportError: no dask\n")


def _nothing(cluster: Cluster, number: str) -> None:
    """Leave no more than what the scheduler says."""


@pytest.mark.parametrize(
    ("leaves", "why"),
    [
        (_refusal, "scratch: $TMPDIR is not set"),
        (_log, "Traceback:, ImportError: no dask (SLURM says FAILED NonZeroExitCode)"),
        (_nothing, "SLURM says FAILED NonZeroExitCode"),
    ],
)
def test_workers_that_never_start_end_the_run_some_minutes_after_the_third(
    leaves: Callable[[Cluster, str], None], why: str, cluster: Cluster
) -> None:
    cluster.tend()
    for number in "12":
        leaves(cluster, number)
        cluster.ends(number, "FAILED", "NonZeroExitCode")
        assert cluster.lasts(3) == [f"a worker did not start on n1: {why}"]
    leaves(cluster, "3")
    cluster.ends("3", "FAILED", "NonZeroExitCode")
    assert cluster.lasts(3) == [
        "3 workers in a row have ended at once, and no job has begun: the run ends in "
        f"5 minutes if none begins: the last on n1: {why}",
        "n1 is not used any more: 3 workers died there",
    ]
    with pytest.raises(ExecutorError) as caught:
        _all_fail(cluster, 400, leaves)
    assert 300 <= cluster.now <= 375
    last = cluster.numbers[-1]
    assert str(caught.value) == (
        f"{last} workers in a row have ended at once, and no job has begun for 5 "
        f"minutes: the last on n2: {why}"
    )
    assert int(last) < 15  # they take their time
    assert cluster.fleet.troubled


def _all_fail(
    cluster: Cluster,
    seconds: float,
    leaves: Callable[[Cluster, str], None] = _nothing,
) -> list[str]:
    """Have each worker fail on another node as soon as it is submitted."""
    notes, until = [], cluster.now + seconds
    while cluster.now < until:
        for number, standing in list(cluster.states.items()):
            if standing.state == "PENDING":
                leaves(cluster, number)
                cluster.ends(number, "FAILED", "NonZeroExitCode", node="n2")
        notes += cluster.lasts(0.5)
    return notes


def test_a_node_on_which_no_worker_starts_does_not_end_a_run(cluster: Cluster) -> None:
    cluster.tend(9)
    for number in "123456789":
        cluster.ends(number, "FAILED", node="bad")
    cluster.lasts(3)
    cluster.lasts(2 * 3600, wanted=1)  # the others are busy: the next one waits
    assert cluster.numbers[9:] != []
    assert {job.excluded for job in cluster.submitted[9:]} == {("bad",)}
    cluster.comes(cluster.numbers[9], "good")
    cluster.lasts(60)


def test_while_a_worker_is_there_those_that_fail_do_not_end_the_run(
    cluster: Cluster,
) -> None:
    cluster.tend()
    cluster.comes("1")
    notes = []
    for _ in range(20):
        for number in cluster.numbers[1:]:
            if cluster.states[number].state == "PENDING":
                cluster.ends(number, "FAILED", node="n2")
        notes += cluster.lasts(60, wanted=2)
    assert len(notes) <= 5  # they are told of, and not again and again


def test_the_exit_code_of_a_worker_is_in_the_reason(cluster: Cluster) -> None:
    cluster.tend()
    cluster.accounts["1"] = SchedulerState("FAILED", "", "n1", "exit code 127")
    cluster.ends("1", "FAILED", "NonZeroExitCode")
    assert cluster.lasts(3) == [
        "a worker did not start on n1: SLURM says FAILED NonZeroExitCode, exit code 127"
    ]


def test_a_worker_that_starts_in_between_lets_the_run_go_on(cluster: Cluster) -> None:
    cluster.tend()
    for number in ("1", "2"):
        cluster.ends(number, "FAILED", node="n1")
        cluster.lasts(3)
    cluster.comes("3", "n2")
    cluster.ends("3", "TIMEOUT", node="n2")
    cluster.lasts(3)
    for number in ("4", "5"):
        cluster.ends(number, "FAILED", node="n3")
        cluster.lasts(3)
    assert cluster.numbers == ["1", "2", "3", "4", "5", "6"]


def test_a_node_where_three_workers_died_is_not_used_any_more(
    cluster: Cluster,
) -> None:
    cluster.tend()
    notes = []
    for number in "123":
        cluster.comes(number, "bad")
        cluster.lasts(2)
        cluster.ends(number, "FAILED", node="bad")
        notes += cluster.lasts(3)
    assert notes == ["bad is not used any more: 3 workers died there"]
    assert [job.excluded for job in cluster.submitted] == [(), (), (), ("bad",)]


@pytest.mark.parametrize("state", ["TIMEOUT", "CANCELLED", "PREEMPTED", "COMPLETED"])
def test_ends_that_are_not_the_nodes_fault_do_not_count_against_it(
    state: str, cluster: Cluster
) -> None:
    cluster.tend()
    for number in "1234":
        cluster.comes(number)
        cluster.lasts(2)
        cluster.ends(number, state)
        cluster.lasts(30)
    assert cluster.fleet.excluded == []
    assert len(cluster.submitted) == 5


# Workers that wait


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        ("PartitionTimeLimit", "lower walltime, or use another partition"),
        ("PartitionConfig", "lower cores or memory_gb, or use another partition"),
        ("BadConstraints", "lower cores or memory_gb, or change the directives"),
        ("InvalidAccount", "name another account"),
        ("QOSNotAllowed", "name another qos or partition"),
        ("DependencyNeverSatisfied", "change the directives"),
    ],
)
def test_workers_that_would_wait_for_ever_end_the_run_with_the_cure(
    reason: str, cure: str, cluster: Cluster
) -> None:
    cluster.tend(2)
    for number in "12":
        cluster.states[number] = SchedulerState("PENDING", reason)
    with pytest.raises(ExecutorError) as caught:
        cluster.lasts(3, wanted=2)
    assert str(caught.value) == (
        f"SLURM will never start the workers ({reason}): {cure}"
    )


def test_it_goes_on_while_some_workers_can_start(cluster: Cluster) -> None:
    cluster.tend(2)
    cluster.comes("1")
    cluster.states["2"] = SchedulerState("PENDING", "PartitionTimeLimit")
    cluster.lasts(100, wanted=2)


def test_it_goes_on_while_one_waits_for_what_passes(cluster: Cluster) -> None:
    cluster.tend(2)
    cluster.states["1"] = SchedulerState("PENDING", "Priority")
    cluster.states["2"] = SchedulerState("PENDING", "BadConstraints")
    cluster.lasts(100, wanted=2)


@pytest.mark.parametrize(
    "reason", ["Priority", "Resources", "ReqNodeNotAvail, UnavailableNodes:n2"]
)
def test_why_workers_wait_is_reported_after_a_while(
    reason: str, cluster: Cluster
) -> None:
    cluster.tend()
    cluster.states["1"] = SchedulerState("PENDING", reason)
    assert cluster.lasts(29) == []
    assert {*cluster.lasts(40)} == {f"workers wait in SLURM's queue: {reason}"}


def test_nothing_is_reported_of_waiting_while_a_worker_is_there(
    cluster: Cluster,
) -> None:
    cluster.tend(2)
    cluster.comes("1")
    cluster.states["2"] = SchedulerState("PENDING", "Priority")
    assert cluster.lasts(200, wanted=2) == []


# Jobs that are refused


def test_a_refusal_with_nobody_there_ends_the_run(cluster: Cluster) -> None:
    cluster.refusals.append(RefusedError("Invalid account", passing=False))
    with pytest.raises(ExecutorError, match="SLURM refuses the workers: Invalid acc"):
        cluster.tend()


def test_a_refusal_beside_other_workers_is_only_reported(cluster: Cluster) -> None:
    cluster.tend(1)
    cluster.refusals.append(RefusedError("over the limit", passing=False))
    assert cluster.tend(3) == ["SLURM takes no more workers now: over the limit"]
    cluster.lasts(2, wanted=3)
    assert len(cluster.submitted) == 3


def test_what_passes_is_tried_again_less_and_less_often(cluster: Cluster) -> None:
    cluster.refusals.extend([RefusedError("timed out", passing=True)] * 9)
    notes = cluster.lasts(300)
    assert notes == ["SLURM takes no more workers now: timed out"] * 9
    gaps = [after - before for before, after in pairwise(cluster.tries)]
    assert gaps == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(cluster.submitted) == 1


def test_after_a_success_trying_begins_anew(cluster: Cluster) -> None:
    passing = RefusedError("timed out", passing=True)
    cluster.refusals.extend([passing] * 4)
    cluster.lasts(20)
    cluster.refusals.append(passing)
    cluster.tries.clear()
    cluster.lasts(5, wanted=2)
    first, second = cluster.tries
    assert second - first == 1


# How often the scheduler is asked


def test_it_is_asked_less_and_less_often_while_nothing_changes(
    cluster: Cluster,
) -> None:
    cluster.lasts(300)
    gaps = [after - before for before, after in pairwise(cluster.polls)]
    assert gaps[0] < 2
    assert gaps == sorted(gaps)
    assert gaps[-1] == 30


def test_it_is_asked_often_when_something_has_changed(cluster: Cluster) -> None:
    cluster.lasts(300)
    cluster.states["1"] = SchedulerState("RUNNING", "", "n1")
    cluster.polls.clear()
    cluster.lasts(40)
    first, second, *_ = cluster.polls
    assert second - first == 1


@pytest.mark.parametrize("what", ["comes", "goes"])
def test_it_is_asked_soon_when_a_worker_comes_or_goes(
    what: str, cluster: Cluster
) -> None:
    cluster.tend()
    if what == "goes":
        cluster.comes("1")
    cluster.lasts(300)
    cluster.polls.clear()
    if what == "goes":
        cluster.ends("1", "TIMEOUT")
    else:
        cluster.comes("1")
    cluster.lasts(2)
    assert cluster.polls


def test_a_scheduler_that_does_not_answer_loses_no_jobs(cluster: Cluster) -> None:
    cluster.tend()
    cluster.silent = "squeue: connection refused"
    notes = cluster.lasts(130)
    assert {*notes} == {"SLURM does not answer, jobs go on: squeue: connection refused"}
    gaps = [after - before for before, after in pairwise(cluster.polls)]
    assert gaps == [2, 4, 8, 16, 30, 30, 30]
    assert list(cluster.fleet.jobs) == ["w-1"]
    assert cluster.numbers == ["1"]


def test_a_scheduler_that_does_not_answer_is_not_asked_more_for_lost_workers(
    cluster: Cluster,
) -> None:
    cluster.tend()
    worker = cluster.comes("1")
    cluster.lasts(5)
    cluster.silent = "squeue: connection refused"
    cluster.ends("1", "NODE_FAIL")
    since = cluster.now
    cluster.polls.clear()
    for _ in range(40):
        cluster.lasts(0.5)
        cluster.fleet.cause(worker, since)
    assert len(cluster.polls) < 8


# Workers that are too many


def test_the_youngest_that_wait_are_dropped_first(cluster: Cluster) -> None:
    cluster.tend(4)
    cluster.comes("2")
    cluster.lasts(2, wanted=4)
    cluster.fleet.drop(2)
    assert cluster.cancelled == ["3", "4"]
    assert list(cluster.fleet.jobs) == ["w-1", "w-2"]


@pytest.mark.parametrize("count", [0, 1])
def test_a_worker_that_was_there_is_not_dropped(count: int, cluster: Cluster) -> None:
    cluster.tend()
    cluster.comes("1")
    cluster.tend()
    cluster.ends("1", "PENDING")
    cluster.lasts(2)
    assert len(cluster.fleet.waiting) == 1
    cluster.fleet.drop(count)
    assert cluster.cancelled == []
    assert list(cluster.fleet.jobs) == ["w-1"]


def test_all_that_can_be_are_dropped_when_more_are_too_many(cluster: Cluster) -> None:
    cluster.tend(4)
    cluster.comes("1")
    cluster.tend(4)
    cluster.ends("1", "PENDING")
    cluster.lasts(2, wanted=4)
    cluster.fleet.drop(4)
    assert cluster.cancelled == ["2", "3", "4"]


def test_closing_cancels_all(cluster: Cluster) -> None:
    cluster.tend(3)
    cluster.comes("2")
    cluster.lasts(2, wanted=3)
    cluster.fleet.close()
    assert cluster.cancelled == ["1", "2", "3"]
    assert cluster.fleet.jobs == {}


# Schedulers that are not asked


def test_without_a_poll_a_worker_that_stays_away_is_replaced(cluster: Cluster) -> None:
    cluster.without_poll()
    cluster.tend()
    cluster.comes("1")
    cluster.lasts(60)
    cluster.ends("1", "?")
    cluster.lasts(15)
    assert cluster.numbers == ["1"]
    cluster.lasts(5)
    assert cluster.numbers == ["1", "2"]
    assert cluster.polls == []


def test_without_a_poll_long_waiting_is_reported(cluster: Cluster) -> None:
    cluster.without_poll()
    assert cluster.lasts(300) == []
    assert {*cluster.lasts(10)} == {"no worker has come yet: see what PBS says of them"}


@pytest.mark.parametrize(
    ("log", "kind", "why"),
    [
        ("bye", FailureKind.NODE_LOST, "nothing is heard of it any more"),
        (
            "=>> PBS: job killed: out of memory",
            FailureKind.OUT_OF_MEMORY,
            "it needed more than its memory_gb",
        ),
    ],
)
def test_without_a_poll_the_log_says_all_there_is(
    log: str, kind: FailureKind, why: str, cluster: Cluster
) -> None:
    cluster.without_poll()
    cluster.tend()
    worker = cluster.comes("1")
    cluster.lasts(60)
    (cluster.logs / "w-1.err").write_text(log)
    cluster.ends("1", "?")
    assert cluster.fleet.cause(worker, cluster.now) == Failure(
        kind, f"its worker was lost (PBS job 1): {why}"
    )
