"""Where steps stand, by the ledger: what is done, failed, stale and left."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cpengine.errors import InputError
from cpengine.executors.retry import causes
from cpengine.ledger import driver_sign, run_record
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.ledger.standing import DAMAGED, JobState, summary
from cpengine.model import Job, Outcome
from cpengine.planning.plan import EVERYTHING, options_of, plate_of
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.project.last_run import describe_runs, driver_json
from cpengine.run.session import Steps, Todo
from cpengine.text_table import Tabular, TextTable
from cpengine.wording import counted, on_one_line


@dataclass(frozen=True)
class StepStatus:
    """Where one step stands."""

    todo: Todo
    run: dict[str, Any] | None
    """The record of its last run."""
    drivers: Sequence[Sign] = ()
    """Who runs jobs of it now, or did when it was killed."""
    failed: Sequence[Outcome] = ()
    """What the markers of its failed jobs hold, if they were opened."""
    verified: bool = False
    """Whether folders and files of done jobs were checked."""
    damaged: Sequence[tuple[Job, str]] = ()
    """Done jobs whose files are not as recorded, and what is wrong."""

    @property
    def step(self) -> str:
        """The step's name."""
        return self.todo.plan.step.name

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return summary(self.todo.standings)

    @property
    def left(self) -> int:
        """How many jobs a run would do."""
        to_run = (JobState.LEFT, JobState.STALE, JobState.MISSING)
        return sum(self.counts[state] for state in to_run)

    @property
    def notes(self) -> list[str]:
        """What a user should know, such as images that lack rows."""
        return list(self.todo.plan.notes)

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "step": self.step,
            "jobs": len(self.todo.standings),
            **self.counts,
            **({} if self.verified else {JobState.MISSING.value: None}),
            "run": self.run,
            "drivers": list(map(driver_json, self.drivers)),
            "failures": [outcome.to_json() for outcome in self.failed],
            "damaged": [{"job": job.id, "what": what} for job, what in self.damaged],
        }

    def runs(self) -> list[str]:
        """Its runs: those that go on, and the last one, a line each."""
        found = describe_runs(self.run, self.drivers)
        return [f"{self.step}: {line}" for line in found]

    def lines(self) -> list[str]:
        """What is to be said of it below the counts."""
        use = run_record.use_of(self.run) if self.run else None
        used = (*use.lines(), *map(str, use.processors)) if use else ()
        return [
            *self.runs(),
            *_stale(self),
            *_failed(self),
            *_damaged(self),
            *(f"{self.step}: {on_one_line(line)}" for line in used),
        ]

    def warnings(self) -> list[str]:
        """What results of the last run may differ by from those of other machines."""
        if not self.run:
            return []
        found = run_record.use_of(self.run).warnings(self.run["blas_kernel"])
        return [f"{self.step}: {on_one_line(line)}" for line in found]


@dataclass(frozen=True)
class Status(Tabular):
    """Where steps of a project stand."""

    steps: Sequence[StepStatus]

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"steps": [step.to_json() for step in self.steps]}

    @property
    def damaged(self) -> bool:
        """Whether files of done jobs are not as recorded; see `verify`."""
        return any(step.damaged for step in self.steps)

    def counts(self) -> TextTable:
        """Jobs in each state, by step and plate."""
        states = self._states
        rows = [
            (step.step, plate, *map(str, [n.total(), *(n[s] for s in states)]))
            for step in self.steps
            for plate, n in _by_plate(step).items()
        ]
        return TextTable(("step", "plate", "jobs", *states), rows, words=2)

    def table(self) -> TextTable:
        """The same, with what is to be said of the steps."""
        counts = self.counts()
        lines = [line for step in self.steps for line in step.lines()]
        return TextTable(counts.columns, counts.rows, words=2, lines=lines)

    @property
    def _states(self) -> list[JobState]:
        """The states to show; missing ones are known where they were looked for."""
        verified = any(step.verified for step in self.steps)
        return [s for s in JobState if verified or s is not JobState.MISSING]


