"""The `local` executor: CellProfiler processes on this machine, N at a time."""

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event as Flag

import psutil

from cpengine.executors.base import Executor
from cpengine.measure import GB
from cpengine.model import Job, Outcome
from cpengine.runner import Machine, run_job
from cpengine.slots import Slots


class LocalExecutor(Executor):
    """Runs jobs in threads, of which so many at a time attend a CellProfiler process.

    Parameters
    ----------
    workers
        Jobs at a time; from cores and memory if None.
    memory_gb
        The memory that one job is expected to need, for that default.
    """

    def __init__(
        self, machine: Machine, workers: int | None = None, *, memory_gb: float = 2.0
    ) -> None:
        super().__init__()
        workers = workers or default_workers(memory_gb)
        # Twice as many jobs where files travel: half fetch or publish meanwhile.
        self.window = workers if machine.places.local else 2 * workers
        self._machine = replace(machine, slots=Slots(workers))
        self._cancelled = Flag()
        self._pool = ThreadPoolExecutor(self.window, "slot")
        self._running: set[Future[Outcome]] = set()

    def submit(self, job: Job, attempt: int) -> None:
        self._running.add(
            self._pool.submit(
                run_job,
                job,
                self._machine,
                attempt=attempt,
                listen=self.listen,
                cancelled=self._cancelled,
            )
        )

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        ended, self._running = wait(self._running, timeout_s, FIRST_COMPLETED)
        return [future.result() for future in ended]

    def cancel(self) -> None:
        self._cancelled.set()
        self._pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        self._pool.shutdown()


def default_workers(memory_gb: float) -> int:
    """One job a core that we may use, as far as the free memory reaches."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    fitting = int(psutil.virtual_memory().available / (memory_gb * GB))
    return max(1, min(cores or os.cpu_count() or 1, fitting))
