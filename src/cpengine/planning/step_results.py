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
from cpengine.storage.contents import Contents
from cpengine.storage.entry import Entry
from cpengine.storage.keys import below
from cpengine.storage.own_files import unless_damaged
from cpengine.storage.store import Storage

_COPY_S = 120.0
"""A marker that is so much younger than what it tells of was copied."""
_SHARED_S = 300.0
"""A file that is so much older than its job's marker may be an earlier version."""
_CLOCKS_S = 1.0
"""So far the clocks of a file system and a machine may differ."""


class DatedMarker(NamedTuple):
    """A marker, and when it was written, in seconds since 1970."""

    marker: Marker
    time: float

    @property
    def made_by(self) -> str:
        """What made the results: a fingerprint, and a version of CellProfiler."""
        return f"{self.marker.fingerprint}~{self.marker.version}"


class Comparison(NamedTuple):
    """What is known of a file when it is held against its job's marker."""

    why: str = ""
    """How it differs from what the job has left; empty if it does not, as it seems."""
    digest: str = ""
    """What it holds, if that is known."""
    is_named: bool = True
    """Whether it may be a file that the job has made."""


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
    contents: Contents
    _entries: dict[str, Mapping[str, Entry]] = field(default_factory=dict)
    _outcomes: dict[Marker, Outcome | None] = field(default_factory=dict)

    @classmethod
    def of_step(cls, project: ResolvedProject, name: str) -> "StepResults":
        """Those of a step of a project."""
        keys, output, structure = project.results_of(name)
        output, ledger = project.places.key(output), project.layout.ledger(name)
        storage = project.places.outputs
        contents = Contents(storage, lambda: project.cache)
        return cls(storage, name, keys, output, structure, ledger, contents)

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

    def compare(self, job_id: str, folder: str, name: str) -> Comparison:
        """Hold a file against what its job has left.

        One whose time is not that of its job's run is read, once. Where jobs share
        folders there are many markers: those are opened of such files alone, and
        nothing is read of a copy.
        """
        entry, done = self.entries(folder).get(name), self.done.get(job_id, ())
        if entry is None or not done:
            return Comparison()
        newest = max(done, key=lambda made: made.time)
        if self.shared and not self._is_doubtful(entry, newest):
            return Comparison()
        outcome = self._outcome(newest.marker)
        if outcome is None or (self.shared and _is_copy(newest.time, outcome)):
            return Comparison()
        path = posixpath.join(folder, name)
        published = path.removeprefix(f"{self.output}/")
        published = published.removeprefix(f"{outcome.job.place}/")
        if outcome.files and published not in outcome.files:
            return Comparison(is_named=False)
        made = _PublishedFile(newest.time, outcome, published)
        return self._compare(path, entry, made)

    def _is_doubtful(self, entry: Entry, made: DatedMarker) -> bool:
        """Whether a file's time is so far from its marker's that this is opened."""
        if entry.time > made.time:
            return True
        return made.time - entry.time > _SHARED_S and not self._is_copied

    @cached_property
    def _is_copied(self) -> bool:
        """Whether the ledger was copied, by its oldest marker."""
        done = (made for markers in self.done.values() for made in markers)
        oldest = min(done, key=lambda made: made.time)
        outcome = self._outcome(oldest.marker)
        return outcome is None or _is_copy(oldest.time, outcome)

    def _compare(self, path: str, entry: Entry, made: "_PublishedFile") -> Comparison:
        digest = made.outcome.digests.get(made.name, "")
        if digest and made.is_of_its_run(entry):
            return Comparison(digest=digest)
        found = digest and self.contents.digest(path, entry)
        if found and found == digest:
            return Comparison(digest=digest)
        why = made.differs(entry, self.step)
        if found and not why:
            why = f"holds something else than {self.step} made"
        return Comparison(why, found)

    def _outcome(self, marker: Marker) -> Outcome | None:
        """What a marker holds; None if it is damaged, which tells nothing of files."""
        if marker not in self._outcomes:
            key = below(f"{self.ledger}/markers", str(marker))
            found = marker_file(str(marker)).look_up(self.storage, key)
            self._outcomes[marker] = unless_damaged(found)
        return self._outcomes[marker]


class _PublishedFile(NamedTuple):
    """A file as a job has made it."""

    time: float
    """When the job's marker was written."""
    outcome: Outcome
    name: str
    """Below the job's folder."""

    @property
    def _size(self) -> int | None:
        return self.outcome.files.get(self.name)

    def is_of_its_run(self, entry: Entry) -> bool:
        """Whether a file was written while its job ran and never touched since."""
        begun = self.outcome.started_at - _CLOCKS_S
        in_time = begun <= entry.time and max(entry.time, entry.placed) <= self.time
        copied = _is_copy(self.time, self.outcome)
        return entry.size == self._size and in_time and not copied

    def differs(self, entry: Entry, step: str) -> str:
        """Say how a file differs by its size and time; empty if it does not."""
        if entry.time > self.time > 0 and not _is_copy(self.time, self.outcome):
            return f"is newer than the marker of {step}"
        if self._size not in (None, entry.size):
            return f"has {entry.size} of the {self._size} bytes that {step} made"
        return ""


def _is_copy(time: float, outcome: Outcome) -> bool:
    """Whether a marker was copied, with all else: then times of files say nothing."""
    return time - outcome.ended > _COPY_S
