"""A run as a whole: steps in order, on one executor, recorded and reported."""

import atexit
import logging
import os
import shlex
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Self
from weakref import WeakSet

from cpengine.config.forms import EXACT_CHECK
from cpengine.errors import ConfigError, CpengineError
from cpengine.executors import registry
from cpengine.job.machine import find_cellprofiler, make_machine
from cpengine.job.run_job import versions
from cpengine.ledger.standing import JobState
from cpengine.model import Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.run import notify as notifying
from cpengine.run.notify import Notifier
from cpengine.run.progress import MakeView, views
from cpengine.run.session import Backend, StepResult, Steps, Todo
from cpengine.system.scratch import sweep
from cpengine.system.terminal import for_people
from cpengine.text_table import Tabular, TextTable

_MOST_REPORTED = 20_000
"""Jobs of a step whose page is made without being asked for: it opens each marker."""
_LOG = logging.getLogger(__name__)
_UNFINISHED: "WeakSet[Run]" = WeakSet()
"""Runs of this process that nobody has ended, perhaps."""


@atexit.register
def _end_unfinished() -> None:
    """End runs whose loop was left, as by Ctrl-C, while threads still work."""
    for run in list(_UNFINISHED):
        run.cancel()


class Run(Tabular, Iterator[Outcome]):
    """Steps under way: gives each job's outcome as it ends.

    Jobs start when the first outcome is asked for, and run as long as it is iterated
    over. Leaving it early (`break` out of a `with` block, `cancel`) ends the jobs under
    way; what is done is recorded, and the next run does the rest.

    Parameters
    ----------
    steps
        With the program that is to run them.
    on, workers
        The executor, and jobs at a time there; its own choice if None.
    watch
        Makes what follows the jobs of a step; gets listeners.
    webhook
        Where to tell of ends and failures.
    announce, ended
        Get each step before it starts, and what it came to.
    say
        Takes lines that are worth knowing.

    Raises
    ------
    CpengineError
        Jobs would fail, another run has some of them, or the executor cannot be used;
        nothing was started.
    """

    def __init__(
        self,
        steps: Steps,
        on: str,
        workers: int | None = None,
        *,
        watch: Callable[..., MakeView],
        webhook: str | None = None,
        announce: Callable[[Todo], None] = lambda todo: None,
        ended: Callable[[StepResult], None] = lambda result: None,
        say: Callable[[str], None] = _LOG.info,
    ) -> None:
        self.results: list[StepResult] = []
        """What each step came to that has ended."""
        self.steps = steps
        self._announce = announce
        self._ended = ended
        self._say = say
        cellprofiler = steps.program or find_cellprofiler(steps.project)
        self._machine = make_machine(steps.project, cellprofiler)
        sweep(self._machine.scratch)
        executor, project = registry.entry(on), steps.project
        self._backend = Backend(
            on,
            lambda: executor.create(project, self._machine, workers),
            versions(cellprofiler),
        )
        self._outcomes = self._follow(watch, webhook)
        next(self._outcomes)
        _UNFINISHED.add(self)

    def __next__(self) -> Outcome:
        outcome = next(self._outcomes)
        assert outcome is not None
        return outcome

    def wait(self) -> list[StepResult]:
        """Run to the end; what each step came to."""
        deque(self, 0)
        return self.results

    def cancel(self) -> None:
        """End the jobs under way and start no others; also from another thread."""
        try:
            self._outcomes.close()
        except ValueError:  # it is waiting for a job, in another thread
            self._backend.executor.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()

    def table(self) -> TextTable:
        """A row a step that has ended."""
        columns = ("step", "output", "jobs", "done before", "done", "failed", "not run")
        rows = [
            (result.step, result.output, *map(str, _counts(result)))
            for result in self.results
        ]
        lines = [
            line
            for result in self.results
            for cause in result.causes
            for line in (f"{result.step}: {cause}", f"what to do: {cause.cure}")
        ]
        return TextTable(columns, rows, words=2, lines=lines)

    def _follow(
        self, watch: Callable[..., MakeView], webhook: str | None
    ) -> Generator[Outcome | None]:
        """First nothing, when all is checked; then the outcomes."""
        notifies = _notifier(self.steps.project, webhook, self._note)
        with self._machine, notifies as notifier:
            also = [notifier.listen] if notifier else []

            def end(result: StepResult) -> None:
                self.results.append(result)
                if notifier:
                    notifier.ended(result)
                self._ended(result)
                self._report(result)

            outcomes = self.steps.run(
                self._backend, watch(*also), end, self._announce, self._note
            )
            yield None
            yield from outcomes

    def _note(self, line: str) -> None:
        self._say(f"note: {line}")

    def _report(self, result: StepResult) -> None:
        """Write the pages of a step and the project; a run does not fail for them."""
        try:
            for line in self._pages(result):
                self._say(line)
        except CpengineError as error:
            self._say(f"note: no report: {error}")

    def _pages(self, result: StepResult) -> Iterator[str]:
        """Write what there is to write after a step; a line for its report."""
        from cpengine.results import overview, report  # they have much to import

        project, version = self.steps.project, self.steps.cellprofiler
        if not result.done + result.failed:
            overview.write(project)
        elif result.jobs > _MOST_REPORTED:
            report.write_states(project, result.step, version)
            yield f"its report: cpengine report {result.step}"
        else:
            page = report.write(project, result.step, cellprofiler=version)
            yield f"its report: {page}"


