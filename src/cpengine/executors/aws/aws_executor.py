"""The `aws` executor: jobs in an SQS queue, workers that empty it, markers that tell.

Nothing but the ledger says what a job came to, so a client that is lost loses nothing:
the next one reads on.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cpengine.config.steps import DoneRule
from cpengine.errors import StorageError
from cpengine.events import JobRetried, Noted
from cpengine.executors.aws import dead_letters, down, setup
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.dcp_worker import Stock
from cpengine.executors.aws.launch import start_machines
from cpengine.executors.aws.monitor import BLIND_S, Monitor
from cpengine.executors.aws.outbox import Sent
from cpengine.executors.aws.queue import Queue
from cpengine.executors.aws.submit import submit
from cpengine.executors.base import Executor
from cpengine.executors.retry import given_up, next_try
from cpengine.job.run_job import Machine, versions
from cpengine.ledger.ledger import Ledger
from cpengine.marker import Marker, MarkerState
from cpengine.model import Failure, FailureKind, Job, Outcome

_WINDOW = 20_000
_SHARE_OF_TIME = 10
"""Looking takes at most such a part of the time."""


@dataclass(eq=False)
class _SentJob:
    """A job in the queue or in a worker."""

    job: Job
    attempt: int
    tries: int = 0
    """So many of the earlier markers that its outcomes name have been told of."""


class AwsExecutor(Executor):
    """Runs each step's jobs on machines of its own.

    Parameters
    ----------
    machine
        The client's own: where the ledger is, and which CellProfiler is wanted.
    app_of
        Settles a step: names, amounts, record.
    fleet_file
        The user's spot fleet file, if there is one.
    most
        At most so many jobs at a time.
    """

    machine: Machine

    def __init__(
        self,
        machine: Machine,
        app_of: Callable[[str], App],
        *,
        fleet_file: Path | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__(machine)
        self.window = _WINDOW
        self._app_of = app_of
        self._fleet_file = fleet_file
        self._most = most
        self._step: _StepRun | None = None
        self._lost = False

    def submit(self, job: Job, attempt: int) -> None:
        if self._step is None or self._step.name != job.step:
            self._finish()
            self._step = self._begin(job)
        self._step.add(job, attempt)

    def _begin(self, job: Job) -> "_StepRun":
        app = self._app_of(job.step)
        self.traces = {"scheduler": "aws", "ledger": job.ledger}
        ledger = Ledger(self.machine.places.outputs, job.ledger)
        return _StepRun(job.step, app, ledger, self)

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        assert self._step is not None
        if self._step.fresh:
            self._step.start(self._fleet_file, self._most)
        due = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        reached = time.monotonic()
        while True:
            try:
                outcomes = self._step.poll()
                reached = time.monotonic()
            except (AwsError, StorageError) as error:
                if isinstance(error, AwsError) and not error.passing:
                    raise
                if time.monotonic() - reached > BLIND_S:
                    self._lost = True
                    raise
                self.listen(Noted(str(error)))
                outcomes = []
            if outcomes or time.monotonic() >= due:
                return outcomes
            time.sleep(min(self._step.pause_s, max(0.0, due - time.monotonic())))

    @property
    def cellprofiler(self) -> str:
        """The version that workers must have."""
        return self.machine.cellprofiler.version

    def cancel(self) -> None:
        super().cancel()
        if not self._lost:
            self._finish()

    def close(self) -> None:
        super().close()
        if not self._lost:
            self._finish()

    def _finish(self) -> None:
        """Take down what the present step has."""
        if self._step is not None:
            step, self._step = self._step, None
            try:
                remaining = down.down(step.app)
            except (AwsError, StorageError) as error:
                raise AwsError(
                    f"{step.app.name}: not all is taken down: run `cpengine aws down "
                    f"{step.name}`, and `cpengine aws audit`: {error}"
                ) from error
            for line in remaining:
                self.listen(Noted(line))


def verdicts(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome a job: that it is done, if one says so, else the last try's.

    A message that was taken twice may leave a job with both.
    """
    found: dict[str, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda each: (each.done, each.attempt)):
        found[outcome.job.id] = outcome
    return list(found.values())


