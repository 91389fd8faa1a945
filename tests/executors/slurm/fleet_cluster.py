"""A stand-in for a cluster and its clock, for tests of the fleet of workers."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cpengine.config import ClusterSection
from cpengine.executors.slurm import schedulers
from cpengine.executors.slurm.fleet import WorkerFleet
from cpengine.executors.slurm.schedulers import (
    BatchScheduler,
    QueueJob,
    RefusedError,
    SchedulerState,
)


@dataclass(frozen=True)
class _Job:
    """What stands for a job of dask-jobqueue: `w-3` gets the number 3."""

    name: str
    excluded: tuple[str, ...]

    @property
    def number(self) -> str:
        return self.name.removeprefix("w-")

    def job_script(self) -> str:
        return ""


def _no_options(settings: ClusterSection, excluded: Sequence[str]) -> dict[str, object]:
    return {}


@dataclass
class Cluster:
    """A cluster that says what it is told to say, and a fleet on it."""

    logs: Path
    now: float = 0.0
    states: dict[str, SchedulerState] = field(default_factory=dict)
    """By the number of the job, as are all below."""
    accounts: dict[str, SchedulerState] = field(default_factory=dict)
    present: dict[str, str] = field(default_factory=dict)
    """The workers that Dask has, and where."""
    refusals: deque[RefusedError] = field(default_factory=deque)
    silent: str = ""
    """What it says instead of an answer."""
    submitted: list[_Job] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    """When a job was submitted, or refused."""
    polls: list[float] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fleet = self._fleet(
            BatchScheduler("SLURM", QueueJob, _no_options, self.poll)
        )

    def _fleet(self, queue: BatchScheduler) -> WorkerFleet:
        return WorkerFleet(
            queue,
            "w",
            lambda name, excluded: _Job(name, tuple(excluded)),
            self.logs,
            clock=lambda: self.now,
        )

    def without_poll(self) -> None:
        """Be a scheduler that cannot be asked."""
        self.fleet = self._fleet(BatchScheduler("PBS", QueueJob, _no_options))

    # What the fleet sees

    def submit(self, job: _Job) -> str:
        self.tries.append(self.now)
        if self.refusals:
            raise self.refusals.popleft()
        self.submitted.append(job)
        self.states[job.number] = SchedulerState("PENDING")
        return job.number

    def cancel(self, jobs: Sequence[_Job]) -> None:
        self.cancelled += [job.number for job in jobs]

    def poll(self, name: str) -> Mapping[str, SchedulerState]:
        assert name == "w"
        self.polls.append(self.now)
        if self.silent:
            raise OSError(self.silent)
        return dict(self.states)

    def account_of(self, number: str) -> SchedulerState | None:
        return self.accounts.get(number)

    # What happens

    def comes(self, number: str, node: str = "n1", *, start: int = 0) -> str:
        """Have a worker start and take jobs; give its name."""
        self.states[number] = SchedulerState("RUNNING", "", node)
        worker = f"w-{number}-{start}"
        self.present[worker] = node
        self.fleet.joins(worker)
        return worker

    def ends(self, number: str, state: str, reason: str = "", node: str = "n1") -> None:
        """Have a job end, and its worker be gone."""
        self.states[number] = SchedulerState(state, reason, node)
        for worker in [w for w in self.present if w.startswith(f"w-{number}-")]:
            del self.present[worker]

    def tend(self, wanted: int = 1) -> list[str]:
        return list(self.fleet.tend(wanted, dict(self.present)))

    def lasts(self, seconds: float, wanted: int = 1) -> list[str]:
        """Let time go by as the executor does; give what the user is told."""
        notes, until = [], self.now + seconds
        while self.now < until:
            self.now += 0.5
            notes += self.tend(wanted)
        return notes

    @property
    def numbers(self) -> list[str]:
        return [job.number for job in self.submitted]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    for name in ("submit", "cancel", "account_of"):
        monkeypatch.setattr(schedulers, name, getattr(made, name))
    return made
