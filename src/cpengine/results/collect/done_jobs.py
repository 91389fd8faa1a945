"""Find the done jobs of a step and their CSVs, plate by plate."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cpengine.config.steps import Step
from cpengine.errors import InputError
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.ledger.standing import JobState, Standing
from cpengine.marker import Marker, MarkerState
from cpengine.model import Job
from cpengine.planning.fingerprint import of_text
from cpengine.planning.plan import plate_of
from cpengine.planning.project import ResolvedProject
from cpengine.plates import PLATE, Part
from cpengine.results.collect.names import files_of
from cpengine.results.collect.plate_csvs import JobCsvs, PlateCsvs
from cpengine.run.session import Steps
from cpengine.storage import published
from cpengine.wording import counted

_DONE = f".{MarkerState.DONE}"
_MAIN = "analysis"
"""The step whose files are in the plate's folder itself; others have one below it."""


def plates(
    project: ResolvedProject, name: str, part: Part, cellprofiler: str = ""
) -> list[PlateCsvs]:
    """The plates of a step that have done jobs, and what is left out of each.

    Parameters
    ----------
    part
        Which plates to take; its wells and sites must be empty.
    cellprofiler
        The version by which jobs are stale, if it is known.

    Raises
    ------
    InputError
        No job is done, or none has a CSV.
    """
    todo = Steps(project, [name], part, cellprofiler, unchecked=True).plan(name)
    step = todo.plan.step
    _check(step, todo.plan.jobs[0])
    by_plate: dict[str, list[Standing]] = defaultdict(list)
    for standing in todo.standings:
        by_plate[plate_of(standing.job)].append(standing)
    done = [s for all_ in by_plate.values() for s in all_ if _is_done(s)]
    if not done:
        raise InputError(f"{name}: none of its jobs is done: run it first")
    csvs = _csvs(step_ledger(project, step), done)
    if not any(job.tables for job in csvs.values()):
        raise InputError(
            f"{name}: its done jobs published no CSV of images or objects: let the "
            "pipeline have ExportToSpreadsheet, with commas"
        )
    return [
        _plate(project, step, plate, standings, csvs)
        for plate, standings in by_plate.items()
        if any(map(_is_done, standings))
    ]


def _check(step: Step, job: Job) -> None:
    if PLATE not in step.group:
        raise InputError(
            f"{step.name}: its jobs are not of plates: add {PLATE} to its group"
        )
    if replace(job, shared=False).shares_place:
        raise InputError(
            f"{step.name}: its jobs share folders, so that no CSV can be told to be "
            "one's: name another step"
        )


def _is_done(standing: Standing) -> bool:
    return standing.state in (JobState.DONE, JobState.STALE)


def _csvs(ledger: Ledger, done: Sequence[Standing]) -> dict[str, JobCsvs]:
    """The CSVs of done jobs, by job id."""
    jobs = [standing.job for standing in done]
    own = _own_files(ledger, jobs) if jobs[0].shared else {}
    trees = published.files_of_jobs(ledger.storage, jobs)
    found = {}
    for job, tree in zip(jobs, trees, strict=True):
        tables, others = files_of(tree.keys() & own.get(job.id, tree.keys()))
        files = [tree[name] for _, name in sorted(tables.items())]
        size = sum(file.size for file in files)
        keys = {table: f"{job.destination}/{name}" for table, name in tables.items()}
        made_of = f"{_made_by(job)}~{of_text(*(file.version for file in files))}"
        left = tuple(f"{job.destination}/{name}" for name in others)
        found[job.id] = JobCsvs(job, keys, size, made_of, left)
    return found


def _own_files(ledger: Ledger, jobs: Sequence[Job]) -> dict[str, set[str]]:
    """The files of each job, where another step's are beside them, by its id."""
    done = (name for job in jobs for name in job.earlier if name.endswith(_DONE))
    found: dict[str, set[str]] = defaultdict(set)
    for outcome in ledger.outcomes(done):
        found[outcome.job.id] |= outcome.files.keys()
    return found


def _made_by(job: Job) -> str:
    """The fingerprint and version that made a job's results; `dcp` without a marker."""
    markers = filter(None, map(Marker.parse, job.earlier))
    done = [m for m in markers if m.state is MarkerState.DONE]
    made = sorted(f"{marker.fingerprint}~{marker.version}" for marker in done)
    return "+".join(made) or "dcp"


def _plate(
    project: ResolvedProject,
    step: Step,
    plate: str,
    standings: Sequence[Standing],
    csvs: dict[str, JobCsvs],
) -> PlateCsvs:
    done = [csvs[s.job.id] for s in standings if _is_done(s)]
    taken = tuple(job for job in done if job.tables)
    left_out = Counter(str(s.state) for s in standings if not _is_done(s))
    if len(taken) < len(done):
        left_out["without CSVs"] = len(done) - len(taken)
    layout = project.layout
    below = [] if step.name == _MAIN else [step.name]
    return PlateCsvs(
        step.name,
        plate,
        layout.workspace("backend", layout.batch, plate, *below),
        taken,
        left_out,
        (*_left_out(left_out, len(standings)), *_stale(standings)),
    )


def _left_out(left_out: Counter[str], jobs: int) -> Iterable[str]:
    if left_out:
        whys = ", ".join(f"{count} {why}" for why, count in left_out.items())
        yield f"{left_out.total()} of {counted(jobs, 'job')} left out: {whys}"


def _stale(standings: Sequence[Standing]) -> Iterable[str]:
    whys = Counter(s.why for s in standings if s.state is JobState.STALE)
    for why, count in whys.items():
        yield f"{counted(count, 'job')} stale, and taken: {why}"
