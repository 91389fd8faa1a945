"""What befalls workers on a real cluster costs attempts of their jobs, no more."""

from pathlib import Path

from cpengine.model import FailureKind
from cpengine.testing import jobs
from tests.executors.slurm.watched import Watched
from tests.services.slurm.cluster import Cluster


def test_a_cancelled_worker_is_replaced(slurm: Cluster, tmp_path: Path) -> None:
    slow = {name: ["slow4"] for name in "ABCDEF"}
    with Watched(tmp_path, jobs(*"ABCDEF"), slow) as run:
        run.until_started("A", "B")
        slurm.cancel(run.worker_of("A"))
        found = run.end()
    assert all(outcome.done for outcome in found.values())
    (failure,) = run.failures
    assert failure.kind is FailureKind.NODE_LOST
    assert failure.message.endswith("it was cancelled")
    assert len([j for j in slurm.jobs() if j.name == run.executor.name]) == 3
    assert [found[name].attempt for name in "ABCDEF"] == [1] * 6


def test_jobs_of_a_node_that_goes_down_run_elsewhere(
    slurm: Cluster, tmp_path: Path
) -> None:
    slow = {name: ["slow4"] for name in "ABCD"}
    with Watched(tmp_path, jobs(*"ABCD"), slow, directives=["--exclusive"]) as run:
        run.until_started("A", "B")
        number = run.worker_of("A")
        (node,) = {job.node for job in slurm.jobs() if job.id == number}
        slurm.set_down(node)
        found = run.end()
        slurm.resume(node)
    assert all(outcome.done for outcome in found.values())
    (failure,) = run.failures
    assert failure.kind is FailureKind.NODE_LOST
    assert failure.message.endswith("the node failed")


def test_a_lost_node_may_run_its_jobs_to_their_end(
    slurm: Cluster, tmp_path: Path
) -> None:
    slow = {name: ["slow4"] for name in "ABCD"}
    with Watched(tmp_path, jobs(*"ABCD"), slow) as run:
        run.until_started("A")
        number = run.worker_of("A")
        (node,) = {job.node for job in slurm.jobs() if job.id == number}
        slurm.kill_slurmd(node)
        found = run.end()
        slurm.start_slurmd(node)
    assert all(outcome.done for outcome in found.values())


def test_jobs_cut_off_by_the_walltime_are_reported_and_run_again(
    slurm: Cluster, tmp_path: Path
) -> None:
    with Watched(tmp_path, jobs("A", "B"), {"A": ["hang"]}, workers=1) as run:
        run.until_started("A")
        slurm.end_time(run.worker_of("A"), 1)
        found = run.end()
    assert all(outcome.done for outcome in found.values())
    (failure,) = run.failures
    assert failure.kind is FailureKind.NODE_LOST
    assert "it reached its walltime: raise walltime" in failure.message


def test_a_job_that_takes_more_than_its_worker_has_is_out_of_memory(
    slurm: Cluster, tmp_path: Path
) -> None:
    eats = {"A": ["eat"]}
    with Watched(tmp_path, jobs("A"), eats, workers=1, memory_gb=0.6) as run:
        found = run.end()
    assert found["A"].done
    assert found["A"].attempt == 2
    (failure,) = run.failures
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert "it needs all memory there is" in failure.message


def test_jobs_go_on_while_the_controller_is_away(
    slurm: Cluster, tmp_path: Path
) -> None:
    slow = {name: ["slow4"] for name in "ABCD"}
    with Watched(tmp_path, jobs(*"ABCD"), slow) as run:
        run.until_started("A", "B")
        for job in slurm.running():
            slurm.wait_saved(job.id)
        slurm.stop_slurmctld()
        run.until(lambda: len(run.outcomes) >= 2, "two are done without it")
        slurm.start_slurmctld()
        found = run.end()
    assert all(outcome.done for outcome in found.values())
    assert [run.starts(name) for name in "ABCD"] == [1] * 4


def test_a_preempted_worker_comes_back(slurm: Cluster, tmp_path: Path) -> None:
    slow = {name: ["slow6"] for name in "ABCD"}
    with Watched(tmp_path, jobs(*"ABCD"), slow, partition="low", workers=1) as run:
        run.until_started("A")
        everything = ["--exclusive", "-N3", "-t1", "--wrap=sleep 2"]
        slurm.run("sbatch", "-p", "high", "-o", "/dev/null", *everything)
        found = run.end()
    assert all(outcome.done for outcome in found.values())
    (failure,) = run.failures
    assert failure.kind is FailureKind.SPOT_LOST
    assert failure.message.endswith("it was preempted")
    assert len([j for j in slurm.jobs() if j.name == run.executor.name]) == 1
