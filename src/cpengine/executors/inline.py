"""The `inline` executor: one job after the other in this thread, for debugging."""

from threading import Event as Flag
from threading import RLock

from cpengine.executors.base import Executor
from cpengine.executors.entry import ExecutorEntry
from cpengine.executors.room import Room, RoomRequest
from cpengine.job.run_job import Machine, run_job
from cpengine.model import Job, Outcome
from cpengine.planning.project import ResolvedProject


class InlineExecutor(Executor):
    """Runs each job where it is called, so that a debugger sees all of it."""

    window = 1
    machine: Machine

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._cancelled = Flag()
        self._running = RLock()
        self._ended: list[Outcome] = []

    def submit(self, job: Job, attempt: int) -> None:
        with self._running:
            outcome = run_job(
                job,
                self.machine,
                attempt=attempt,
                listen=self.listen,
                cancelled=self._cancelled,
            )
            self._ended.append(outcome)

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        ended, self._ended = self._ended, []
        return ended

    def cancel(self) -> None:
        """End the job that another thread runs: between two calls there is none."""
        super().cancel()
        self._cancelled.set()
        with self._running:
            self._cancelled, self._ended = Flag(), []


class InlineEntry(ExecutorEntry):
    """One job after the other, in the driver itself."""

    on_this_machine = True

    def create(
        self, project: ResolvedProject, machine: Machine, workers: int | None
    ) -> InlineExecutor:
        return InlineExecutor(machine)

    def room(self, asked: RoomRequest) -> Room:
        return Room(1, "one slot of this machine", None, 1)
