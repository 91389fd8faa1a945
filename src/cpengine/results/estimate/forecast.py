"""Look what is left of steps, and what measured jobs tell of it."""

import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cpengine.config.steps import BY_PLATE
from cpengine.errors import InputError
from cpengine.executors import registry
from cpengine.executors.room import Room, RoomRequest
from cpengine.ledger.ledger import step_ledger
from cpengine.model import Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.results.estimate import sample
from cpengine.results.estimate.accelerated_times import of_mode
from cpengine.results.estimate.model import Fit, Interval, Measured, fit, walls
from cpengine.results.estimate.step_estimate import (
    HOUR_S,
    Estimate,
    Known,
    StepEstimate,
)
from cpengine.results.estimate.text import rounded_time
from cpengine.run.plain_modules import are_accelerated
from cpengine.run.session import Steps, Todo, will_make
from cpengine.wording import counted

_OTHER_MODE = {
    True: "its jobs were measured with plain modules, and would run accelerated ones: "
    "add --pilot 3 to run three of them first",
    False: "its jobs were measured with accelerated modules, and would run plain ones: "
    "add --pilot 3 to run three of them first",
}
NOTHING = "none of its jobs has been measured: add --pilot 3 to run three of them first"


@dataclass(frozen=True, slots=True)
class Where:
    """Where steps would run."""

    on: str = "local"
    workers: int | None = None
    """Jobs at a time, if that is said."""


def estimate(
    steps: Steps, where: Where, piloted: Mapping[str, Sequence[Outcome]] | None = None
) -> Estimate:
    """What is left of steps, and what it will take.

    Parameters
    ----------
    piloted
        What a pilot has measured, by step; of others their ledger tells.

    Raises
    ------
    CpengineError
        A step is none, none of them can be planned, or where they would run is wrong.
    """
    found: list[StepEstimate] = []
    errors: list[InputError] = []
    before: dict[str, Mapping[str, str]] = {}
    registry.entry(where.on)  # also where nothing is left to run there
    for name in steps.names:
        steps.project.step(name)  # a name that is none is not waited for
        try:
            todo = steps.plan(name, before)
        except InputError as error:
            errors.append(error)
            found.append(StepEstimate(name, why=_unplanned(found, error)))
        else:
            before[name] = will_make(todo)
            found.append(of_todo(steps, todo, where, (piloted or {}).get(name, ())))
    if errors and len(errors) == len(found):
        raise errors[0]
    return Estimate(where.on, found)


def _unplanned(before: Sequence[StepEstimate], error: InputError) -> str:
    unfinished = [step.step for step in before if step.left or step.why]
    after = f"after {unfinished[-1]}: " if unfinished else ""
    return f"{after}{str(error).splitlines()[0]}"


def of_todo(
    steps: Steps, todo: Todo, where: Where, piloted: Sequence[Outcome] = ()
) -> StepEstimate:
    """What the jobs left of a planned step will take. Raises as `estimate` does."""
    left = _RemainingJobs.of(todo)
    found = StepEstimate(
        todo.plan.step.name, len(todo.plan.jobs), len(left.sizes), sum(left.sizes)
    )
    if not left.sizes:
        return found
    measured = _MeasuredOutcomes(piloted) if piloted else _earlier(steps, todo)
    if not measured.outcomes:
        return replace(found, why=NOTHING)
    exact = are_accelerated(steps.project, where.on)
    same = replace(measured, outcomes=of_mode(measured.outcomes, exact=exact))
    if not same.outcomes:
        return replace(found, why=_OTHER_MODE[exact])
    return replace(found, known=_known(steps, left, where, same))


@dataclass(frozen=True, slots=True)
class _RemainingJobs:
    """The jobs of a step that would run."""

    step: str
    sizes: Sequence[int]
    """Image sets of each."""
    longest: str
    """The first one that has most of them."""

    @classmethod
    def of(cls, todo: Todo) -> "_RemainingJobs":
        sizes: list[int] = []
        most, longest = -1, ""
        for job in todo.jobs:  # once: each is made when it is looked at
            sizes.append(job.image_sets)
            if job.image_sets > most:
                most, longest = job.image_sets, job.id
        noun = "plate" if todo.plan.step.group == BY_PLATE else "job"
        return cls(todo.plan.step.name, sizes, f"the longest {noun}, {longest},")