def _counts(result: StepResult) -> Iterable[int]:
    return result.jobs, result.already, result.done, result.failed, result.not_run


def _notifier(
    project: ResolvedProject, webhook: str | None, note: Callable[[str], None]
) -> AbstractContextManager[Notifier | None]:
    """What tells a webhook, if there is one."""
    if webhook is None:
        return nullcontext()
    named = project.file.project
    return Notifier(webhook, f"{named.name}, {named.batch}", note)


@dataclass(frozen=True, slots=True)
class JobChoice:
    """Which jobs of steps run, and how: options of `run`."""

    force: bool = False
    keep_stale: bool = False
    only: str | None = None
    max_failures: int | None = None
    unchecked: bool = False
    exact_check: int | None = None

    def steps(
        self, project: ResolvedProject, names: Sequence[str], part: Part
    ) -> Steps:
        """The steps to run.

        Raises
        ------
        CellProfilerError
            There is none.
        ConfigError
            Two options choose jobs.
        """
        if sum(map(bool, (self.force, self.keep_stale, self.only))) > 1:
            raise ConfigError(
                "--force, --keep-stale and --only: each chooses jobs: give one of them"
            )
        cellprofiler = find_cellprofiler(project)
        check = EXACT_CHECK if self.exact_check is None else self.exact_check
        return Steps(
            project,
            names,
            part,
            cellprofiler.version,
            force=self.force,
            keep_stale=self.keep_stale,
            only=JobState(self.only) if self.only else None,
            max_failures=self.max_failures or project.file.run.max_failures,
            program=cellprofiler,
            unchecked=self.unchecked,
            exact_check=check,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Where steps run."""

    on: str = "local"
    workers: int | None = None
    yes: bool = False
    """Whether it may cost."""


def start(
    steps: Steps, target: Target, *, notify: str | None, progress: bool | None
) -> Run:
    """A run from Python; see `Project.run`."""
    expect_agreed(steps, target.on, target.yes)
    setting = steps.project.file.run.notify
    webhook = notifying.wanted(notify, os.environ, setting)
    console = for_people(progress)
    return Run(
        replace(steps, command=command_of(steps, target.on, target.workers)),
        target.on,
        target.workers,
        watch=partial(views, console),
        webhook=webhook,
        say=partial(console.print, soft_wrap=True),
    )


def expect_agreed(steps: Steps, on: str, yes: bool) -> None:
    """Refuse an executor that is paid for, unless that is agreed.

    Raises
    ------
    ConfigError
        It is not; the line says what it costs at the most.
    """
    if not yes and (price := price_of(steps, on)):
        raise ConfigError(f"{price}: not started: say yes=True to start it")


def price_of(steps: Steps, on: str) -> str:
    """What steps cost on an executor at the most; empty if nothing is paid."""
    executor = registry.entry(on)
    if not executor.is_paid:
        return ""
    jobs = {todo.plan.step.name: len(todo.jobs) for todo in steps.plans()}
    jobs = {step: count for step, count in jobs.items() if count}
    return executor.price(steps.project, jobs, steps.cellprofiler) if jobs else ""


def command_of(steps: Steps, on: str, workers: int | None) -> str:
    """The command that does the same, for the record of a run from Python."""
    part = steps.part
    chosen: dict[str, Iterable[object]] = {
        "--on": [on],
        "--plate": sorted(part.plates),
        "--well": sorted(part.wells),
        "--site": sorted(part.sites),
        "--workers": filter(None, [workers]),
        "--only": filter(None, [steps.only]),
        "--max-failures": filter(None, [steps.max_failures]),
    }
    flags = {
        "--force": steps.force,
        "--keep-stale": steps.keep_stale,
        "--unchecked": steps.unchecked,
        "--exclude-flagged": part.flagged,
    }
    options = [f"{name}={v}" for name, values in chosen.items() for v in values]
    options += [name for name, given in flags.items() if given]
    folder = str(steps.project.folder)
    return shlex.join(["cpengine", "run", "-C", folder, *options, *steps.names])
