"""Which jobs are done: one small marker a job, beside the outputs, written last.

A marker is named `<job id>~<fingerprint>~<CellProfiler version>.<state>`, so that "what
is left" costs one listing and no file is opened.
"""

import json
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cpengine.model import Job, Outcome
from cpengine.storage import Storage


class State(StrEnum):
    """What the ledger says of a job."""

    DONE = "done"
    FAILED = "failed"
    STALE = "stale"
    """Done, but with another pipeline, other rows or another CellProfiler."""
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The markers and logs of one step."""

    storage: Storage
    folder: str

    def states(
        self, jobs: Iterable[Job], cellprofiler: str = ""
    ) -> list[tuple[Job, State]]:
        """Give each job and its state, from one listing.

        Jobs come back with the markers that stand for earlier runs of them. Results
        of another CellProfiler than the version named are stale; of none, if empty.
        """
        found = self._markers()
        return [_with_state(job, found.get(job.id, ()), cellprofiler) for job in jobs]

    def _markers(self) -> dict[str, list[str]]:
        """Give the names of markers by job id."""
        found: dict[str, list[str]] = {}
        for name in self.storage.sizes(f"{self.folder}/markers"):
            found.setdefault(name.rsplit("~", 2)[0], []).append(name)
        return found

    def marker(self, job: Job, cellprofiler: str, state: State) -> str:
        """The key of a job's marker."""
        name = f"{job.id}~{job.fingerprint}~{cellprofiler}.{state}"
        return f"{self.folder}/markers/{name}"

    def outcome(self, job: Job, cellprofiler: str) -> Outcome | None:
        """The outcome by which this job became done with that CellProfiler.

        None if it is not done, or if its marker is one that `job` knows and means to
        replace.
        """
        key = self.marker(job, cellprofiler, State.DONE)
        if posixpath.basename(key) in job.earlier or not self.storage.exists(key):
            return None
        data = dict(self._read(key))
        return Outcome(**data | {"job": job})

    def log(self, job: Job) -> str:
        """The key of the log of a job's last attempt."""
        return f"{self.folder}/logs/{job.id}.log"

    def record(self, outcome: Outcome) -> None:
        """Write an outcome's marker; of a job that is done, no failed one stays.

        Raises
        ------
        StorageError
            The ledger cannot be written.
        """
        state = State.DONE if outcome.done else State.FAILED
        text = json.dumps(outcome.to_json(), indent=1)
        version = outcome.versions["cellprofiler"]
        key = self.marker(outcome.job, version, state)
        self.storage.write(key, text.encode())
        if outcome.done:
            self.storage.remove(self.marker(outcome.job, version, State.FAILED))

    def earlier_files(self, job: Job) -> set[str]:
        """The files that earlier runs of a job published to its present place."""
        return {file for files in self._published(job, job.earlier) for file in files}

    def forget(self, job: Job) -> None:
        """Remove the markers of earlier runs of a job."""
        for name in job.earlier:
            self.storage.remove(f"{self.folder}/markers/{name}")

    def owner(self, job: Job, file: str) -> str | None:
        """The id of another job that published a file of that name to this place.

        Opens every marker, so ask only when a file is in the way.
        """
        for job_id, names in self._markers().items():
            published = self._published(job, names)
            if job_id != job.id and any(file in files for files in published):
                return job_id
        return None

    def _published(self, job: Job, names: Iterable[str]) -> Iterator[Collection[str]]:
        """The files of each done marker whose job had the same place as this one."""
        for name in names:
            key = f"{self.folder}/markers/{name}"
            if name.endswith(f".{State.DONE}") and self.storage.exists(key):
                marker = self._read(key)
                if Job.from_json(marker["job"]).destination == job.destination:
                    yield marker["files"]

    def _read(self, key: str) -> Mapping[str, Any]:
        data: Mapping[str, Any] = json.loads(self.storage.read(key))
        return data


def _with_state(
    job: Job, markers: Iterable[str], cellprofiler: str
) -> tuple[Job, State]:
    job = replace(job, earlier=tuple(markers))
    of_this = f"{job.id}~{job.fingerprint}~"
    states = set()
    for name in job.earlier:
        stem, _, state = name.rpartition(".")
        any_version = not cellprofiler and stem.startswith(of_this)
        if any_version or stem == f"{of_this}{cellprofiler}":
            states.add(state)
    if State.DONE in states:
        return job, State.DONE
    if any(name.endswith(f".{State.DONE}") for name in job.earlier):
        return job, State.STALE
    return job, State.FAILED if State.FAILED in states else State.LEFT
