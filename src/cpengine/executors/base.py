"""The seam: an executor takes jobs and yields outcomes as they end."""

import contextlib
import heapq
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cpengine.errors import CpengineError, StorageError
from cpengine.events import JobEnded, JobRetried, Listener, RunStopped, ignore, steady
from cpengine.executors.retry import Retry, Tally, next_try
from cpengine.job.failures import failure_of, trace_of
from cpengine.job.run_job import Machine, versions
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from cpengine.model import Failure, FailureKind, Job, Outcome

if TYPE_CHECKING:
    from cpengine.executors.exec_job import ExecJob


class Executor(ABC):
    """Runs jobs somewhere.

    A backend fills in `submit`, `wait`, `cancel` and `window`; the flow is here:
    how many jobs are under way, which failures are tried again, what is told.

    Parameters
    ----------
    machine
        The driver's own, where it is known: it has the ledger for what no worker
        records, and the versions that outcomes name.
    """

    window: int
    """How many jobs may be submitted and not yet ended."""
    pause_s: float = 5.0
    """Seconds before a second try at a job whose storage or machine failed, or whose
    worker was lost; four times longer before each further one."""
    machine: Machine | None = None
    _run: "_RunningJobs | None" = None
    """The one that is under way: a generator goes on as long as this is its own."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine
        self.listen: Listener = ignore
        self.traces: Mapping[str, str] = {}
        """What would be left of it elsewhere if this process were killed."""

    @abstractmethod
    def submit(self, job: Job, attempt: int) -> None:
        """Start an attempt at a job; return at once."""

    @abstractmethod
    def wait(self, timeout_s: float | None) -> list[Outcome]:
        """Wait until attempts have ended, or time is up; give their outcomes."""

    @abstractmethod
    def cancel(self) -> None:
        """End the attempts under way, leave nothing half-published, wait for that.

        The executor can be used for another run afterwards. Backends call this one
        first: whoever holds the generator of the run then finds it at its end.
        """
        self._run = None

    def close(self) -> None:
        """End the run that is under way, and give back what the executor holds."""
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def lost(
        self, job: Job, attempt: int, failure: Failure, started: str = ""
    ) -> Outcome:
        """The outcome of an attempt that no worker tells of.

        Recorded unless the job is tried again: nobody else will write that it failed.

        Parameters
        ----------
        started
            When, as an outcome has it.
        """
        outcome = self._with_versions(
            Outcome(job, failure, attempt, started=started or now())
        )
        if self.machine and next_try(outcome, 0.0) is None:
            with contextlib.suppress(StorageError):
                Ledger(self.machine.places.outputs, job.ledger).record(outcome)
        return outcome

    def _with_versions(self, outcome: Outcome) -> Outcome:
        """An outcome that names what ran it, also where its worker did not."""
        if self.machine is None or "cellprofiler" in outcome.versions:
            return outcome
        known = versions(self.machine.cellprofiler) | dict(outcome.versions)
        return replace(outcome, versions=known)

    def outcome_of(self, attempt: "ExecJob") -> Outcome:
        """What an attempt by `cpengine exec-job` came to, which has ended.

        Lost, as by `lost`, if it wrote no outcome. Its files are removed.
        """
        job, number, started = attempt.job, attempt.attempt, attempt.started
        try:
            found = attempt.outcome()
            return found or self.lost(job, number, attempt.failure(), started)
        except Exception as error:
            return self.failed_by(job, number, error, started)
        finally:
            attempt.remove()

    def failed_by(
        self, job: Job, attempt: int, error: BaseException, started: str = ""
    ) -> Outcome:
        """The outcome of an attempt around which something was raised, as `lost`.

        The job's log gets the traceback.
        """
        failure = failure_of(error)
        if self.machine and failure.kind is FailureKind.INTERNAL:
            ledger = Ledger(self.machine.places.outputs, job.ledger)
            key = ledger.log(job)
            with contextlib.suppress(StorageError):
                ledger.storage.write(key, trace_of(error).encode())
                failure = replace(failure, log=ledger.storage.url(key))
        return self.lost(job, attempt, failure, started)

    def run(
        self,
        jobs: Iterable[Job],
        listen: Listener = ignore,
        *,
        max_failures: int | None = None,
    ) -> Generator[Outcome]:
        """Run jobs and yield each one's outcome as it ends.

        Attempts under way are cancelled when the caller stops early, by Ctrl-C too,
        and when so many jobs have failed that going on is not worth it. There is one
        run at a time: another one, `cancel` and `close` end it, and its generator.

        Parameters
        ----------
        max_failures
            See `Tally.limit`.
        """
        self._stop()
        self.listen = listen = steady(listen)
        tally = Tally(max_failures)
        run = self._run = _RunningJobs(jobs)
        try:
            while run is self._run and run and not tally.stopped:
                for outcome in map(self._with_versions, self._turn(run)):
                    if run is not self._run:
                        return
                    run.under_way -= 1
                    again = next_try(outcome, self.pause_s)
                    if again is not None:
                        listen(JobRetried(outcome))
                        run.add(again)
                    else:
                        tally.add(outcome)
                        listen(JobEnded(outcome))
                        yield outcome
            if tally.stopped:
                listen(RunStopped(tally.stopped))
        finally:
            if run is self._run:
                self._stop()

    def _stop(self) -> None:
        """End the run that is under way, if there is one."""
        if self._run is not None and self._run.under_way:
            self.cancel()
        self._run = None

    def _turn(self, run: "_RunningJobs") -> list[Outcome]:
        """Start what there is room for, and wait for outcomes."""
        ended: list[Outcome] = []
        for ready in run.take(self.window - run.under_way):
            run.under_way += 1  # first: Ctrl-C may come before the next line
            ended += self._start(ready.job, ready.attempt)
            if run is not self._run:  # another thread has cancelled: this one, too
                self.cancel()
                return []
        if not run.under_way:
            time.sleep(run.due_in() or 0.0)
            return []
        room = run.under_way < self.window
        return ended or self.wait(run.due_in() if room else None)

    def _start(self, job: Job, attempt: int) -> list[Outcome]:
        """Submit an attempt; where that fails, its outcome is there at once.

        What the user can mend is no job's failure: it is raised, and ends the run.
        """
        try:
            self.submit(job, attempt)
        except CpengineError:
            raise
        except Exception as error:
            return [self.failed_by(job, attempt, error)]
        return []


class _RunningJobs:
    """A run's jobs: those to start, in order, and how many have been.

    Those that failed come again when their time is up.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.under_way = 0
        self._jobs = iter(jobs)  # a plan makes each when it is asked for
        self._next = next(self._jobs, None)
        self._later: list[tuple[float, int, Retry]] = []
        self._count = count()

    def __bool__(self) -> bool:
        return bool(self._next is not None or self._later or self.under_way)

    def add(self, again: Retry) -> None:
        due = time.monotonic() + again.after_s
        heapq.heappush(self._later, (due, next(self._count), again))

    def take(self, room: int) -> Iterator[Retry]:
        """What can start now, as far as there is room; new jobs before old ones."""
        for _ in range(room):
            if self._next is not None:
                job, self._next = self._next, next(self._jobs, None)
                yield Retry(job, 1)
            elif self._later and self._later[0][0] <= time.monotonic():
                yield heapq.heappop(self._later)[2]

    def due_in(self) -> float | None:
        """Seconds until the next job that comes again is due, if there is one."""
        return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
