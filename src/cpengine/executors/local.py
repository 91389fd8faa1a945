"""The `local` executor: CellProfiler processes on this machine, N at a time."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event as Flag

from cpengine.executors.base import Executor
from cpengine.job.admission import MemoryRule, Slots
from cpengine.job.run_job import Machine, run_job
from cpengine.model import Job, Outcome
from cpengine.system.capacity import MemoryLeft, lately, usable_cores
from cpengine.wording import GB


class LocalExecutor(Executor):
    """Runs jobs in threads, of which so many at a time attend a CellProfiler process.

    Parameters
    ----------
    workers
        Jobs at a time. If None, at most one a core, as far as memory reaches for what
        jobs need by those that have ended.
    memory_gb
        What a job is expected to need until some have ended, in GB of 1024^3 bytes.
    memory_left
        Says how many bytes of memory can be had. Those of this machine by default.
    """

    machine: Machine

    def __init__(
        self,
        machine: Machine,
        workers: int | None = None,
        *,
        memory_gb: float = 2.0,
        memory_left: Callable[[], int] | None = None,
    ) -> None:
        super().__init__()
        rule = MemoryRule.of(
            memory_left or lately(MemoryLeft.of_this_process()),
            expected=int(memory_gb * GB),
            admits=not workers,
        )
        self._slots = Slots(workers or usable_cores(), rule)
        self.machine = replace(machine, slots=self._slots)
        self._cancelled = Flag()
        self._pool = ThreadPoolExecutor(2 * self._slots.count, "slot")
        self._running: set[Future[Outcome]] = set()
        self._fit_window("")

    def _fit_window(self, step: str) -> None:
        """Have twice as many jobs under way as can run.

        So a staged job waits for each slot, and no slot waits for publishing.
        """
        self.window = 2 * self._slots.fitting(step)

    def submit(self, job: Job, attempt: int) -> None:
        self._running.add(
            self._pool.submit(
                run_job,
                job,
                self.machine,
                attempt=attempt,
                listen=self.listen,
                cancelled=self._cancelled,
            )
        )

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        ended, self._running = wait(self._running, timeout_s, FIRST_COMPLETED)
        outcomes = [future.result() for future in ended]
        for step in {outcome.job.step for outcome in outcomes}:
            self._fit_window(step)
        return outcomes

    def cancel(self) -> None:
        self._cancelled.set()
        self._pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        self._pool.shutdown()
