"""All that the page says, as plain data: what `cpengine report --json` prints. Pure."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from cpengine.executors.retry import Cause, likeness
from cpengine.group_names import id_of
from cpengine.ledger.standing import JobState
from cpengine.model import Outcome
from cpengine.planning.plan import options_of
from cpengine.results.html.links import Links
from cpengine.results.html.numbers import short
from cpengine.results.report import figures
from cpengine.results.report.facts import PHASES, Facts
from cpengine.results.report.timeline import Axis, Lanes
from cpengine.results.report.well_states import (
    ReportedPlate,
    WellMeasure,
    measures_of,
    outliers,
    plates_of,
    site_of,
)

STATES = tuple(JobState)
_MOST_VALUES = 300_000
"""So many values of single jobs are kept; of more, only the wells'."""
_MOST_RUNS = 20


def of(facts: Facts, links: Links) -> dict[str, Any]:
    """Everything about a step."""
    plates = plates_of(facts)
    axis = Axis.of(facts.ran)
    found = measures_of(facts, plates)
    order = [number for plate in plates for number in plate.jobs]
    jobs = _jobs(facts, order, axis, found)
    place = {number: at for at, number in enumerate(order)}
    return {
        "step": facts.step.name,
        "project": facts.project,
        "batch": facts.batch,
        "part": {key: sorted(values) for key, values in facts.part.wanted.items()},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"cpengine {version('cpengine')}",
        "summary": figures.summary(facts, plates, axis),
        "plates": _plates(facts, plates),
        "measures": _measures(found, plates),
        "jobs": jobs,
        "axis": [segment._asdict() for segment in axis.segments],
        "phases": figures.phases(facts.ran),
        "modules": figures.modules(facts),
        "machines": figures.machines(facts.ran),
        "slowest": _placed(figures.slowest(facts), place),
        "memory": _memory(facts, place),
        "failures": _failures(facts),
        "columns": [asdict(some) | {"note": str(some)} for some in facts.columns],
        "runs": list(facts.runs[-_MOST_RUNS:]),
        "older_runs": max(0, len(facts.runs) - _MOST_RUNS),
        "versions": figures.versions(facts),
        "accelerations": _accelerations(facts),
        "pipeline": facts.step.pipeline,
        "links": _links(facts, links),
    }


def _plates(facts: Facts, plates: Sequence[ReportedPlate]) -> list[dict[str, Any]]:
    found = []
    first = 0
    for plate in plates:
        found.append(
            {
                "name": plate.name,
                "states": figures.states(facts, plate.jobs),
                "image_sets": sum(facts.image_sets[number] for number in plate.jobs),
                "rows": plate.shape[0] if plate.shape else 0,
                "columns": plate.shape[1] if plate.shape else 0,
                "first": first,
                "wells": [well.name for well in plate.wells],
                "at": [_at(plate, well.at) for well in plate.wells],
                "jobs": [len(well.jobs) for well in plate.wells],
                "state": [STATES.index(well.state) for well in plate.wells],
            }
        )
        first += len(plate.wells)
    return found


def _at(plate: ReportedPlate, at: tuple[int, int] | None) -> int:
    """Where a well is, row by row; -1 on a plate that cannot be drawn."""
    return at[0] * plate.shape[1] + at[1] if plate.shape and at else -1


def _measures(
    found: Sequence[WellMeasure], plates: Sequence[ReportedPlate]
) -> list[dict[str, Any]]:
    return [
        {
            "name": measure.name,
            "unit": measure.unit,
            "how": measure.how,
            "wells": list(map(short, measure.wells)),
            "spread": measure.spread._asdict() if measure.spread else None,
            "outliers": outliers(measure, plates),
        }
        for measure in found
        if measure.spread
    ]


def _jobs(
    facts: Facts, order: Sequence[int], axis: Axis, found: Sequence[WellMeasure]
) -> dict[str, Any]:
    """A list a column, a value a job, plate by plate and well by well."""
    keys = [key for key, _ in facts.groups[0]]
    whys = list(dict.fromkeys(verdict.why for verdict in facts.verdicts))
    number_of = {why: number for number, why in enumerate(whys)}
    own = [m for m in found if m.name in facts.measures and m.spread]
    if len(own) * len(order) > _MOST_VALUES:
        own = []
    return {
        "keys": keys,
        "groups": [_coded(facts, order, key) for key in keys],
        "sites": _few(site_of(facts.groups[number]) for number in order),
        "states": list(STATES),
        "state": [STATES.index(facts.verdicts[number].state) for number in order],
        "whys": whys,
        "why": [number_of[facts.verdicts[number].why] for number in order],
        "image_sets": [facts.image_sets[number] for number in order],
        **_ran(facts, order, axis),
        "measures": {
            measure.name: [short(measure.jobs[number]) for number in order]
            for measure in own
        },
    }


