"""What a batch needs next: what failed, is stale, missing or half collected. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cpengine.config.steps import STEPS
from cpengine.ledger.standing import JobState
from cpengine.results.overview.step_records import (
    CollectedJobs,
    JobsRecord,
    QualityRecord,
    StepRecords,
    TablesRecord,
)
from cpengine.wording import counted

_QUALITY = ("qc", "qc_persite")
_BEFORE = ("zproj", "illum")
"""Steps whose results later ones read."""
_THEN = {"zproj": "illum", "illum": "analysis"}
"""The step that mostly comes next."""


class Need(NamedTuple):
    """Something that a batch needs, and the command for it."""

    step: str
    what: str
    command: str
    wrong: bool = False
    """Whether jobs have failed."""


def needs(steps: Mapping[str, StepRecords]) -> list[Need]:
    """What a batch needs, the next thing first.

    Parameters
    ----------
    steps
        By name, in the order in which they are run.
    """
    return [
        *(need for step, known in steps.items() for need in _of_jobs(step, known.jobs)),
        *_outdated(steps),
        *(need for step, known in steps.items() for need in _of_pages(step, known)),
        *_not_begun(steps),
    ]


def _of_jobs(step: str, known: JobsRecord | None) -> Iterator[Need]:
    if not known:
        return
    states = known.states
    if failed := states[JobState.FAILED]:
        kinds = ", ".join(f"{f.jobs} {f.kind}" for f in known.failures)
        what = f"{counted(failed, 'job')} failed" + (f" ({kinds})" if kinds else "")
        yield Need(step, what, f"cpengine run {step} --only failed", wrong=True)
    if stale := states[JobState.STALE]:
        changed = ", ".join(known.stale) or "something has changed since"
        yield Need(step, f"{counted(stale, 'job')} stale: {changed}", _run(step))
    if missing := states[JobState.MISSING]:
        what = f"{counted(missing, 'job')} missing: the results are gone"
        yield Need(step, what, f"cpengine run {step} --only missing")
    if left := states[JobState.LEFT]:
        yield Need(step, f"{counted(left, 'job')} left to run", _run(step))


def _run(step: str) -> str:
    return f"cpengine run {step}"


def _outdated(steps: Mapping[str, StepRecords]) -> Iterator[Need]:
    """Steps of which it is not known whether what they read has changed since."""
    earlier: list[tuple[str, str]] = []
    for step, known in steps.items():
        if not known.jobs:
            continue
        since = [name for name, ended in earlier if ended > known.jobs.made]
        if since:
            what = f"its states are of before {', '.join(since)} ran again"
            yield Need(step, what, f"cpengine report {step}")
        if step in _BEFORE:
            earlier.append((step, known.jobs.ended))


def _of_pages(step: str, known: StepRecords) -> Iterator[Need]:
    if not known.jobs or not known.jobs.states[JobState.DONE]:
        return
    if step in _QUALITY and _is_old(known.quality, known.jobs):
        what = (
            "its images are judged by earlier results"
            if known.quality
            else ("its images are not judged yet")
        )
        yield Need(step, what, f"cpengine qc {step}")
    if known.tables or _is_analysis(step):
        yield from _of_tables(step, known.tables, known.jobs)


def _is_old(page: QualityRecord | CollectedJobs | None, jobs: JobsRecord) -> bool:
    return page is None or page.made < jobs.ended


def _is_analysis(step: str) -> bool:
    return step in STEPS and STEPS[step].output == "analysis"


def _of_tables(
    step: str, tables: TablesRecord | None, jobs: JobsRecord
) -> Iterator[Need]:
    half = [plate for plate in jobs.plates if half_collected(plate, tables, jobs)]
    if half and not tables:
        yield Need(step, "its tables are not collected yet", f"cpengine collect {step}")
    elif half:
        plates = counted(len(half), "plate")
        what = f"tables of {plates} are not whole, or of earlier results"
        yield Need(step, what, f"cpengine collect {step}")


def half_collected(plate: str, tables: TablesRecord | None, jobs: JobsRecord) -> bool:
    """Whether a plate's tables lack jobs that are done, or are of earlier results."""
    collected = tables.plates.get(plate) if tables else None
    counts = jobs.plates.get(plate, {})
    if not counts.get(JobState.DONE):
        return False
    return _is_old(collected, jobs) or bool(collected and collected.lacking)


def _not_begun(steps: Mapping[str, StepRecords]) -> Iterator[Need]:
    """The step that comes after those that have run."""
    ran = [step for step in _THEN if step in steps]
    if ran and (then := _THEN[ran[-1]]) not in steps:
        yield Need(then, "has not been run yet", _run(then))
