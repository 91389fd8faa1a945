"""A run in a thread, so that a test can do harm to it meanwhile."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cpengine.events import Event, JobRetried, JobStarted, Noted
from cpengine.executors import contract
from cpengine.executors.slurm.cluster_executor import ClusterExecutor
from cpengine.model import Failure, Job, Outcome
from cpengine.wording import GB
from tests.executors.slurm.workers import settings

PATIENCE_S = 120


class Watched:
    """Runs jobs of the stand-in on the cluster; `faults` as in `testing.stand_in`."""

    def __init__(
        self, folder: Path, jobs: list[Job], faults: dict[str, list[str]], **more: Any
    ) -> None:
        self.folder = folder
        self.jobs = jobs
        self.outcomes: list[Outcome] = []
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self.machine = contract.machine(folder, faults, warm=True)
        chosen = settings(**more)
        self.executor = ClusterExecutor(
            "slurm",
            chosen,
            self.machine,
            contract.MAKE,
            contract.describe(self.machine, int(chosen.memory_gb * GB)),
            folder=folder / "run",
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            for outcome in self.executor.run(self.jobs, self.events.append):
                self.outcomes.append(outcome)
        except BaseException as error:  # told in the test's own thread
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind:
            self.executor.cancel()
        self._thread.join(PATIENCE_S)
        self.executor.close()

    def end(self) -> dict[str, Outcome]:
        """Wait for the end; give the outcomes by job, each of which has one."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the run takes too long"
        if self.error is not None:
            raise self.error
        assert sorted(o.job.id for o in self.outcomes) == sorted(
            j.id for j in self.jobs
        )
        return {outcome.job.id: outcome for outcome in self.outcomes}

    def until(self, true: Callable[[], object], what: str) -> None:
        """Wait for what the run brings about."""
        give_up = time.monotonic() + PATIENCE_S
        while not true():
            if self.error is not None:
                raise self.error
            assert time.monotonic() < give_up, f"it takes too long until {what}"
            time.sleep(0.05)

    def until_started(self, *names: str) -> None:
        """Wait until CellProfiler runs jobs."""
        paths = [self.folder / f"{name}.attempt1" for name in names]
        what = f"{', '.join(names)} run"
        self.until(lambda: all(path.exists() for path in paths), what)

    def worker_of(self, name: str) -> str:
        """The number of the SLURM job whose worker runs a job."""
        info = self.executor.workers()
        keys = self.executor._client.processing()
        for address, tasks in keys.items():
            if any(str(task).startswith(f"{name}-cpengine") for task in tasks):
                worker = str(info[address]["name"]).rpartition("-")[0]
                return self.executor.fleet.jobs[worker].number
        raise AssertionError(f"no worker runs {name}")

    @property
    def failures(self) -> list[Failure]:
        """Those of attempts that were tried again."""
        retried = [event for event in self.events if isinstance(event, JobRetried)]
        return [event.outcome.failure for event in retried if event.outcome.failure]

    @property
    def notes(self) -> list[str]:
        """What the user was told of the cluster."""
        return [event.what for event in self.events if isinstance(event, Noted)]

    def starts(self, name: str) -> int:
        """How often an attempt at a job was begun, as the views saw it."""
        begun = [event for event in self.events if isinstance(event, JobStarted)]
        return sum(event.job.id == name for event in begun)