def _coded(facts: Facts, order: Sequence[int], key: str) -> dict[str, Any]:
    return _few(dict(facts.groups[number])[key] for number in order)


def _few(values: Iterable[str]) -> dict[str, Any]:
    """Values of which there are few, each once, and which one each job has."""
    known: dict[str, int] = {}
    return {"of": [known.setdefault(v, len(known)) for v in values], "values": [*known]}


def _ran(facts: Facts, order: Sequence[int], axis: Axis) -> dict[str, Any]:
    """What jobs took; None or -1 for those without a record."""
    by_number = {job.number: job for job in facts.ran}
    lanes = Lanes.of(facts.ran)
    lane_of = {n.number: at for n, at in zip(facts.ran, lanes.numbers, strict=True)}
    row = {host: number for number, host in enumerate(lanes.hosts)}
    some = [by_number.get(number) for number in order]
    return {
        "started": [
            job and short(job.started - facts.ran[0].started, 9) for job in some
        ],
        "wall_s": [job and _tenths(job.wall_s) for job in some],
        "phase_s": {
            name: [job and _tenths(job.phase_s[at]) for job in some]
            for at, name in enumerate(PHASES)
        },
        "cpu_s": [job and _tenths(job.cpu_s) for job in some],
        "peak_memory": [(job and job.peak_memory) or None for job in some],
        "attempt": [job and job.attempt for job in some],
        "hosts": [{"host": host, "lanes": some} for host, some in lanes.hosts.items()],
        "host": [row[job.host] if job else -1 for job in some],
        "lane": [lane_of[job.number] if job else -1 for job in some],
    }


def _tenths(seconds: float) -> float | int | None:
    return short(round(seconds, 1 if seconds >= 1 else 2), 9)


def _placed(found: list[dict[str, Any]], place: dict[int, int]) -> list[dict[str, Any]]:
    """Entries whose job is its place in the page's lists, not the plan's number."""
    return [entry | {"job": place[entry["job"]]} for entry in found]


def _memory(facts: Facts, place: dict[int, int]) -> dict[str, Any] | None:
    found = figures.memory(facts)
    return found and found | {"largest": place[found["largest"]]}


def _failures(facts: Facts) -> list[dict[str, Any]]:
    """Failed jobs by cause, commonest first."""
    left = list(facts.failed)
    found = []
    for cause in facts.causes:
        jobs = [outcome for outcome in left if _is(cause, outcome)]
        taken = {outcome.job.id for outcome in jobs}
        left = [outcome for outcome in left if outcome.job.id not in taken]
        found.append(_failure(facts, cause, jobs))
    return found


def _is(cause: Cause, outcome: Outcome) -> bool:
    assert cause.first.failure is not None
    assert outcome.failure is not None
    return likeness(cause.first.failure) == likeness(outcome.failure)


def _failure(facts: Facts, cause: Cause, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    first = cause.first
    assert first.failure is not None
    step, job = facts.step.name, first.job
    commands = {
        "its log": shlex.join(["cpengine", "logs", step, job.id]),
        "this group again": shlex.join(["cpengine", "run", step, *options_of(job)]),
        "all that failed again": f"cpengine run {step} --only failed",
    }
    if not cause.has_log:
        commands.pop("its log")
    return {
        "kind": first.failure.kind.value,
        "module": first.failure.module,
        "message": first.failure.message,
        "jobs": sorted(outcome.job.id for outcome in outcomes),
        "cure": cause.cure,
        "log": facts.logs.get(job.id, ""),
        "log_of": job.id,
        "commands": commands,
    }


def _accelerations(facts: Facts) -> dict[str, Any]:
    """Which were used, what on, and what to say of that."""
    use = facts.accelerations.use
    asked = facts.runs[-1].get("blas_kernel") if facts.runs else None
    return asdict(use) | {
        "lines": list(use.lines()),
        "warnings": list(use.warnings(asked)),
        "computed_on": [f"{found} ({found.jobs})" for found in use.processors],
    }


def _links(facts: Facts, links: Links) -> dict[str, str]:
    step = facts.step
    return {
        "output": links.to(step.output),
        "output_name": step.output,
        "structure": step.output_structure,
        "logs": links.to(f"{step.ledger}/logs"),
        "markers": links.to(f"{step.ledger}/markers"),
        "runs": links.to(f"{step.ledger}/runs"),
    }


def ids(model: dict[str, Any]) -> list[str]:
    """The id of each job, in the order of the model's lists."""
    jobs = model["jobs"]
    columns = [
        [group["values"][number] for number in group["of"]] for group in jobs["groups"]
    ]
    pairs = zip(*columns, strict=True)
    return [id_of(zip(jobs["keys"], values, strict=True)) for values in pairs]
