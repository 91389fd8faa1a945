"""Why a worker of the fleet was lost; the cluster and the clock are stand-ins."""

import pytest

from cpengine.executors.slurm.schedulers import (
    SchedulerState,
)
from cpengine.model import Failure, FailureKind
from tests.executors.slurm.fleet_cluster import Cluster, cluster

__all__ = ["cluster"]  # the fixture


def _cause(cluster: Cluster, state: str, reason: str = "") -> Failure | None:
    """What is known some seconds after a worker was lost so."""
    cluster.tend()
    worker = cluster.comes("1")
    cluster.lasts(60)
    cluster.ends("1", state, reason)
    since = cluster.now
    cluster.lasts(5)
    return cluster.fleet.cause(worker, since)


@pytest.mark.parametrize(
    ("state", "kind", "why"),
    [
        (
            "TIMEOUT",
            FailureKind.NODE_LOST,
            "it reached its walltime: raise walltime if jobs take that long",
        ),
        ("CANCELLED", FailureKind.NODE_LOST, "it was cancelled"),
        ("NODE_FAIL", FailureKind.NODE_LOST, "the node failed"),
        ("FAILED", FailureKind.NODE_LOST, "it ended as FAILED why"),
        ("PREEMPTED", FailureKind.SPOT_LOST, "it was preempted"),
        (
            "OUT_OF_MEMORY",
            FailureKind.OUT_OF_MEMORY,
            "it needed more than its memory_gb",
        ),
    ],
)
def test_the_cause_is_what_the_scheduler_says(
    state: str, kind: FailureKind, why: str, cluster: Cluster
) -> None:
    assert _cause(cluster, state, "why") == Failure(
        kind, f"its worker was lost (SLURM job 1 on n1): {why}"
    )


@pytest.mark.parametrize(
    "line",
    [
        "slurmstepd: error: Detected 1 oom_kill event in StepId=1.batch",
        "slurmstepd: error: Job 1 exceeded memory limit (9 > 8), being killed",
        "Out of memory: Killed process 7",
    ],
)
def test_out_of_memory_is_known_from_the_log_too(line: str, cluster: Cluster) -> None:
    (cluster.logs / "w-1.err").write_text(f"begin\n{line}\nend\n")
    failure = _cause(cluster, "FAILED")
    assert failure is not None
    assert failure.kind is FailureKind.OUT_OF_MEMORY


def test_a_worker_that_is_in_the_queue_again_ended_as_accounting_says(
    cluster: Cluster,
) -> None:
    cluster.accounts["1"] = SchedulerState("PREEMPTED", "", "n1")
    failure = _cause(cluster, "PENDING", "BeginTime")
    assert failure is not None
    assert failure.kind is FailureKind.SPOT_LOST


def test_without_accounting_a_worker_was_put_back_into_the_queue(
    cluster: Cluster,
) -> None:
    failure = _cause(cluster, "PENDING", "BeginTime")
    assert failure is not None
    assert failure.kind is FailureKind.NODE_LOST
    assert failure.message.endswith("it was put back into the queue")


def test_the_cause_is_not_known_before_the_scheduler_was_asked(
    cluster: Cluster,
) -> None:
    cluster.tend()
    worker = cluster.comes("1")
    cluster.lasts(60)
    cluster.ends("1", "TIMEOUT")
    cluster.now += 0.5
    assert cluster.fleet.cause(worker, cluster.now) is None
    cluster.polls.clear()
    cluster.lasts(0.5)
    assert cluster.polls  # at once
    cluster.lasts(2)
    assert cluster.fleet.cause(worker, cluster.now - 2.5) is not None


def test_the_cause_waits_for_what_the_node_writes_to_the_log(cluster: Cluster) -> None:
    cluster.tend()
    worker = cluster.comes("1")
    cluster.lasts(60)
    cluster.ends("1", "FAILED")
    since = cluster.now
    cluster.polls.clear()
    while not cluster.polls:
        cluster.lasts(0.5)
    assert cluster.fleet.cause(worker, since) is None
    (cluster.logs / "w-1.err").write_text("oom_kill\n")
    cluster.lasts(1)
    failure = cluster.fleet.cause(worker, since)
    assert failure is not None
    assert failure.kind is FailureKind.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("RUNNING", "nothing is heard of it any more"),
        ("COMPLETING", "it ended as COMPLETING"),
    ],
)
def test_the_cause_is_asked_for_half_a_minute_while_a_job_seems_to_run(
    state: str, why: str, cluster: Cluster
) -> None:
    assert _cause(cluster, state) is None
    since = cluster.now - 5
    cluster.lasts(25)
    assert cluster.fleet.cause("w-1-0", since) is None
    cluster.lasts(1)
    assert cluster.fleet.cause("w-1-0", since) == Failure(
        FailureKind.NODE_LOST, f"its worker was lost (SLURM job 1 on n1): {why}"
    )


def test_the_cause_is_reported_soon_of_a_job_that_was_seen_to_end_before(
    cluster: Cluster,
) -> None:
    # It is over for the fleet as soon as its worker goes, and is looked at no more.
    cluster.tend()
    worker = cluster.comes("1")
    cluster.states["1"] = SchedulerState("NODE_FAIL", "", "n1")
    cluster.lasts(300)  # the node is silent, and Dask waits for it
    cluster.ends("1", "NODE_FAIL")
    since = cluster.now
    cluster.lasts(5)
    failure = cluster.fleet.cause(worker, since)
    assert failure is not None
    assert failure.message.endswith("the node failed")


def test_a_worker_that_took_no_more_jobs_has_come_to_its_end(cluster: Cluster) -> None:
    cluster.tend()
    worker = cluster.comes("1")
    cluster.fleet.drains(worker)
    cluster.ends("1", "TIMEOUT")
    assert cluster.fleet.cause(worker, cluster.now) == Failure(
        FailureKind.NODE_LOST, "its worker came to its end"
    )


def test_a_worker_that_is_not_ours_has_come_to_its_end(cluster: Cluster) -> None:
    failure = cluster.fleet.cause("stranger-1-0", cluster.now)
    assert failure is not None
    assert failure.message == "its worker came to its end"
