"""Find the done jobs of a step and their CSVs, plate by plate."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import normpath

from cpengine.config.steps import Step
from cpengine.errors import InputError
from cpengine.ledger.ledger import Ledger, step_ledger
from cpengine.ledger.standing import JobState, Standing
from cpengine.marker import Marker
from cpengine.model import Job
from cpengine.planning.fingerprint import may_have_moved, of_text
from cpengine.planning.plan import plate_of
from cpengine.planning.project import ResolvedProject
from cpengine.plates import PLATE, Part
from cpengine.results.collect.plate_csvs import WITHOUT_CSVS, JobCsvs, PlateCsvs
from cpengine.run.session import Steps
from cpengine.storage.entry import Entry
from cpengine.storage.keys import is_below
from cpengine.storage.published import files_of_jobs
from cpengine.wording import counted

_MAIN = "analysis"
"""The step whose files are in the plate's folder itself; others have one below it."""
_OUTSIDE = "with results outside the outputs' root"


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
        raise InputError(_no_csvs(step, csvs))
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


def _no_csvs(step: Step, csvs: Mapping[str, JobCsvs]) -> str:
    """Why nothing can be collected, and what to do."""
    first = next((entry.job.output for entry in csvs.values()), "")
    if first == step.output:
        return (
            f"{step.name}: its done jobs published no CSV of images or objects: let "
            "the pipeline have ExportToSpreadsheet, with commas"
        )
    where = f"in {first}" if first else "outside the outputs' root"
    return (
        f"{step.name}: its jobs were done {where}, where no CSVs are found: run it "
        "again, or set its output back"
    )


def _is_done(standing: Standing) -> bool:
    return standing.state in (JobState.DONE, JobState.STALE)


def _csvs(ledger: Ledger, done: Sequence[Standing]) -> dict[str, JobCsvs]:
    """The CSVs that are in the folders of done jobs, by job id.

    Jobs whose results are out of reach are left out.
    """
    jobs = _as_published(ledger, done)
    by_output: dict[str, list[Job]] = defaultdict(list)
    for job in jobs.values():
        by_output[job.output].append(job)
    trees = {
        job.id: tree
        for some in by_output.values()
        for job, tree in zip(some, files_of_jobs(ledger.storage, some), strict=True)
    }
    markers = {standing.job.id: standing.marker for standing in done}
    return {
        job_id: _job_csvs(job, trees[job_id], markers[job_id])
        for job_id, job in jobs.items()
    }


def _as_published(ledger: Ledger, done: Sequence[Standing]) -> dict[str, Job]:
    """Done jobs by id, with the output place that they had when they became done.

    Those that their markers say to be outside of the outputs' root are left out:
    whoever writes there could name any folder.
    """
    jobs = {standing.job.id: standing.job for standing in done}
    moved = [standing.marker for standing in done if _may_have_moved(standing)]
    for made in (outcome.job for outcome in ledger.outcomes(moved)):
        job = jobs.pop(made.id)
        place = made.output, made.output_structure
        there = replace(job, output=place[0], output_structure=place[1])
        unmoved = there.destination == job.destination
        if unmoved or is_below(normpath(there.destination)):
            jobs[made.id] = there
    return jobs


def _may_have_moved(standing: Standing) -> bool:
    """Whether a job's results may be elsewhere than it would publish them now."""
    marker = Marker.parse(standing.marker) if standing.is_stale else None
    now = standing.job.fingerprint, standing.job.fingerprint_v1
    return marker is not None and may_have_moved(marker.fingerprint, *now)


def _job_csvs(job: Job, tree: Mapping[str, Entry], name: str) -> JobCsvs:
    """A job's CSVs, of the files in its folder."""
    csvs = {file: entry for file, entry in tree.items() if file.endswith(".csv")}
    versions = (csvs[file].version for file in sorted(csvs))
    marker = Marker.parse(name)
    made_by = f"{marker.fingerprint}~{marker.version}" if marker else "dcp"
    sizes = {file: entry.size for file, entry in csvs.items()}
    return JobCsvs(job, sizes, f"{made_by}~{of_text(*versions)}", name)


def _plate(
    project: ResolvedProject,
    step: Step,
    plate: str,
    standings: Sequence[Standing],
    csvs: dict[str, JobCsvs],
) -> PlateCsvs:
    done = [standing for standing in standings if _is_done(standing)]
    within = [csvs[s.job.id] for s in done if s.job.id in csvs]
    taken = tuple(job for job in within if job.tables)
    left_out = Counter(str(s.state) for s in standings if not _is_done(s))
    outside, without = len(done) - len(within), len(within) - len(taken)
    left_out += Counter({_OUTSIDE: outside, WITHOUT_CSVS: without})
    layout = project.layout
    below = [] if step.name == _MAIN else [step.name]
    return PlateCsvs(
        step.name,
        plate,
        layout.workspace("backend", layout.batch, plate, *below),
        taken,
        left_out,
        (*_left_out(left_out, len(standings)), *_stale(step, done, csvs)),
    )


def _left_out(left_out: Counter[str], jobs: int) -> Iterable[str]:
    if left_out:
        whys = ", ".join(f"{count} {why}" for why, count in left_out.items())
        yield f"{left_out.total()} of {counted(jobs, 'job')} left out: {whys}"


def _stale(
    step: Step, done: Sequence[Standing], csvs: Mapping[str, JobCsvs]
) -> Iterable[str]:
    """Say which results are stale, and whence they are, if it is not the output."""
    found: Counter[tuple[str, str]] = Counter()
    for standing in done:
        entry = csvs.get(standing.job.id)
        if entry and standing.is_stale:
            output = entry.job.output
            place = f" from {output}" if output != step.output else ""
            found[standing.why, place] += 1
    for (why, place), count in found.items():
        yield f"{counted(count, 'job')} stale, and taken{place}: {why}"
