"""How many jobs the local executor runs at a time, and when it tries again."""

import signal
import threading
from pathlib import Path

import pytest

from cpengine.errors import StorageError
from cpengine.events import Event, JobRetried, PhaseBegun
from cpengine.executors.contract import left_in
from cpengine.executors.local import LocalExecutor
from cpengine.model import FailureKind, Outcome
from cpengine.storage.store import Storage
from cpengine.system.capacity import usable_cores
from cpengine.testing import jobs, machine
from cpengine.wording import GB


@pytest.mark.parametrize(
    ("memory_gb", "left_gb", "expected"),
    [(2.0, 1024, None), (2.0, 3, 1), (6.0, 6, 1), (0.5, 3, 5)],
)
def test_workers_follow_cores_and_memory(
    memory_gb: float, left_gb: int, expected: int | None, tmp_path: Path
) -> None:
    workers = min(expected or usable_cores(), usable_cores())
    this_machine = machine(tmp_path, {})
    with LocalExecutor(
        this_machine, memory_gb=memory_gb, memory_left=lambda: left_gb * GB
    ) as executor:
        assert executor.window == 2 * workers


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_twice_as_many_as_the_given_workers_are_under_way(
    workers: int, tmp_path: Path
) -> None:
    with LocalExecutor(
        machine(tmp_path, {}), workers, memory_left=lambda: GB
    ) as executor:
        assert executor.window == 2 * workers


def test_a_job_waits_staged_while_another_one_runs_and_both_end_at_ctrl_c(
    tmp_path: Path,
) -> None:
    this_machine = machine(tmp_path, {"A": ["hang"], "B": ["hang"]})
    phases: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, PhaseBegun):
            phases.append(event.phase)
            if phases.count("waiting") == 2 and "running" in phases:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with LocalExecutor(this_machine, 1) as executor, pytest.raises(KeyboardInterrupt):
        list(executor.run(jobs("A", "B"), listen))
    assert phases.count("running") == 1
    assert left_in(this_machine.scratch) == []
    assert not (tmp_path / "ledger").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.services
def test_the_largest_job_is_stopped_when_memory_is_short_and_comes_again(
    tmp_path: Path,
) -> None:
    this_machine = machine(tmp_path, {"A": ["hang"], "B": ["hang"]})
    stopped: list[Outcome] = []

    def memory_left() -> int:
        both = len(list(tmp_path.glob("*.attempt1"))) == 2
        return 0 if both and not stopped else 64 * GB

    def listen(event: Event) -> None:
        if isinstance(event, JobRetried):
            stopped.append(event.outcome)

    with LocalExecutor(this_machine, 3, memory_left=memory_left) as executor:
        run = executor.run(jobs("A", "B"), listen)
        first = next(run)
        run.close()
    (before,) = stopped
    assert before.failure
    assert before.failure.kind is FailureKind.OUT_OF_MEMORY
    assert "only 0.0 GB of memory was left" in before.failure.message
    assert (first.job.id, first.attempt, first.done) == (before.job.id, 2, True)
    assert first.job.share == 2


def test_a_job_that_waits_for_its_next_try_is_not_held_up_by_a_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Storage, file: Path, key: str) -> Path:
        raise StorageError(f"{key}: the disk is full")

    monkeypatch.setattr(Storage, "move_beside", full)
    this_machine = machine(tmp_path, {"A": ["hang"]})
    with LocalExecutor(this_machine, 2) as executor:
        executor.pause_s = 0.01
        run = executor.run([*jobs("A", timeout_s=30), *jobs("B")])
        first = next(run)
        run.close()
    assert (first.job.id, first.attempt) == ("B", 3)
