"""Which jobs are done: one small marker a job, beside the outputs, written last."""

import hashlib
import json
import posixpath
from array import array
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, replace
from functools import cache
from operator import itemgetter

from cpengine.config.steps import DoneRule, Step
from cpengine.ledger.dcp_done import counted_files
from cpengine.ledger.standing import (
    FOLDER_GONE,
    NEVER_RUN,
    JobState,
    Standing,
    Verdict,
    verdict_of,
)
from cpengine.marker import Marker, MarkerState, marker_of
from cpengine.model import Job, Outcome
from cpengine.planning.job_list import Lazy, ids
from cpengine.planning.marker_file import marker_file
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding
from cpengine.storage import keys
from cpengine.storage.own_files import unless_damaged
from cpengine.storage.parallel import each
from cpengine.storage.published import names_in, without_folder
from cpengine.storage.real_place import real_place
from cpengine.storage.store import Storage
from cpengine.system import private

_DIGITS = 15
"""Numbers of runs have no more; longer names are none of ours."""
MOST_RUN = 10 ** (_DIGITS + 1)
"""No run has this number or a higher one."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The markers and logs of one step."""

    storage: Storage
    folder: str

    def is_own(self, name: str) -> bool:
        """Whether this user has written a file of the ledger.

        In buckets files have no owner: whoever may write there is as good as another.
        """
        key = f"{self.folder}/{name}"
        local = self.storage.is_local(key)
        return not local or private.is_own(self.storage.path(key))

    @property
    def home(self) -> str:
        """The folder beside the ledgers of all batches of the project."""
        return posixpath.dirname(posixpath.dirname(self.folder))

    @property
    def name(self) -> str:
        """Batch and step: what tells the ledger from all others of the project."""
        return self.folder.removeprefix(self.home).lstrip("/")

    @property
    def folders(self) -> list[str]:
        """The folders that a run writes to."""
        own = ("drivers", "logs", "markers", "order", "runs")
        shared = (posixpath.join(self.home, name) for name in (".turns", ".claims"))
        return [*(f"{self.folder}/{name}" for name in own), *shared]

    def standings(
        self,
        jobs: Sequence[Job],
        cellprofiler: str = "",
        dcp: DoneRule | None = None,
        *,
        folders: bool = False,
    ) -> Sequence[Standing]:
        """Say where each job stands, from listings alone.

        Parameters
        ----------
        cellprofiler
            The version that would run them: results of another are stale. Of none,
            if empty.
        dcp
            How to recognise results that Distributed-CellProfiler made; jobs without
            any marker are looked at.
        folders
            Whether to look for the folders of done jobs, too: without it, results that
            somebody removed count as done.
        """
        found, empty = self._listed()
        earlier = [found.get(job_id, ()) for job_id in ids(jobs)]
        fresh = (
            verdict_of(jobs[number], names, cellprofiler, empty) if names else NEVER_RUN
            for number, names in enumerate(earlier)
        )
        known: dict[Verdict, Verdict] = {}
        verdicts = [known.setdefault(verdict, verdict) for verdict in fresh]
        if dcp is not None:
            self._recognise(dcp, jobs, earlier, verdicts)
        if folders:
            self._find_folders(jobs, earlier, verdicts)

        def standing(number: int) -> Standing:
            return Standing(jobs, number, verdicts[number], earlier[number])

        return Lazy(standing, range(len(jobs)))

    def markers(self) -> dict[str, tuple[str, ...]]:
        """Give the names of markers by job id."""
        return self._listed()[0]

    def _listed(self) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
        """Names of markers by job id, and those that say done and hold nothing."""
        sizes = self.storage.sizes(f"{self.folder}/markers")
        found: dict[str, tuple[str, ...]] = {}
        for name in sizes:
            if marker := Marker.parse(name):
                found[marker.job_id] = (*found.get(marker.job_id, ()), name)
        done = f".{MarkerState.DONE}"
        empty = (name for name, size in sizes.items() if not size)
        return found, frozenset(name for name in empty if name.endswith(done))

    def _recognise(
        self,
        dcp: DoneRule,
        jobs: Sequence[Job],
        earlier: Sequence[Collection[str]],
        verdicts: list[Verdict],
    ) -> None:
        """Call jobs done whose files DCP has made."""
        unknown = [n for n, names in enumerate(earlier) if not names]
        if unknown:  # what our own killed runs left is nobody's
            begun = self._with_turn(Lazy(jobs.__getitem__, unknown))
            unknown = [n for at, n in enumerate(unknown) if at not in begun]
        made = counted_files(dcp, self.storage, Lazy(jobs.__getitem__, unknown))
        for number in unknown if made else ():
            files = made.get(jobs[number].id)
            if files is not None:
                why = f"made by Distributed-CellProfiler ({files} files)"
                verdicts[number] = Verdict(JobState.DONE, why)

    def _with_turn(self, jobs: Sequence[Job]) -> set[int]:
        """Which jobs have had a turn to publish, by number; from listings alone."""
        keys = [(self.turn(job), self.older_turn(job)) for job in jobs]
        there: set[str] = set()
        for some in zip(*keys, strict=True):
            folders = list(dict.fromkeys(map(posixpath.dirname, some)))
            names = names_in(self.storage, "", folders, len(jobs))
            there |= {
                f"{folder}/{name}" for folder in folders for name in names(folder)
            }
        return {n for n, either in enumerate(keys) if not there.isdisjoint(either)}

    def _find_folders(
        self,
        jobs: Sequence[Job],
        earlier: Sequence[Collection[str]],
        verdicts: list[Verdict],
    ) -> None:
        """Call jobs missing that are done by their markers and have no folder."""
        pairs = enumerate(zip(verdicts, earlier, strict=True))
        done = array("L", (n for n, (v, e) in pairs if v.state is JobState.DONE and e))
        for place in without_folder(self.storage, Lazy(jobs.__getitem__, done)):
            verdicts[done[place]] = FOLDER_GONE

    def outcome(self, job: Job, cellprofiler: str) -> Outcome | None:
        """The outcome by which this job became done with that CellProfiler.

        None if it is not done, or if its marker is one that `job` knows and means to
        replace.
        """
        marker = Marker(job.id, job.fingerprint, cellprofiler, MarkerState.DONE)
        if str(marker) in job.earlier:
            return None
        found = unless_damaged(self._look_up(str(marker)))
        return replace(found, job=job) if found else None

    def outcomes(self, names: Iterable[str]) -> list[Outcome]:
        """What the markers of these names hold.

        Those gone meanwhile are left out; damaged ones, too, with a warning.
        """
        found = map(unless_damaged, each(self._look_up, names))
        return [outcome for outcome in found if outcome]

    def contents(self, names: Iterable[str]) -> dict[str, Outcome | Finding | None]:
        """What these markers hold, by job id: what is wrong with damaged ones, and None
        for those gone meanwhile.
        """
        return dict(self._by_job(names))

    def files(self, name: str) -> dict[str, int] | None:
        """The sizes in bytes of the files that a marker tells of, by their names below
        its job's folder.

        None where it is gone meanwhile, or damaged, which is told.
        """
        found = unless_damaged(self._look_up(name))
        if found is None:
            return None
        return {name: found.files[name] for name in filter(keys.is_below, found.files)}

    def _by_job(
        self, names: Iterable[str]
    ) -> Iterator[tuple[str, Outcome | Finding | None]]:
        names = list(names)
        jobs = (marker.job_id for name in names if (marker := Marker.parse(name)))
        return zip(jobs, each(self._look_up, names), strict=True)

    def _look_up(self, name: str) -> Outcome | Finding | None:
        return marker_file(name).look_up(self.storage, self._key(name))

    def log(self, job: Job) -> str:
        """The key of the log of a job's last attempt."""
        return keys.below(f"{self.folder}/logs", f"{job.id}.log")

    def _key(self, name: str) -> str:
        return keys.below(f"{self.folder}/markers", name)

    def record(self, outcome: Outcome) -> None:
        """Write an outcome's marker, and remove those that it stands for.

        Of the markers that the job knows: a job has one failed marker at the most, and
        once it is done no other one. A done marker whose folder is gone tells of
        nothing once the job fails: it is set aside, so that listings say failed.

        Raises
        ------
        StorageError
            The ledger cannot be written.
        """
        name = marker_of(outcome)
        self.storage.write(self._key(name), _text(outcome).encode(), durable=True)
        for marker in _own_markers(outcome.job):
            if marker.state is MarkerState.DONE:
                marker = marker._replace(state=MarkerState.REPLACED)
            over = outcome.done or marker.state is MarkerState.FAILED
            if over and str(marker) != name:
                self.storage.remove(self._key(str(marker)))
        done = [] if outcome.done else self.done_markers(outcome.job)
        if done and without_folder(self.storage, [outcome.job]):
            each(self.set_aside, done)

    def has(self, name: str) -> bool:
        """Whether there is a marker of that name."""
        return self.storage.read_if_there(self._key(name)) is not None

    def number_run(self) -> int:
        """The number of a run that begins now: above those of all that began before.

        Raises
        ------
        StorageError
            The ledger cannot be written.
        """
        names = filter(str.isdecimal, self.storage.sizes(f"{self.folder}/order"))
        known = (int(name) for name in names if len(name) <= _DIGITS)
        number = max(known, default=0) + 1
        while not self.storage.create(self._order(number), b""):
            number += 1
        return number

    def has_run(self, number: int) -> bool:
        """Whether a run that has begun has this number."""
        return number < MOST_RUN and (
            self.storage.read_if_there(self._order(number)) is not None
        )

    def _order(self, number: int) -> str:
        return f"{self.folder}/order/{number}"

    def remove(self, name: str) -> None:
        """Remove a marker; it may be gone already."""
        self.storage.remove(self._key(name))

    def earlier_files(self, job: Job) -> set[str]:
        """The files that earlier runs of a job published to its present place."""
        own = [m for m in _own_markers(job) if m.state is not MarkerState.FAILED]
        names = {str(marker) for marker in own}
        return {
            file
            for outcome in self.outcomes(names | set(map(aside, names)))
            if outcome.job.destination == job.destination
            for file in outcome.files
            if keys.is_below(file)
        }

    def done_markers(self, job: Job) -> list[str]:
        """The names of the done markers of earlier runs that a job knows."""
        own = _own_markers(job)
        return [str(marker) for marker in own if marker.state is MarkerState.DONE]

    def set_aside(self, name: str) -> bool:
        """Take back that a job is done, by its marker's name; its files stay known.

        A power cut brings no marker back: new files never lie under an old one.

        Returns
        -------
        bool
            Whether there was one.
        """
        marker = Marker.parse(name)
        if not marker or marker.state is not MarkerState.DONE:
            return False
        key = self._key(name)
        if data := self.storage.read_if_there(key):
            self.storage.write(self._key(aside(name)), data, durable=True)
        self.storage.remove(key, durable=True)
        return bool(data)

    def bring_back(self, name: str) -> None:
        """Give a marker back that was set aside, where no file has been replaced."""
        if data := self.storage.read_if_there(self._key(aside(name))):
            self.storage.write(self._key(name), data, durable=True)
            self.remove(aside(name))

    def turn(self, job: Job) -> str:
        """The key that says who publishes to a job's place, or its part of that.

        Beside the ledgers of all batches, by the real place: it may be another step's
        or another batch's, too.
        """
        above, name = posixpath.split(real_place(self.storage, job.destination))
        own = f"{self.name} {job.id}" if job.shares_place else ""
        return posixpath.join(self.home, ".turns", digest(above), digest(name, own))

    def older_turn(self, job: Job) -> str:
        """Where versions before kept that: beside the ledgers of one batch."""
        own = job.id if job.shares_place else ""
        own = f"{job.step} {own}" if job.shared else own
        name = digest(job.place, own)
        return f"{self.older_folder('.turns', job)}/{name}"

    def older_folder(self, what: str, job: Job) -> str:
        """A folder that versions before had for an output, in that of the batch."""
        output = keys.folder_name(posixpath.normpath(job.output))
        return posixpath.join(posixpath.dirname(self.folder), what, output)

    def has_older_records(self) -> bool:
        """Whether versions before have kept turns or claims of the batch or step."""
        batch = posixpath.dirname(self.folder)
        beside = (posixpath.join(batch, name) for name in (".turns", ".claims"))
        return any(map(self.storage.exists, (*beside, f"{self.folder}/claims")))

    def damaged(self, jobs: Iterable[Job]) -> list[tuple[Job, str]]:
        """Done jobs whose published files are not there as recorded, and what is not.

        Opens every done marker and lists the outputs, so it costs more than
        `standings`.
        """
        known = {job.id: job for job in jobs}
        names = [
            name
            for job_id, names in self.markers().items()
            for name in names
            if job_id in known and name.endswith(f".{MarkerState.DONE}")
        ]
        tree = cache(self.storage.tree)
        found = sorted(self._by_job(names), key=itemgetter(0))
        damage = {job: _wrong(outcome, tree) for job, outcome in found if outcome}
        return [(known[job_id], wrong) for job_id, wrong in damage.items() if wrong]


