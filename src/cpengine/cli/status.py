"""The commands that look back: `status` and `logs`."""

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    Every,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    err,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
    version_or_none,
)
from cpengine.cli.last_run import describe_runs, driver_json
from cpengine.errors import InputError
from cpengine.executors.retry import causes
from cpengine.ledger import driver_sign, ledger, run_record
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.standing import DAMAGED, JobState, summary
from cpengine.model import Job, Outcome
from cpengine.planning.plan import options_of, plate_of, suggestion
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps, Todo
from cpengine.wording import counted, on_one_line, visible


@dataclass(frozen=True, slots=True)
class _Status:
    """Where one step stands."""

    todo: Todo
    run: dict[str, Any] | None
    """The record of its last run."""
    signs: Sequence[Sign] = ()
    """What its drivers say, of this run and others."""
    failed: Sequence[Outcome] = ()
    """What the markers of its failed jobs hold, if they were opened."""
    verified: bool = False
    """Whether folders and files of done jobs were looked at."""
    damaged: Sequence[tuple[Job, str]] = ()
    """Done jobs whose files are not as recorded, and what is wrong."""

    @property
    def step(self) -> str:
        return self.todo.plan.step.name

    @property
    def counts(self) -> dict[str, int]:
        return summary(self.todo.standings)

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "jobs": len(self.todo.standings),
            **self.counts,
            **({} if self.verified else {JobState.MISSING.value: None}),
            "run": self.run,
            "drivers": list(map(driver_json, self.signs)),
            "failures": [outcome.to_json() for outcome in self.failed],
            "damaged": [{"job": job.id, "what": what} for job, what in self.damaged],
        }


def status(
    steps: Annotated[
        list[str] | None,
        typer.Argument(help="Steps. Default: those that have run.", show_default=False),
    ] = None,
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the failed jobs and why.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Check that folders and files of done jobs are there and whole.",
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again until nothing is left to do.")
    ] = False,
    every: Every = 10,
    as_json: Json = False,
) -> None:
    """Show what is done, failed, stale and left, by the ledger."""
    project = Project.load(folder)
    names = steps or steps_that_ran(project)
    part = part_of(plate, well, site)
    poll = _StatusPoll(project, names, part, failed, verify)
    found = _watched(poll, every) if watch else poll()
    if as_json:
        print_json({"steps": [step_status.to_json() for step_status in found]})
    elif not watch or not err.is_terminal:
        _show(found)
    raise typer.Exit(
        SOME_FAILED if any(step_status.damaged for step_status in found) else OK
    )


@dataclass(frozen=True, slots=True)
class _StatusPoll:
    """Looks at the ledger of some steps, each time it is called."""

    project: Project
    names: Sequence[str]
    part: Part
    failed: bool
    verify: bool

    def __call__(self) -> list[_Status]:
        version = version_or_none(self.project)
        steps = Steps(
            self.project,
            self.names,
            self.part,
            version,
            unchecked=True,
            folders=self.verify,
        )
        return [self._status_of(steps.plan(name)) for name in self.names]

    def _status_of(self, todo: Todo) -> _Status:
        step_ledger = self.project.ledger(todo.plan.step)
        markers = [
            name
            for standing in todo.standings
            if standing.state is JobState.FAILED
            for name in standing.job.earlier
            if f".{JobState.FAILED}" in name
        ]
        return _Status(
            todo,
            run_record.last_run(step_ledger),
            driver_sign.read_all(step_ledger),
            step_ledger.outcomes(markers) if self.failed else (),
            self.verify,
            list(_found_damaged(step_ledger, todo)) if self.verify else (),
        )


def _found_damaged(step_ledger: ledger.Ledger, todo: Todo) -> Iterator[tuple[Job, str]]:
    """Jobs whose folder is gone, then those that lack files."""
    url = step_ledger.storage.url
    remaining = []
    for standing in todo.standings:
        job = standing.job
        if standing.state is JobState.MISSING:
            yield job, f"its folder {url(job.destination)} is gone"
        else:
            remaining.append(job)
    yield from step_ledger.damaged(remaining)


