"""The `local` executor: CellProfiler processes on this machine, N at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread

from cpengine.config import LocalSection
from cpengine.config.forms import MOST_LOCAL
from cpengine.errors import ConfigError
from cpengine.events import Listener
from cpengine.executors.base import Executor
from cpengine.executors.entry import ExecutorEntry
from cpengine.executors.room import Room, RoomRequest
from cpengine.job.admission import MemoryRule, Slots
from cpengine.job.run_job import Machine, run_job
from cpengine.model import Job, Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.system.capacity import MemoryLeft, lately, usable_cores
from cpengine.wording import GB, counted

_SIGNALS_S = 1.0
_CHECK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class _LocalAttempt:
    """What a thread is to do."""

    run: Callable[[Flag], Outcome]
    """Runs the job; ends it when that flag is set."""
    failed: Callable[[BaseException], Outcome]
    """The outcome if that raises, or if there can be no thread for it."""


class _JobThreads:
    """Threads that run the jobs of one run, and what these have come to.

    Ctrl-C may come between any two steps of the main thread. Where that starts threads
    or takes locks, it would leave a thread that nobody waits for, or a lock that nobody
    gives back. So a thread that is not interrupted, the foreman, looks after the others
    and is told by a queue, which takes and gives a thing whole or not at all.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._cancelled = Flag()
        self._over = Flag()
        self._orders: SimpleQueue[_LocalAttempt | None] = SimpleQueue()
        self._attempts: SimpleQueue[_LocalAttempt | None] = SimpleQueue()
        self._ended: SimpleQueue[Outcome] = SimpleQueue()
        self._threads: list[Thread] = []
        Thread(target=self._employ, name="foreman", daemon=True).start()

    def start(self, attempt: _LocalAttempt) -> None:
        """Have a thread run a job; return at once."""
        self._orders.put(attempt)

    def ended(self, timeout_s: float | None) -> Iterator[Outcome]:
        """What jobs have come to; wait for the first."""
        until = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        # In pieces: a signal that another thread has got is heard between them only.
        while (left := until - time.monotonic()) > 0:
            with suppress(Empty):
                yield self._ended.get(timeout=min(left, _SIGNALS_S))
                break
        with suppress(Empty):
            while True:
                yield self._ended.get_nowait()

    def end(self) -> None:
        """End all jobs, and wait for that; again if Ctrl-C has come meanwhile."""
        self._orders.put(None)
        while not self._over.is_set():
            time.sleep(_CHECK_EVERY_S)

    def _employ(self) -> None:
        for attempt in iter(self._orders.get, None):
            self._attempts.put(attempt)
            if len(self._threads) < self._most:
                self._hire()
        self._cancelled.set()
        for _ in self._threads:
            self._attempts.put(None)
        for thread in self._threads:
            thread.join()
        self._over.set()

    def _hire(self) -> None:
        """Start one more thread; where there can be no more, others must do."""
        thread = Thread(target=self._work, name="slot", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._threads and (attempt := self._attempts.get()):
                self._ended.put(attempt.failed(error))
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        for attempt in iter(self._attempts.get, None):
            if self._cancelled.is_set():
                continue
            try:
                self._ended.put(attempt.run(self._cancelled))
            except BaseException as error:
                self._ended.put(attempt.failed(error))


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
        rule = MemoryRule.of(
            memory_left or lately(MemoryLeft.of_this_process()),
            expected=int(memory_gb * GB),
            admits=not workers,
        )
        self._slots = Slots(workers or usable_cores(), rule)
        super().__init__(replace(machine, slots=self._slots))
        self._threads: _JobThreads | None = None
        self._fit_window("")

    def _fit_window(self, step: str) -> None:
        """Have twice as many jobs under way as can run.

        So a staged job waits for each slot, and no slot waits for publishing.
        """
        self.window = 2 * self._slots.fitting(step)

    def submit(self, job: Job, attempt: int) -> None:
        if self._threads is None:
            self._threads = _JobThreads(2 * self._slots.count)
        self._threads.start(
            _LocalAttempt(
                partial(self._run_job, job, attempt, self.listen),
                partial(self.failed_by, job, attempt),
            )
        )

    def _run_job(
        self, job: Job, attempt: int, listen: Listener, cancelled: Flag
    ) -> Outcome:
        outcome = run_job(
            job, self.machine, attempt=attempt, listen=listen, cancelled=cancelled
        )
        self._fit_window(job.step)
        return outcome

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        threads = self._threads
        return list(threads.ended(timeout_s)) if threads else []

    def cancel(self) -> None:
        super().cancel()
        if (threads := self._threads) is not None:
            threads.end()
            self._threads = None  # last: if Ctrl-C comes meanwhile, `close` goes on

    def close(self) -> None:
        super().close()
        self.cancel()


class LocalEntry(ExecutorEntry):
    """Processes of this machine."""

    Settings = LocalSection
    on_this_machine = True

    def create(
        self, project: ResolvedProject, machine: Machine, workers: int | None
    ) -> LocalExecutor:
        settings = self.settings(project)
        if workers and workers > MOST_LOCAL:
            raise ConfigError(
                f"--workers {workers}: one machine runs at most {MOST_LOCAL} jobs at a "
                "time: give fewer"
            )
        return LocalExecutor(
            machine, workers or settings.workers, memory_gb=settings.memory_gb
        )

    def room(self, asked: RoomRequest) -> Room:
        settings = self.settings(asked.project)
        left, expected = MemoryLeft.of_this_process(), int(settings.memory_gb * GB)
        fits = asked.fits(MemoryRule.of(left, expected, admits=True))
        fixed = asked.workers or settings.workers
        slots = fixed or min(usable_cores(), fits)
        where = f"{counted(slots, 'slot')} of this machine"
        return Room(slots, where, fits, fixed or usable_cores())