@dataclass(frozen=True, slots=True)
class _MeasuredOutcomes:
    """What jobs were measured, and how far they are those that would run."""

    outcomes: Sequence[Outcome]
    notes: tuple[str, ...] = ()


def _earlier(steps: Steps, todo: Todo) -> _MeasuredOutcomes:
    """What earlier runs of a step have measured."""
    ledger = step_ledger(steps.project, todo.plan.step)
    chosen = sample.markers(_names(steps, todo), todo.jobs[0], steps.cellprofiler)
    notes = []
    if not chosen.same_code:
        notes.append("measured with another pipeline or other plugins than now")
    if not chosen.same_version:
        notes.append(f"measured with another CellProfiler than {steps.cellprofiler}")
    return _MeasuredOutcomes(ledger.outcomes(chosen.names), tuple(notes))


def _names(steps: Steps, todo: Todo) -> Iterator[str]:
    """The markers of a step; those of other plates and wells tell something, too."""
    if steps.part == Part():  # they have been listed for the plan
        return (name for standing in todo.standings for name in standing.earlier)
    listed = step_ledger(steps.project, todo.plan.step).markers()
    return (name for names in listed.values() for name in names)


def _known(
    steps: Steps, left: _RemainingJobs, where: Where, measured: _MeasuredOutcomes
) -> Known:
    learned = fit(
        list(map(Measured.of, measured.outcomes)), warm=_is_warm(steps.project)
    )
    place = registry.entry(where.on).room(
        RoomRequest(
            project=steps.project,
            step=left.step,
            jobs=len(left.sizes),
            on=where.on,
            workers=where.workers,
            cellprofiler=steps.cellprofiler,
            measured=measured.outcomes,
        )
    )
    drawn = [
        place.extra_s + seconds
        for seconds in walls(learned, left.sizes, place.slots, left.step)
    ]
    hosts = tuple(sorted({outcome.host for outcome in measured.outcomes}))
    return Known(
        fit=learned,
        room=place,
        drawn_s=drawn,
        cpu_s=sum(map(learned.cpu, left.sizes)),
        path=_path(left, learned, place),
        hosts=hosts,
        notes=(*measured.notes, *_notes(where, learned, place, hosts, drawn)),
    )


def _is_warm(project: ResolvedProject) -> bool:
    return project.file.cellprofiler.jobs_per_process > 1


def _path(left: _RemainingJobs, learned: Fit, place: Room) -> str:
    """What decides how long it takes: the longest job, or the work of all."""
    count, longest_s = len(left.sizes), learned.seconds(max(left.sizes))
    work_s = sum(map(learned.seconds, left.sizes))
    on = f"{counted(count, 'job')} on {place.where}"
    if count <= place.slots or longest_s > work_s / place.slots:
        return f"{on}: {left.longest} {rounded_time(longest_s)}"
    return f"{on}: the work of all, {rounded_time(work_s)}"


def _notes(
    where: Where,
    learned: Fit,
    place: Room,
    hosts: Collection[str],
    drawn_s: Sequence[float],
) -> list[str]:
    """What a user should know before the numbers are believed."""
    notes = []
    if not learned.free:
        notes.append(
            f"too few jobs were measured to tell how they differ: +/- "
            f"{learned.spread:.0%} is a guess"
        )
    on_this_machine = registry.entry(where.on).on_this_machine
    if not on_this_machine or set(hosts) - {socket.gethostname()}:
        notes.append(
            f"measured on {', '.join(hosts)}: other machines take longer or less"
        )
    if place.extra_s:
        notes.append(
            f"{rounded_time(place.extra_s)} for start and end of the machines are a "
            "guess"
        )
    typical_h = Interval.of(drawn_s).typical / HOUR_S
    if place.life_h is not None and typical_h > place.life_h:
        notes.append(
            f"AWS ends the machines after {place.life_h:.1f} h, before the jobs are "
            "done: raise time_limit_h or budget_usd"
        )
    return notes
