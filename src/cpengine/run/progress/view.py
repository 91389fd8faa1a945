"""Follows one step's jobs on stderr, on a terminal or without one."""

import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.live import Live

from cpengine.events import (
    Event,
    JobEnded,
    JobRetried,
    JobStarted,
    Listener,
    Noted,
    ProcessEachJob,
    RunStopped,
)
from cpengine.group_names import Group
from cpengine.model import Job, Outcome
from cpengine.run.progress import notebook
from cpengine.run.progress.counts import Counts
from cpengine.run.progress.failing import Failing
from cpengine.run.progress.glyphs import ASCII, UNICODE
from cpengine.run.progress.notebook import NotebookLive
from cpengine.run.progress.picture import Scene, picture
from cpengine.run.progress.plate_map import Plates
from cpengine.run.progress.speed import Clock
from cpengine.wording import counted

_LINE_EVERY_S = 60.0
_PICTURES_A_SECOND = 4
_CAUSES = 5


class View:
    """Follows one step's jobs on stderr.

    On a terminal a live view with a map of the plates under way; elsewhere a line at
    the start, at the first failure of each cause, once a minute and at the end. Events
    may come from several threads.

    Parameters
    ----------
    jobs
        Those that this run is to do; each is looked at once, and none is kept.
    already
        Groups of the plan that were done before; looked at on a terminal only.
    also
        Others that get each event.
    """

    def __init__(
        self,
        name: str,
        jobs: Sequence[Job],
        console: Console,
        already: Iterable[Group] = (),
        *,
        also: Sequence[Listener] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self.name = name
        self._console = console
        in_notebook = console.is_jupyter and not console.quiet
        # Asking for it takes long.
        self._is_terminal = in_notebook or console.is_interactive
        self._also = also
        self._clock = clock
        self._lock = threading.Lock()
        self._failing = Failing(0) if self._is_terminal else Failing()
        self._shown: set[str] = set()
        self._next_line = clock() + _LINE_EVERY_S
        self._plates = Plates()
        self.counts = self._planned(jobs, already)
        self._scene = Scene(
            name,
            self.counts,
            self._plates,
            self._plates.box,
            self._failing,
            ASCII if console.options.ascii_only else UNICODE,
        )
        self._in_notebook: tuple[int, int] | None = None
        self._live: Live | NotebookLive
        if in_notebook:
            self._in_notebook = (notebook.WIDTH, notebook.HEIGHT)
            self._live = NotebookLive(self._picture)
        else:
            self._live = Live(
                get_renderable=self._picture,
                console=console,
                refresh_per_second=_PICTURES_A_SECOND,
                transient=True,
            )

    def _planned(self, jobs: Sequence[Job], already: Iterable[Group]) -> Counts:
        image_sets = before = 0
        for job in jobs:
            image_sets += job.image_sets
            if self._is_terminal:
                self._plates.plan(job.group)
        for group in already if self._is_terminal else ():
            before += 1
            self._plates.plan(group, done=True)
        self._plates.settle()
        return Counts(len(jobs), image_sets, before, self._clock)

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
            self._say(f"{self.name}: {self}")
        if kind:
            self._say_causes()

    def __str__(self) -> str:
        with self._lock:
            return str(self.counts)

    def listen(self, event: Event) -> None:
        """Take in an event."""
        with self._lock:
            self._place(event)
            self.counts.add(event)
            line = self._line(event)
        if line:
            self._say(line)
        if not self._is_terminal and self._clock() > self._next_line:
            self._next_line = self._clock() + _LINE_EVERY_S
            self._say(f"{self.name}: {self}")
            self._say_causes()
        for listener in self._also:
            listener(event)

    def _place(self, event: Event) -> None:
        """Take in where on the plates something happened; before it is counted."""
        match event:
            case JobStarted(job) if job.id not in self.counts.running:
                self._plates.started(job)
            case JobRetried(outcome) | JobEnded(outcome):
                if outcome.job.id in self.counts.running:
                    self._plates.stopped(outcome.job)
                if isinstance(event, JobEnded):
                    self._plates.ended(outcome.job, done=outcome.done)

    def _line(self, event: Event) -> str:
        """What is to be said of an event; mostly nothing."""
        match event:
            case JobEnded(outcome):
                return self._failed(outcome)
            case JobRetried(outcome):
                return self._failed(outcome, again=True)
            case RunStopped(why):
                return f"{self.name}: stopped: {why}"
            case ProcessEachJob(why):
                return self._once(
                    f"note: each job starts a CellProfiler of its own, because {why}"
                )
            case Noted(what):
                return self._once(f"note: {what}")
        return ""

    def _failed(self, outcome: Outcome, *, again: bool = False) -> str:
        """A line for the first failure of a cause; on a terminal the view has it."""
        news = self._failing.add(outcome, again=again)
        if not news or self._is_terminal:
            return ""
        then = "; trying again" if again else ""
        job = outcome.job
        return f"{job.step} {job.id} failed: {outcome.failure}{then}"

    def _once(self, line: str) -> str:
        if line in self._shown:
            return ""
        self._shown.add(line)
        return line

    def _say_causes(self) -> None:
        """The causes of failures that are not told yet, with counts."""
        failing = self._failing  # of which a terminal keeps no line
        with self._lock:
            causes = (failing.commonest if self._is_terminal else failing.news)(_CAUSES)
            lines = [str(like) for like in causes]
        for line in lines:
            self._say(f"  failed: {line}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _picture(self) -> RenderableType:
        width, height = self._in_notebook or self._console.size
        with self._lock:  # a line less than there are, for what is typed
            return Lines(*picture(self._scene, width, height - 1))


class MakeView(Protocol):
    """Makes the view of a step; see `View`."""

    def __call__(
        self, name: str, jobs: Sequence[Job], already: Iterable[Group] = ()
    ) -> View: ...


def views(console: Console, *also: Listener) -> MakeView:
    """A maker of views on one console.

    Parameters
    ----------
    also
        Others that get each event.
    """

    def watch(name: str, jobs: Sequence[Job], already: Iterable[Group] = ()) -> View:
        return View(name, jobs, console, already, also=also)

    return watch
