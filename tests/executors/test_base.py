"""The flow that all executors share, with an executor that fails as told."""

import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.errors import ExecutorError
from cpengine.events import Event, JobRetried, RunStopped
from cpengine.executors.base import Executor
from cpengine.executors.retry import HOPELESS
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState, states
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.testing import GROUPS, jobs, machine


class ScriptedExecutor(Executor):
    """Gives each attempt at a job the next outcome told for it; `None` is done."""

    window = 2
    pause_s = 0.05

    def __init__(self, failures: dict[str, Sequence[FailureKind | None]]) -> None:
        super().__init__()
        self.failures = {name: deque(kinds) for name, kinds in failures.items()}
        self.tries: list[tuple[Job, int, float]] = []
        self.cancelled = 0
        self._under_way: deque[tuple[Job, int]] = deque()

    def submit(self, job: Job, attempt: int) -> None:
        self.tries.append((job, attempt, time.monotonic()))
        self._under_way.append((job, attempt))

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        job, attempt = self._under_way.popleft()
        failures = self.failures.get(job.id)
        kind = failures.popleft() if failures else None
        failure = Failure(kind, "it broke") if kind else None
        return [Outcome(job, failure, attempt, versions={"cellprofiler": "4"})]

    def cancel(self) -> None:
        self.cancelled += len(self._under_way)


def run(
    executor: ScriptedExecutor, *names: str, **more: int
) -> tuple[list[Outcome], list[Event]]:
    events: list[Event] = []
    return list(executor.run(jobs(*names), events.append, **more)), events


def test_lost_machines_do_not_count_as_attempts() -> None:
    lost = [FailureKind.NODE_LOST, FailureKind.SPOT_LOST] * 2
    executor = ScriptedExecutor({"A": [*lost, FailureKind.CRASH, None]})
    executor.pause_s = 0.001
    (outcome,), events = run(executor, "A")
    assert outcome.done
    assert [attempt for _, attempt, _ in executor.tries] == [1] * 5 + [2]
    assert sum(isinstance(event, JobRetried) for event in events) == 5


def test_a_job_that_loses_every_worker_is_given_up_and_waits_before_each_try() -> None:
    executor = ScriptedExecutor({"A": [FailureKind.SPOT_LOST] * 9})
    executor.pause_s = 0.005
    (outcome,), _ = run(executor, "A")
    assert outcome.failure
    assert outcome.failure.kind is FailureKind.SPOT_LOST
    times = [at for _, _, at in executor.tries]
    assert len(times) == 5
    waits = [later - at for at, later in itertools.pairwise(times)]
    assert all(wait >= 0.005 * 4**n for n, wait in enumerate(waits))


def test_jobs_are_made_when_there_is_room_for_them() -> None:
    made: list[str] = []

    def make(name: str) -> Job:
        made.append(name)
        (job,) = jobs(name)
        return job

    executor = ScriptedExecutor({})
    ended = executor.run(map(make, GROUPS))
    assert next(ended).done
    assert len(made) <= executor.window + 1
    assert len(list(ended)) + 1 == len(made) == len(GROUPS)


def test_storage_failures_wait_before_the_next_try() -> None:
    executor = ScriptedExecutor({"A": [FailureKind.STORAGE, FailureKind.STORAGE, None]})
    (outcome,), _ = run(executor, "A")
    assert outcome.done
    first, second, third = (at for _, _, at in executor.tries)
    assert second - first >= 0.05
    assert third - second >= 0.2


def test_other_jobs_run_while_one_waits_for_its_next_try() -> None:
    executor = ScriptedExecutor({"A": [FailureKind.STORAGE, None]})
    outcomes, _ = run(executor, "A", "B", "C")
    assert [outcome.job.id for outcome in outcomes] == ["B", "C", "A"]


def test_out_of_memory_comes_again_with_more() -> None:
    executor = ScriptedExecutor({"A": [FailureKind.OUT_OF_MEMORY] * 2})
    run(executor, "A")
    assert [job.share for job, _, _ in executor.tries] == [1, 2, 4]


def test_a_hopeless_run_ends_early_and_names_the_common_cause() -> None:
    executor = ScriptedExecutor({name: [FailureKind.NO_OUTPUT] for name in GROUPS})
    outcomes, events = run(executor, *GROUPS)
    assert len(outcomes) == HOPELESS
    assert executor.cancelled == 1
    (stopped,) = [event for event in events if isinstance(event, RunStopped)]
    assert stopped.why.startswith(f"{HOPELESS} jobs failed, {HOPELESS} of them so: no_")


def test_a_run_with_a_limit_ends_when_it_is_reached() -> None:
    executor = ScriptedExecutor({name: [FailureKind.NO_OUTPUT] for name in "BDF"})
    outcomes, _ = run(executor, *"ABCDEFG", max_failures=2)
    assert [outcome.job.id for outcome in outcomes] == list("ABCD")


class Refusing(ScriptedExecutor):
    """Cannot submit some jobs at all."""

    def __init__(self, refused: dict[str, list[Exception]]) -> None:
        super().__init__({})
        self.refused = refused

    def submit(self, job: Job, attempt: int) -> None:
        if errors := self.refused.get(job.id):
            raise errors.pop(0)
        super().submit(job, attempt)


def test_a_job_that_cannot_be_submitted_is_an_outcome_and_the_others_go_on() -> None:
    executor = Refusing({"B": [TypeError("cannot pickle 'lock' object")]})
    outcomes, _ = run(executor, "A", "B", "C")
    found = {outcome.job.id: outcome.failure for outcome in outcomes}
    assert found.keys() == {"A", "B", "C"}
    assert found["B"] == Failure(
        FailureKind.INTERNAL, "TypeError: cannot pickle 'lock' object"
    )
    assert found["A"] is found["C"] is None


def test_it_is_in_the_ledger_with_the_traceback_in_its_log(tmp_path: Path) -> None:
    executor = Refusing({"A": [TypeError("cannot pickle")]})
    executor.machine = machine(tmp_path, {})
    (outcome,), _ = run(executor, "A")
    assert outcome.failure is not None
    log = Path(outcome.failure.log or "").read_text()
    assert log.endswith("TypeError: cannot pickle\n")
    ledger = Ledger(executor.machine.places.outputs, "ledger")
    assert states(ledger.standings(jobs("A"))) == {"A": JobState.FAILED}


def test_it_is_tried_again_where_that_may_help() -> None:
    executor = Refusing({"A": [RuntimeError("can't start new thread")]})
    (outcome,), events = run(executor, "A")
    assert outcome.done
    assert sum(isinstance(event, JobRetried) for event in events) == 1


def test_what_the_user_can_mend_ends_the_run_and_what_is_under_way() -> None:
    executor = Refusing({"B": [ExecutorError("no rights")]})
    with pytest.raises(ExecutorError, match="no rights"):
        run(executor, "A", "B")
    assert executor.cancelled == 1


def test_an_outcome_without_versions_gets_the_drivers(tmp_path: Path) -> None:
    class Silent(ScriptedExecutor):
        def wait(self, timeout_s: float | None) -> list[Outcome]:
            known = {"worker": "7"}
            return [replace(o, versions=known) for o in super().wait(timeout_s)]

    executor = Silent({"B": [FailureKind.BAD_INPUT]})
    executor.machine = machine(tmp_path, {})
    outcomes, _ = run(executor, "A", "B")
    version = executor.machine.cellprofiler.version
    assert [o.versions["cellprofiler"] for o in outcomes] == [version] * 2
    assert [o.versions["worker"] for o in outcomes] == ["7"] * 2