class _StepRun:
    """One step's jobs under way."""

    def __init__(self, name: str, app: App, ledger: Ledger, run: AwsExecutor) -> None:
        self.name = name
        self.app = app
        self._ledger = ledger
        self._run = run
        self.pause_s = app.settings.section.poll_s
        self._fresh: list[_SentJob] = []
        self._under_way: dict[str, _SentJob] = {}
        self._queue: Queue | None = None
        self._sent: Sent | None = None
        self._monitor: Monitor | None = None
        self._stock: Stock | None = None
        self._ended: list[Outcome] = []

    def add(self, job: Job, attempt: int) -> None:
        """Take in a job; it is sent with the others."""
        self._fresh.append(_SentJob(job, attempt))

    @property
    def fresh(self) -> bool:
        """Whether there are jobs to be sent."""
        return bool(self._fresh)

    def start(self, file: Path | None, most: int | None) -> None:
        """Send the new jobs, and ask for machines if there are none.

        Raises
        ------
        AwsError
            AWS refuses something.
        """
        first = self._queue is None
        queue = self._queue = self._queue or setup.setup(self.app)
        self._sent = self._sent or Sent.open(self._ledger, queue)
        self._send(queue, self._sent)
        if first:
            jobs = min(len(self._under_way), most or _WINDOW)
            wanted = self.app.settings.machines_for(jobs)
            fleet = start_machines(self.app, wanted, file)
            if fleet.asked_by:
                what = f"fleet {fleet.id} is there, asked for by {fleet.asked_by}"
                self._run.listen(Noted(f"{self.app.name}: {what}"))
            self._monitor = Monitor(self.app, queue, self._run.listen)

    def _send(self, queue: Queue, sent: Sent) -> None:
        fresh = [(sent_job.job, sent_job.attempt) for sent_job in self._fresh]
        self._under_way |= {sent_job.job.id: sent_job for sent_job in self._fresh}
        for job in submit(self.app, self._ledger, fresh, queue, sent):
            self._under_way[job.id].job = job
        self._fresh.clear()

    def poll(self) -> list[Outcome]:
        """The outcomes that have come since.

        Raises
        ------
        AwsError, StorageError
            Something cannot be asked. What has come is given by the next look.
        """
        begun = time.monotonic()
        if self._monitor is not None:
            self._monitor.check(len(self._under_way))
        self._read_outcomes()
        self._by_files()
        self._given_up()
        if self._monitor is not None and self._monitor.drained:
            self._vanished()
        took = time.monotonic() - begun
        self.pause_s = max(self.app.settings.section.poll_s, _SHARE_OF_TIME * took)
        ended, self._ended = self._ended, []
        return ended

    def _end(self, outcome: Outcome) -> None:
        del self._under_way[outcome.job.id]
        self._ended.append(outcome)

    def _read_outcomes(self) -> None:
        """Take in outcomes that workers have written to the ledger."""
        names = []
        for job_id, markers in self._ledger.markers().items():
            sent_job = self._under_way.get(job_id)
            names += [
                name for name in markers if sent_job and self._tells(name, sent_job.job)
            ]
        for outcome in verdicts(self._ledger.outcomes(names)):
            self._tell_tries(outcome)
            if next_try(outcome, 0.0) is None:
                job = self._under_way[outcome.job.id].job
                share = outcome.job.share
                self._end(replace(outcome, job=replace(job, share=share)))

    def _by_files(self) -> None:
        """Take in what Distributed-CellProfiler's own worker has come to."""
        if self.app.settings.section.worker != "dcp":
            return
        rule = self.app.settings.done or DoneRule(1)
        known = versions(self._run.machine.cellprofiler)
        self._stock = self._stock or Stock(self._ledger, rule, known)
        drained = self._monitor is not None and self._monitor.empty_checks > 0
        jobs = [sent_job.job for sent_job in self._under_way.values()]
        for outcome in self._stock.outcomes(jobs, drained=drained):
            self._end(outcome)

    def _tell_tries(self, outcome: Outcome) -> None:
        """Tell of attempts that failed and were tried again by the workers.

        Their markers may be gone by now; the next attempt's outcome names them.
        """
        sent_job = self._under_way[outcome.job.id]
        for name in outcome.job.earlier[sent_job.tries :]:
            marker = Marker.parse(name)
            kind = marker.failure if marker else ""
            if kind and name not in sent_job.job.earlier:
                failure = Failure(FailureKind(kind), "see the log of its stream")
                self._run.listen(JobRetried(Outcome(sent_job.job, failure)))
        sent_job.tries = max(sent_job.tries, len(outcome.job.earlier))

    def _tells(self, name: str, job: Job) -> bool:
        marker = Marker.parse(name)
        return (
            marker is not None
            and marker.state is not MarkerState.REPLACED
            and marker.fingerprint == job.fingerprint
            and marker.version == self._run.cellprofiler
        )

    def _given_up(self) -> None:
        """Take in jobs whose messages have become dead letters."""
        for letter in dead_letters.take(self.app, self._under_way):
            if sent_job := self._under_way.get(letter.job.id):  # it may be there twice
                self._fail(sent_job, letter.failure, letter.attempt)
            letter.delete()

    def _vanished(self) -> None:
        """Give up what is left when the queue stays empty: somebody has emptied it."""
        why = "its message is gone from the queue, and nothing says what it came to"
        for sent_job in list(self._under_way.values()):
            self._fail(sent_job, Failure(FailureKind.NO_OUTPUT, why), sent_job.attempt)

    def _fail(self, sent_job: _SentJob, failure: Failure, attempt: int) -> None:
        """End a job of which no worker will tell, and which is not tried again."""
        self._end(self._run.lost(given_up(sent_job.job), attempt, failure))