@dataclass(frozen=True, slots=True)
class StatusPoll:
    """Reads the ledgers of some steps, each time it is called.

    Parameters
    ----------
    failed
        Open the markers of failed jobs.
    verify
        Check folders and files of done jobs.
    """

    project: ResolvedProject
    names: Sequence[str]
    part: Part = EVERYTHING
    cellprofiler: str = ""
    failed: bool = False
    verify: bool = False

    def __call__(self) -> Status:
        """Where the steps stand now. Raises InputError where one cannot be planned."""
        steps = Steps(
            self.project,
            self.names,
            self.part,
            self.cellprofiler,
            unchecked=True,
            folders=self.verify,
        )
        return Status([self._status_of(steps.plan(name)) for name in self.names])

    def _status_of(self, todo: Todo) -> StepStatus:
        ledger = step_ledger(self.project, todo.plan.step)
        markers = [
            name
            for standing in todo.standings
            if standing.state is JobState.FAILED
            for name in standing.job.earlier
            if f".{JobState.FAILED}" in name
        ]
        return StepStatus(
            todo,
            run_record.last_run(ledger),
            driver_sign.read_all(ledger),
            ledger.outcomes(markers) if self.failed else (),
            self.verify,
            list(_found_damaged(ledger, todo)) if self.verify else (),
        )


def _found_damaged(ledger: Ledger, todo: Todo) -> Iterator[tuple[Job, str]]:
    """Jobs whose folder is gone, then those that lack files."""
    url = ledger.storage.url
    remaining = []
    for standing in todo.standings:
        job = standing.job
        if standing.state is JobState.MISSING:
            yield job, f"its folder {url(job.destination)} is gone"
        else:
            remaining.append(job)
    yield from ledger.damaged(remaining)


def steps_that_ran(project: ResolvedProject) -> list[str]:
    """The steps that have a ledger, in the order of the handbook."""
    places, layout = project.places, project.layout
    there = places.outputs.folders(layout.ledger(""))
    known = [name for name in project.step_names if name in there]
    if not known:
        raise InputError(
            f"{places.outputs.url(layout.ledger('')).rstrip('/')}: nothing has run "
            "yet: run a step, or name one"
        )
    return known


def _by_plate(status: StepStatus) -> dict[str, Counter[JobState]]:
    found: dict[str, Counter[JobState]] = {}
    for standing in status.todo.standings:
        found.setdefault(plate_of(standing.job), Counter())[standing.state] += 1
    return found


def _stale(status: StepStatus) -> Iterator[str]:
    whys = Counter(
        s.verdict
        for s in status.todo.standings
        if s.state is JobState.STALE or s.verdict == DAMAGED
    )
    for verdict, count in whys.items():
        jobs = counted(count, "job")
        yield f"{status.step}: {jobs} {verdict.state}: {verdict.why}"


def _failed(status: StepStatus) -> Iterator[str]:
    """Kinds from the markers' names; causes and jobs if the markers were opened."""
    kinds = Counter(
        s.failure for s in status.todo.standings if s.state is JobState.FAILED
    )
    if not status.failed:
        for kind, count in kinds.items():
            jobs = counted(count, "job")
            yield f"{status.step}: {jobs} failed: {kind} (see --failed)"
        return
    for outcome in status.failed:
        yield f"{outcome.job.id}  {outcome.failure}"
    for cause in causes(status.failed):
        yield f"{counted(cause.times, 'job')} failed: {cause}"
        yield f"  what to do: {cause.cure}"


def _damaged(status: StepStatus) -> Iterator[str]:
    for job, what in status.damaged:
        yield f"{job.id}  is done, but {what}"
    if missing := status.counts[JobState.MISSING]:
        yield f"{status.step}: {counted(missing, 'job')} missing, what to do:"
        yield f"  cpengine run {status.step} --only {JobState.MISSING}"
    if len(status.damaged) > missing:
        more = counted(len(status.damaged) - missing, "job")
        yield f"{status.step}: {more} without all files, what to do:"
        for command in _again(status.step, status.damaged[missing:]):
            yield f"  {command}"


def _again(step: str, damaged: Iterable[tuple[Job, str]]) -> Iterator[str]:
    """The commands that run jobs again, and no others of plates, wells and sites."""
    chosen: dict[tuple[str, ...], dict[str, None]] = {}
    for job, _ in damaged:
        *head, last = options_of(job) or [""]
        chosen.setdefault(tuple(head), {})[last] = None
    for options, values in chosen.items():
        named = [*options, ",".join(values)] if options else []
        yield shlex.join(["cpengine", "run", step, *named, "--force"])
