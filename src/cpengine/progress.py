"""What a person sees while jobs run: a live view, or plain lines without a terminal."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cpengine.events import (
    Event,
    JobEnded,
    JobRetried,
    JobStarted,
    ModuleDone,
    Noted,
    PhaseBegun,
    ProcessEachJob,
    RunStopped,
)
from cpengine.model import Failure, Job

_LINE_EVERY_S = 60.0
_PHASES = {
    "fetching": "fetching",
    "waiting": "waiting for a slot",
    "running": "in CellProfiler",
    "publishing": "publishing",
}


@dataclass
class Counts:
    """Where a step stands."""

    jobs: int
    image_sets: int
    done: int = 0
    failed: int = 0
    begun: float = field(default_factory=time.monotonic)
    finished_image_sets: int = 0
    running: dict[str, "Running"] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Jobs that have not begun."""
        return max(0, self.jobs - self.done - self.failed - len(self.running))

    @property
    def seen_image_sets(self) -> int:
        """Image sets finished, those of running jobs included."""
        return self.finished_image_sets + sum(r.finished for r in self.running.values())

    @property
    def per_minute(self) -> float:
        """Image sets a minute since the step began."""
        elapsed = time.monotonic() - self.begun
        return 60 * self.seen_image_sets / elapsed if elapsed else 0.0

    @property
    def eta(self) -> str:
        """Time left at this rate, `h:mm:ss`."""
        if not self.per_minute:
            return "-:--:--"
        left = max(0, self.image_sets - self.seen_image_sets)
        return str(timedelta(seconds=round(60 * left / self.per_minute)))

    def add(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case JobStarted(job, attempt):
                self.running[job.id] = Running(job, attempt)
            case PhaseBegun(job, phase):
                self.running[job.id].module = _PHASES[phase]
            case ModuleDone(job, image_number, module, module_num):
                self.running[job.id].add(image_number, f"{module_num} {module}")
            case JobRetried(outcome):
                self.running.pop(outcome.job.id, None)
            case JobEnded(outcome):
                self.running.pop(outcome.job.id, None)
                self.finished_image_sets += outcome.job.image_sets
                self.done += outcome.done
                self.failed += not outcome.done

    def __str__(self) -> str:
        return (
            f"{self.done}/{self.jobs} done, {len(self.running)} running, "
            f"{self.failed} failed, {self.left} left, "
            f"{self.per_minute:.1f} image sets/min, ETA {self.eta}"
        )


@dataclass
class Running:
    """A job under way."""

    job: Job
    attempt: int
    image_numbers: set[int] = field(default_factory=set)
    module: str = "starting"
    begun: float = field(default_factory=time.monotonic)

    def add(self, image_number: int, module: str) -> None:
        """Take in a finished module."""
        self.image_numbers.add(image_number)
        self.module = module

    @property
    def finished(self) -> int:
        """Image sets that all modules are through with: all but the present one."""
        return max(0, len(self.image_numbers) - 1)


class View:
    """Follows one step's jobs on stderr.

    On a terminal a live view; elsewhere a line at the start, at each failure, once a
    minute and at the end. Events may come from several threads.
    """

    def __init__(self, name: str, jobs: int, image_sets: int, console: Console) -> None:
        self.name = name
        self.counts = Counts(jobs, image_sets)
        self._console = console
        self._is_terminal = console.is_terminal  # asking for it takes long
        self._lock = threading.Lock()
        self._live = Live(
            get_renderable=self._picture,
            console=console,
            refresh_per_second=4,
            transient=True,
        )
        self._next_line = time.monotonic() + _LINE_EVERY_S
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        if self._is_terminal:
            self._live.start()
        else:
            jobs = counted(self.counts.jobs, "job")
            sets = counted(self.counts.image_sets, "image set")
            self._say(f"{self.name}: {jobs}, {sets}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            self._live.stop()
        if kind or not self._is_terminal:  # else the result says it better
            self._say(f"{self.name}: {self.counts}")

    def __str__(self) -> str:
        with self._lock:
            return str(self.counts)

    def listen(self, event: Event) -> None:
        """Take in an event."""
        with self._lock:
            self.counts.add(event)
        match event:
            case JobEnded(outcome) if outcome.failure:
                self._say(_failed(outcome.job, outcome.failure))
            case JobRetried(outcome) if outcome.failure:
                self._say(f"{_failed(outcome.job, outcome.failure)}; trying again")
            case RunStopped(why):
                self._say(f"{self.name}: stopped: {why}")
            case ProcessEachJob(why):
                self._say_once(
                    f"note: each job starts a CellProfiler of its own, because {why}"
                )
            case Noted(what):
                self._say_once(f"note: {what}")
        if not self._is_terminal and time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            self._say(f"{self.name}: {self.counts}")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _picture(self) -> RenderableType:
        with self._lock:
            running = [_running_line(r) for r in self.counts.running.values()]
            return Group(self._bar(), *running)

    def _bar(self) -> RenderableType:
        counts = self.counts
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, counts.image_sets), width=24)
        bar.update(counts.seen_image_sets)
        row.add_row(Text(self.name, style="bold"), bar, Text(str(counts)))
        return row


def counted(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _running_line(running: Running) -> Text:
    took = timedelta(seconds=int(time.monotonic() - running.begun))
    sets = running.job.image_sets
    of = f"  image set {running.finished + 1} of {sets}" if sets > 1 else ""
    return Text(f"  {running.job.id}  {took}{of}  {running.module}", style="dim")


def _failed(job: Job, failure: Failure) -> str:
    return f"{job.step} {job.id} failed: {failure}"


Watch = Callable[[str, int, int], View]


def views(console: Console) -> Watch:
    """A maker of views on one console."""
    return lambda name, jobs, image_sets: View(name, jobs, image_sets, console)
