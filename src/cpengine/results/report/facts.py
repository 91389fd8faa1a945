"""What the ledger knows of a step, read once and kept in few bytes a job."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from cpengine.config.steps import Step
from cpengine.errors import InputError
from cpengine.executors.retry import Cause, causes
from cpengine.group_names import Group, id_of
from cpengine.ledger import driver_sign, run_record
from cpengine.ledger.acceleration_use import AccelerationTally
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.ledger.standing import JobState, Standing, Verdict
from cpengine.model import Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part
from cpengine.results.collect.names import files_of
from cpengine.results.columns import SomeColumns, in_some_jobs, names
from cpengine.run.session import Steps, Todo
from cpengine.storage.keys import is_below
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

PHASES = ("fetching", "waiting", "checking", "running", "publishing")
RUNNING = PHASES.index("running")
MOST_JOBS = 200_000
"""A page of more would be too large for a browser."""
MOST_CAUSES = 20
_AT_ONCE = 2_000
_LOG_LINES = 20
_LONGEST_LINE = 500


class Ran(NamedTuple):
    """A job's last attempt, as far as the page shows it."""

    number: int
    """Which job of the plan it is."""
    failed: bool
    started: float
    """Seconds since 1970, UTC."""
    precise: bool
    """Whether `started` is better than to the second."""
    wall_s: float
    phase_s: tuple[float, ...]
    """Seconds of each of `PHASES`."""
    module_s: float
    """Seconds of all modules together."""
    slowest: str
    """The module that took longest."""
    cpu_s: float
    peak_memory: int
    attempt: int
    host: str

    @property
    def ended(self) -> float:
        """Seconds since 1970, UTC."""
        return self.started + self.wall_s


@dataclass(slots=True)
class ModuleTime:
    """One module's seconds over all jobs, and the image sets it ran on."""

    seconds: float = 0.0
    image_sets: int = 0

    def add(self, seconds: float, image_sets: int) -> None:
        """Take in a job."""
        self.seconds += seconds
        self.image_sets += image_sets


Modules = defaultdict[str, ModuleTime]


@dataclass(slots=True)
class Header:
    """The columns that the CSVs of some jobs have in common."""

    job: str
    """The id of one of the jobs,"""
    key: str
    """and where its CSV is."""
    jobs: int = 0