def _own_markers(job: Job) -> Iterator[Marker]:
    """The markers of earlier runs that a job knows: its own, for it may be anybody's
    message, and name those of others.
    """
    markers = filter(None, map(Marker.parse, job.earlier))
    return (marker for marker in markers if marker.job_id == job.id)


def aside(name: str) -> str:
    """What a marker is called once it is set aside."""
    marker = Marker.parse(name)
    if marker and marker.state is MarkerState.DONE:
        return str(marker._replace(state=MarkerState.REPLACED))
    return name


def digest(*parts: str) -> str:
    """What stands for texts in the name of a file."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _text(outcome: Outcome) -> str:
    """An outcome as JSON with a line a field; Python is slow to indent all of it."""
    fields = outcome.to_json().items()
    lines = (f' "{name}": {json.dumps(value)}' for name, value in fields)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _wrong(outcome: Outcome | Finding, tree: Callable[[str], dict[str, int]]) -> str:
    """What is not as a marker says, or wrong with the marker itself."""
    if isinstance(outcome, Finding):
        return f"its marker {outcome.place} {outcome.cause}"
    there = tree(outcome.job.output)
    for name, size in outcome.files.items():
        found = there.get(f"{outcome.job.place}/{name}")
        if found is None:
            return f"{outcome.job.destination}/{name} is gone"
        if found != size:
            return f"{outcome.job.destination}/{name} has {found} of {size} bytes"
    return ""


def step_ledger(project: ResolvedProject, step: Step) -> Ledger:
    """The ledger of a step of a project."""
    return Ledger(project.places.outputs, step.ledger)
