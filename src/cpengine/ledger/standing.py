"""Where jobs stand: done, failed, stale or left, and why, by the names of markers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple

from cpengine.marker import Marker, MarkerState
from cpengine.model import Job
from cpengine.planning import fingerprint


class JobState(StrEnum):
    """What the ledger says of a job."""

    DONE = "done"
    FAILED = "failed"
    STALE = "stale"
    """Done, but with another pipeline, other rows or another CellProfiler."""
    MISSING = "missing"
    """Done, but the folder of its results is gone."""
    LEFT = "left"


class Verdict(NamedTuple):
    """What the ledger says of a job, and of many others in the same words."""

    state: JobState
    why: str
    failure: str = ""


NEVER_RUN = Verdict(JobState.LEFT, "it has not run yet")
FOLDER_GONE = Verdict(JobState.MISSING, "it was done, but its folder is gone")
DAMAGED = Verdict(
    JobState.LEFT, "its marker is damaged (0 bytes), as a power cut leaves one"
)


class Standing(NamedTuple):
    """Where one job stands."""

    jobs: Sequence[Job]
    """All that were asked about."""
    number: int
    """Which of them it is."""
    verdict: Verdict
    earlier: tuple[str, ...] = ()
    """Names of the markers that stand for earlier runs of the job."""

    @property
    def job(self) -> Job:
        """The job, with the markers that stand for earlier runs of it."""
        job = self.jobs[self.number]
        if job.earlier == self.earlier:
            return job
        return replace(job, earlier=self.earlier)

    @property
    def state(self) -> JobState:
        """Whether it is done."""
        return self.verdict.state

    @property
    def marker(self) -> str:
        """The name of the marker that the state comes from; empty if it is of none."""
        if self.state is JobState.LEFT:
            return ""
        is_failed = self.state is JobState.FAILED
        wanted = MarkerState.FAILED if is_failed else MarkerState.DONE
        job = self.jobs[self.number]
        made_of = (job.fingerprint, job.fingerprint_v1)
        found = [
            (marker.fingerprint in made_of, number, name)
            for number, name in enumerate(self.earlier)
            if (marker := Marker.parse(name)) and marker.state is wanted
        ]
        return max(found)[-1] if found else ""  # none where DCP made the results

    @property
    def is_stale(self) -> bool:
        """Whether its results are of other input than it would have now."""
        return self.state is JobState.STALE

    @property
    def was_done(self) -> bool:
        """Whether it was, and is not: with other input, or its results are gone."""
        return self.state in (JobState.STALE, JobState.MISSING)

    @property
    def why(self) -> str:
        """One line: what the state comes from."""
        return self.verdict.why

    @property
    def failure(self) -> str:
        """The kind of failure of a failed job."""
        return self.verdict.failure


def verdict_of(
    job: Job,
    names: Collection[str],
    cellprofiler: str,
    empty: Collection[str] = (),
) -> Verdict:
    """What a job's markers say of it.

    Parameters
    ----------
    cellprofiler
        The version whose results count; that of any if empty.
    empty
        Names of done markers that hold nothing: they say nothing either.
    """
    whole = (name for name in names if name not in empty)
    markers = [marker for name in whole if (marker := Marker.parse(name))]
    if not markers:
        return DAMAGED
    mine = [
        marker
        for marker in markers
        if marker.fingerprint in (job.fingerprint, job.fingerprint_v1)
        and cellprofiler in ("", marker.version)
    ]
    done = [marker for marker in markers if marker.state is MarkerState.DONE]
    failed = [marker for marker in mine if marker.state is MarkerState.FAILED]
    if any(marker.state is MarkerState.DONE for marker in mine):
        return Verdict(JobState.DONE, "done, and nothing has changed")
    if failed:
        note = "; the results of an earlier run are kept" if done else ""
        kind = failed[-1].failure
        return Verdict(JobState.FAILED, f"its last attempt failed{note}", kind)
    if done:
        return Verdict(JobState.STALE, _changed(job, done[-1], cellprofiler))
    if any(marker.state is MarkerState.REPLACED for marker in markers):
        return Verdict(JobState.LEFT, "a run that replaced its results was ended")
    return Verdict(JobState.LEFT, "it failed before something changed")


def _changed(job: Job, marker: Marker, cellprofiler: str) -> str:
    if marker.fingerprint in (job.fingerprint, job.fingerprint_v1):
        return f"CellProfiler {marker.version} made it, {cellprofiler} would run it now"
    now = (job.fingerprint, job.fingerprint_v1)
    parts = fingerprint.changed(marker.fingerprint, *now)
    return f"{' and '.join(parts)} changed since it was done"


def states(standings: Iterable[Standing]) -> Mapping[str, JobState]:
    """The state of each job, by id."""
    return {standing.job.id: standing.state for standing in standings}


def summary(standings: Iterable[Standing]) -> dict[str, int]:
    """How many jobs are in each state."""
    found: dict[str, int] = dict.fromkeys(JobState, 0)
    for standing in standings:
        found[standing.state] += 1
    return found


def to_json(standing: Standing) -> dict[str, Any]:
    """A standing as `--json` prints it."""
    return standing.job.to_json() | {
        "state": standing.state,
        "why": standing.why,
        "failure": standing.failure,
    }