@dataclass(slots=True)
class Facts:
    """What is known of one step."""

    project: str
    batch: str
    step: Step
    part: Part
    groups: Sequence[Group]
    """Of each job of the plan, as all that has one value a job."""
    image_sets: Sequence[int]
    verdicts: Sequence[Verdict]
    runs: Sequence[Mapping[str, Any]]
    """The records of all runs, oldest first."""
    plate_format: int | None = None
    """How many wells a plate has, if the project file tells."""
    sign: Sign | None = None
    """What the driver of the last run says, if it seems to live."""
    ran: list[Ran] = field(default_factory=list)
    """Of the jobs of which it is known when they ran, by their start."""
    measures: dict[str, "array[float]"] = field(default_factory=dict)
    """By name, a value a job; NaN where there is none."""
    modules: dict[bool, Modules] = field(
        default_factory=lambda: {way: defaultdict(ModuleTime) for way in (False, True)}
    )
    """Of jobs with plain modules, and with accelerated ones."""
    accelerations: AccelerationTally = field(default_factory=AccelerationTally)
    headers: defaultdict[str, dict[str, Header]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By table and digest of the columns, of done jobs."""
    columns: Sequence[SomeColumns] = ()
    """What only some jobs have, of tables that are not all alike."""
    versions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many jobs ran with a version, by (name, version)."""
    failed: list[Outcome] = field(default_factory=list)
    causes: Sequence[Cause] = ()
    logs: Mapping[str, str] = field(default_factory=dict)
    """The end of the first job's log of each cause, by job id."""

    def add(self, number: int, outcome: Outcome) -> None:
        """Take in a job's outcome."""
        if outcome.failure:
            self.failed.append(outcome)
        if outcome.started:  # else the machine was lost, or another worker ran it
            self.ran.append(_ran(number, outcome))
        if outcome.done and outcome.columns:
            self._add_columns(outcome)
        self.versions.update(outcome.versions.items())
        self.accelerations.add(outcome)
        for name, seconds in outcome.module_s.items():
            modules = self.modules[bool(outcome.exact)]
            modules[name].add(seconds, self.image_sets[number])
        for name, value in outcome.measures.items():
            if name not in self.measures:
                self.measures[name] = array("d", [math.nan]) * len(self.groups)
            self.measures[name][number] = value

    def _add_columns(self, outcome: Outcome) -> None:
        job = outcome.job
        for table, name in files_of(outcome.files).tables.items():
            below = is_below(f"{job.place}/{name}") and job.output == self.step.output
            if below and (digest := outcome.columns.get(name)):
                first = Header(job.id, f"{job.destination}/{name}")
                self.headers[table].setdefault(digest, first).jobs += 1


def gather(
    project: ResolvedProject,
    name: str,
    part: Part,
    cellprofiler: str,
    todo: Todo | None = None,
) -> Facts:
    """Read what is known of a step.

    Raises
    ------
    InputError
        No job of it has ended yet, or it has more jobs than a page can show.
    ConfigError
        There is no such step.
    """
    todo = todo or Steps(project, [name], part, cellprofiler, unchecked=True).plan(name)
    ledger = step_ledger(project, todo.plan.step)
    jobs = todo.plan.jobs
    _check(name, todo)
    facts = Facts(
        project=project.layout.project,
        batch=project.layout.batch,
        step=todo.plan.step,
        part=part,
        groups=list(jobs.groups),
        image_sets=[n for file in jobs.files for n in file.image_sets],
        verdicts=[standing.verdict for standing in todo.standings],
        runs=run_record.all_runs(ledger),
        plate_format=project.file.plate.format,
    )
    _read(facts, ledger, todo.standings)
    facts.columns = list(_uneven(facts.headers, ledger.storage))
    if facts.runs and not facts.runs[-1]["ended"]:
        sign = driver_sign.read(ledger, facts.runs[-1]["id"])
        facts.sign = sign if sign and sign.seems_alive else None
    facts.causes = causes(facts.failed)[:MOST_CAUSES]
    facts.logs = _logs(ledger, facts.causes)
    return facts


def _check(name: str, todo: Todo) -> None:
    if len(todo.standings) > MOST_JOBS:
        raise InputError(
            f"{name}: has {len(todo.standings):,} jobs, a page shows {MOST_JOBS:,}: "
            "take some plates with --plate"
        )
    if all(standing.state is JobState.LEFT for standing in todo.standings):
        raise InputError(f"{name}: no job has ended yet: run it, or look again later")


def _read(facts: Facts, ledger: Ledger, standings: Iterable[Standing]) -> None:
    """Open the markers that tell how jobs came to stand where they do."""
    named = [standing.marker for standing in standings]
    numbers = {id_of(facts.groups[n]): n for n, name in enumerate(named) if name}
    names = filter(None, named)
    while some := list(islice(names, _AT_ONCE)):  # outcomes take much memory
        for outcome in ledger.outcomes(some):
            facts.add(numbers[outcome.job.id], outcome)
    facts.ran.sort(key=lambda job: (job.started, job.number))


def _uneven(
    headers: Mapping[str, Mapping[str, Header]], storage: Storage
) -> Iterable[SomeColumns]:
    """What only some jobs have: columns are asked for where they differ."""
    for table, by_digest in headers.items():
        some = list(by_digest.values()) if len(by_digest) > 1 else []
        lines = each(storage.first_line, [header.key for header in some])
        found = [
            (names(line.decode(errors="replace")), header.jobs, header.job)
            for header, line in zip(some, lines, strict=True)
            if line
        ]
        if uneven := in_some_jobs(table, found):
            yield uneven


def _ran(number: int, outcome: Outcome) -> Ran:
    slowest = max(outcome.module_s, key=lambda m: outcome.module_s[m], default="")
    return Ran(
        number=number,
        failed=not outcome.done,
        started=datetime.fromisoformat(outcome.started).timestamp(),
        precise="." in outcome.started,
        wall_s=outcome.wall_s,
        phase_s=tuple(outcome.phase_s.get(name, 0.0) for name in PHASES),
        module_s=sum(outcome.module_s.values()),
        slowest=slowest,
        cpu_s=outcome.cpu_s,
        peak_memory=outcome.peak_memory,
        attempt=outcome.attempt,
        host=outcome.host,
    )


def _logs(ledger: Ledger, found: Sequence[Cause]) -> dict[str, str]:
    """The last lines of a log of each cause."""
    jobs = [cause.first.job for cause in found if cause.has_log]
    texts = each(ledger.storage.read_if_there, map(ledger.log, jobs))
    return {
        job.id: _last_lines(data.decode(errors="replace"))
        for job, data in zip(jobs, texts, strict=True)
        if data
    }


def _last_lines(text: str) -> str:
    lines = text.rstrip().splitlines()[-_LOG_LINES:]
    return "\n".join(line[:_LONGEST_LINE] for line in lines)