def steps_that_ran(project: Project) -> list[str]:
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


def _watched(poll: _StatusPoll, every: float) -> list[_Status]:
    """Look again and again, until nothing is left or Ctrl-C.

    A live table on a terminal, else a line a step.
    """
    found = poll()
    with (
        Live(console=err, auto_refresh=False) as live,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while True:
            if err.is_terminal:
                live.update(_picture(found), refresh=True)
            else:
                for status in found:
                    print_err(_line(status))
            if not any(_left(status) for status in found):
                break
            time.sleep(every)
            found = poll()
    return found


def _left(status: _Status) -> int:
    to_run = (JobState.LEFT, JobState.STALE, JobState.MISSING)
    return sum(status.counts[state] for state in to_run)


def _line(status: _Status) -> str:
    counts = ", ".join(f"{status.counts[s]} {s}" for s in _states_of([status]))
    return f"{status.step}: {counted(len(status.todo.standings), 'job')}: {counts}"


def _show(found: Sequence[_Status]) -> None:
    out.print(_picture(found))
    for status in found:
        for note in status.todo.plan.notes:
            print_err(f"note: {note}")
        for line in (*_stale(status), *_failed(status), *_damaged(status)):
            print_out(line)
        _show_accelerations(status)


def _show_accelerations(status: _Status) -> None:
    """What the last run used, by its record."""
    if not status.run:
        return
    use = run_record.use_of(status.run)
    for line in (*use.lines(), *map(str, use.processors)):
        print_out(f"{status.step}: {on_one_line(line)}")
    for line in use.warnings(status.run["blas_kernel"]):
        print_err(f"warning: {status.step}: {on_one_line(line)}")


def _states_of(found: Sequence[_Status]) -> list[JobState]:
    """The states to show; missing ones are known only where they were looked for."""
    verified = any(status.verified for status in found)
    return [s for s in JobState if verified or s is not JobState.MISSING]


def _picture(found: Sequence[_Status]) -> RenderableType:
    states = _states_of(found)
    table = Table("step", "plate")
    for name in ("jobs", *states):
        table.add_column(name, justify="right")
    for status in found:
        by_plate: dict[str, Counter[JobState]] = {}
        for standing in status.todo.standings:
            plate = plate_of(standing.job)
            by_plate.setdefault(plate, Counter())[standing.state] += 1
        for plate, counts in by_plate.items():
            numbers = (counts.total(), *(counts[state] for state in states))
            table.add_row(status.step, plate, *map(str, numbers))
    runs = [
        Text(f"{status.step}: {line}")
        for status in found
        for line in describe_runs(status.run, status.signs)
    ]
    return Group(table, *runs)


def _stale(status: _Status) -> Iterator[str]:
    whys = Counter(
        s.verdict
        for s in status.todo.standings
        if s.state is JobState.STALE or s.verdict == DAMAGED
    )
    for verdict, count in whys.items():
        jobs = counted(count, "job")
        yield f"{status.step}: {jobs} {verdict.state}: {verdict.why}"


def _failed(status: _Status) -> Iterator[str]:
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


def _damaged(status: _Status) -> Iterator[str]:
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


def logs(
    step: Annotated[str, typer.Argument(help="The step.")],
    job: Annotated[str, typer.Argument(help="The job's id, such as P1-A01-1.")],
    folder: Folder = Path(),
) -> None:
    """Print CellProfiler's log of a job's last attempt."""
    project = Project.load(folder)
    settled = project.step(step)
    step_ledger = project.ledger(settled)
    text = step_ledger.storage.read_if_there(f"{step_ledger.folder}/logs/{job}.log")
    if text is None:
        raise InputError(_no_log(step_ledger, step, job))
    typer.echo(visible(text.decode(errors="replace")), nl=False)


def _no_log(step_ledger: ledger.Ledger, step: str, job: str) -> str:
    known = [
        name[: -len(".log")]
        for name in step_ledger.storage.sizes(f"{step_ledger.folder}/logs")
    ]
    if not known:
        return f"{step}: has no logs yet: run it first"
    return f"{step}: has no log of {job}{suggestion(job, known)}"
