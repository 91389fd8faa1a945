"""What an earlier step has left: its markers, and the files in its folders."""

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from cpengine.group_names import Group
from cpengine.marker import Marker, MarkerState
from cpengine.model import Job, Outcome
from cpengine.planning.marker_file import marker_file
from cpengine.planning.project import ResolvedProject
from cpengine.storage.keys import below
from cpengine.storage.own_files import unless_damaged
from cpengine.storage.store import Entry, Storage

_COPY_S = 120.0
"""A marker that is so much younger than what it tells of was copied: then the times of
files say nothing."""


class DatedMarker(NamedTuple):
    """A marker, and when it was written, in seconds since 1970."""

    marker: Marker
    time: float

    @property
    def made_by(self) -> str:
        """What made the results: a fingerprint, and a version of CellProfiler."""
        return f"{self.marker.fingerprint}~{self.marker.version}"


@dataclass(frozen=True)
class StepResults:
    """The results of one step; each folder is listed once, when it is first asked for.

    Parameters
    ----------
    keys
        By what the step groups.
    """

    storage: Storage
    step: str
    keys: tuple[str, ...]
    output: str
    structure: str
    ledger: str
    _entries: dict[str, Mapping[str, Entry]] = field(default_factory=dict)
    _outcomes: dict[Marker, Outcome | None] = field(default_factory=dict)

    @classmethod
    def of_step(cls, project: ResolvedProject, name: str) -> "StepResults":
        """Those of a step of a project."""
        keys, output, structure = project.results_of(name)
        output, ledger = output.rstrip("/"), project.layout.ledger(name)
        return cls(project.places.outputs, name, keys, output, structure, ledger)

    def has(self, folder: str) -> bool:
        """Whether a folder, by its key, is the output of the step or below it."""
        return f"{folder}/".startswith(f"{self.output}/")

    def owner(self, folder: str, group: Group | None) -> str:
        """The id of the job that fills a folder; empty if that cannot be told.

        Parameters
        ----------
        group
            That of the step which an image set belongs to, if its table tells.
        """
        place = folder.removeprefix(self.output).lstrip("/")
        if group is not None:
            job = Job(self.step, group, "", "", "", self.output, self.structure)
            if f"{place}/".startswith(f"{job.place}/"):
                return job.id
        first = place.partition("/")[0]
        return first if first in self.markers else ""

    @property
    def shared(self) -> bool:
        """Whether jobs of the step share folders."""
        group = tuple((key, key) for key in self.keys)
        return Job(self.step, group, "", "", "", "", self.structure).shares_place

    @cached_property
    def markers(self) -> Mapping[str, Sequence[DatedMarker]]:
        """The markers by job id."""
        found: defaultdict[str, list[DatedMarker]] = defaultdict(list)
        for name, entry in self.storage.entries(f"{self.ledger}/markers").items():
            if marker := Marker.parse(name):
                if not entry.size and marker.state is MarkerState.DONE:
                    # A power cut may have taken its files, too.
                    marker = marker._replace(state=MarkerState.REPLACED)
                found[marker.job_id].append(DatedMarker(marker, entry.time))
        return found

    @cached_property
    def done(self) -> Mapping[str, Sequence[DatedMarker]]:
        """The done markers by job id."""
        found = {job: self._in_state(job, MarkerState.DONE) for job in self.markers}
        return {job: done for job, done in found.items() if done}

    def _in_state(self, job_id: str, state: MarkerState) -> list[DatedMarker]:
        return [w for w in self.markers.get(job_id, ()) if w.marker.state is state]

    def is_unfinished(self, job_id: str) -> bool:
        """Whether a run was ended while it replaced what the job had made."""
        replaced = self._in_state(job_id, MarkerState.REPLACED)
        return bool(replaced) and job_id not in self.done

    def entries(self, folder: str) -> Mapping[str, Entry]:
        """The files of a folder, by name."""
        if folder not in self._entries:
            self._entries[folder] = self.storage.entries(folder)
        return self._entries[folder]

    def differs(self, job_id: str, folder: str, name: str) -> str:
        """Say how a file differs from what its job has left; empty if it does not.

        Sizes are compared only where a job has a folder of its own: then there are few
        markers to be opened.
        """
        entry, done = self.entries(folder).get(name), self.done.get(job_id, ())
        if entry is None or not done:
            return ""
        newest = max(done, key=lambda made: made.time)
        if entry.time > newest.time > 0 and not self._is_copy(newest):
            return f"is newer than the marker of {self.step}"
        if self.shared:
            return ""
        outcome = self._outcome(newest.marker)
        path = posixpath.join(folder, name)
        size = outcome and outcome.files.get(
            path.removeprefix(f"{outcome.job.destination}/")
        )
        if size is not None and size != entry.size:
            return f"has {entry.size} of the {size} bytes that {self.step} made"
        return ""

    def _outcome(self, marker: Marker) -> Outcome | None:
        """What a marker holds; None if it is damaged, which tells nothing of files."""
        if marker not in self._outcomes:
            key = below(f"{self.ledger}/markers", str(marker))
            found = marker_file(str(marker)).look_up(self.storage, key)
            self._outcomes[marker] = unless_damaged(found)
        return self._outcomes[marker]

    def _is_copy(self, made: DatedMarker) -> bool:
        outcome = self._outcome(made.marker)
        return outcome is None or made.time - outcome.ended > _COPY_S
