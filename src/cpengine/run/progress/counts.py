"""Where a step stands, in numbers."""

import time
from datetime import timedelta

from cpengine.events import (
    Event,
    JobEnded,
    JobRetried,
    JobStarted,
    ModuleDone,
    PhaseBegun,
)
from cpengine.model import Job, Outcome
from cpengine.run.progress.speed import Clock, Pace

_PHASES = {
    "fetching": "fetching",
    "waiting": "waiting for a slot",
    "checking": "comparing ways",
    "running": "in CellProfiler",
    "publishing": "publishing",
}


class RunningJob:
    """A job under way."""

    def __init__(self, job: Job, attempt: int, begun: float) -> None:
        self.job = job
        self.attempt = attempt
        self.begun = begun
        self.doing = "starting"
        self.module_num = 0
        """The module that has ended last; 0 before the first."""
        self._image_numbers: set[int] = set()

    def add(self, done: ModuleDone) -> None:
        """Take in a finished module."""
        self._image_numbers.add(done.image_number)
        self.module_num = done.module_num
        self.doing = done.module

    @property
    def finished(self) -> int:
        """Image sets that all modules are through with: all but the present one."""
        return max(0, len(self._image_numbers) - 1)


class Counts:
    """Where a step stands.

    Parameters
    ----------
    jobs, image_sets
        How many this run is to do.
    already
        Jobs that were done before it.
    """

    def __init__(
        self,
        jobs: int,
        image_sets: int,
        already: int = 0,
        clock: Clock = time.monotonic,
    ) -> None:
        self.jobs = jobs
        self.image_sets = image_sets
        self.already = already
        self.done = 0
        self.failed = 0
        self.retried = 0
        self.modules = 0
        """The last module of the pipeline, once an image set was through with it."""
        self.running: dict[str, RunningJob] = {}
        self._passed = 0
        """Image sets of jobs that have ended, however."""
        self._worked = 0
        """Image sets that CellProfiler went through in attempts that are over."""
        self._clock = clock
        self._pace = Pace(clock)

    @property
    def left(self) -> int:
        """Jobs that have not begun."""
        return max(0, self.jobs - self.done - self.failed - len(self.running))

    @property
    def seen_image_sets(self) -> int:
        """Image sets finished, those of running jobs included."""
        return self._passed + self._under_way

    @property
    def _under_way(self) -> int:
        return sum(running.finished for running in self.running.values())

    @property
    def per_minute(self) -> float:
        """Image sets a minute, of late."""
        return self._pace.per_minute(self._worked + self._under_way)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the step began."""
        return self._pace.elapsed_s

    @property
    def eta(self) -> str:
        """Time left at this rate, `h:mm:ss`."""
        rate = self.per_minute
        if not rate:
            return "-:--:--"
        left = max(0, self.image_sets - self.seen_image_sets)
        return str(timedelta(seconds=round(60 * left / rate)))

    def took_s(self, running: RunningJob) -> float:
        """Seconds since an attempt began."""
        return self._clock() - running.begun

    def add(self, event: Event) -> None:
        """Take in what happened. Events of one job may come late, or not at all."""
        match event:
            case JobStarted(job, attempt):
                self.running[job.id] = RunningJob(job, attempt, self._clock())
            case PhaseBegun(job, phase) if job.id in self.running:
                self.running[job.id].doing = _PHASES[phase]
            case ModuleDone(job) if job.id in self.running:
                self._module(self.running[job.id], event)
            case JobRetried(outcome):
                self.retried += 1
                self._over(outcome)
            case JobEnded(outcome):
                self._over(outcome)
                self._passed += outcome.job.image_sets
                self.done += outcome.done
                self.failed += not outcome.done
        if self._pace.due:
            self._pace.mark(self._worked + self._under_way)

    def _module(self, running: RunningJob, event: ModuleDone) -> None:
        if event.module_num < running.module_num:  # the next image set has begun
            self.modules = max(self.modules, running.module_num)
        running.add(event)

    def _over(self, outcome: Outcome) -> None:
        """An attempt has ended."""
        running = self.running.pop(outcome.job.id, None)
        if outcome.done:
            self._worked += outcome.job.image_sets
            if running is not None:
                self.modules = max(self.modules, running.module_num)
        elif running is not None:
            self._worked += running.finished

    def __str__(self) -> str:
        retried = f"{self.retried} tried again, " if self.retried else ""
        return (
            f"{self.done}/{self.jobs} done, {len(self.running)} running, "
            f"{self.failed} failed, {self.left} left, {retried}"
            f"{self.per_minute:.1f} image sets/min, ETA {self.eta}"
        )
