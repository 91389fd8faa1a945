"""What jobs read of the results of earlier steps, such as illumination functions.

Results of a step are told by its done markers. Where a file has none, its size stands
for it. Whether a file is still the one that its marker tells of is seen from the times
and sizes in listings, and where those leave a doubt, from what it holds.
"""

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from cpengine import rules
from cpengine.config.steps import Step
from cpengine.group_names import Group
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_images import ImageColumns, ImageFile, image_files, in_base
from cpengine.planning.earlier_tables import EarlierTables
from cpengine.planning.fingerprint import NOTHING, PipelineParts, reads
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_pipeline import pipeline_parts
from cpengine.planning.step_results import Comparison, StepResults
from cpengine.rules import Finding, Rule
from cpengine.storage.entry import Entry
from cpengine.storage.roots import Places
from cpengine.wording import counted

_DIGITS = 8
_WORDS = {
    rules.INPUT_UNFINISHED: (
        "may be of another run than the files beside it: {step} was ended while it "
        "replaced them",
        "run {step} first",
    ),
    rules.INPUT_FAILED: (
        "may be of a run that nobody knows of: the job of {step} that makes it failed",
        "run {step} first",
    ),
    rules.INPUT_STALE: (
        "is stale: {step}'s {what} changed since it made it",
        "run both: cpengine run {step} {own}",
    ),
    rules.INPUT_UNMARKED: (
        "is named by no marker of {step}, which fills its folder",
        "use --force when such files change but not their size",
    ),
}
"""What is wrong with a file of an earlier step, and what to do."""


class StepInputs(NamedTuple):
    """What a job reads of earlier steps, in short."""

    part: str = NOTHING
    """The part of its fingerprint: changes when a step makes its results anew."""
    digest: str = ""
    """Changes with the size and the time of each file; empty if there are none."""
    contents: str = ""
    """Changes with what they hold; empty if that is not known of all."""


NO_INPUTS = StepInputs()
Before = Mapping[str, Mapping[str, str]]
"""Jobs that will have run by then, by step: the fingerprint of each, by its id."""
NONE_BEFORE: Before = MappingProxyType({})


class File(NamedTuple):
    """A file of an earlier step."""

    folder: str
    """The key of its folder."""
    name: str

    @property
    def key(self) -> str:
        """Its own key."""
        return posixpath.join(self.folder, self.name)


def files_of(images: Iterable[ImageFile], places: Places, own: str) -> Iterator[File]:
    """Those images that are files of another step than the one with this output."""
    for image in images:
        folder = places.made_key(image.folder, own) if image.name else ""
        if folder:
            yield File(folder, image.name)


def digest_of(files: Iterable[tuple[File, Entry | None]]) -> str:
    """Text that changes with the size and time of a file; empty for no files.

    Of local files, also with the time when they were put there, whatever theirs is.
    """
    seen = [(*file, entry and _stamp(entry)) for file, entry in files]
    return _short(*map(repr, sorted(seen))) if seen else ""


def _stamp(entry: Entry) -> tuple[object, ...]:
    placed = (f"{entry.placed:.6f}",) if entry.placed else ()
    return (entry.size, f"{entry.time:.3f}", *placed)


def contents_of(files: Iterable[tuple[File, str]]) -> str:
    """Text that changes with what files hold; empty if of one that is not known.

    Parameters
    ----------
    files
        Files, and the digest of each.
    """
    known = sorted(files)
    return _short(*map(repr, known)) if all(digest for _, digest in known) else ""


@dataclass(frozen=True)
class StepInputReader:
    """Looks up what the groups of a step's tables read of earlier steps.

    Folders and ledgers are listed once each, and only where a table names them.
    """

    project: ResolvedProject
    step: Step
    cellprofiler: str
    before: Before
    tables: EarlierTables
    results: list[StepResults] = field(init=False)
    replaced: dict[str, dict[str, dict[File, str]]] = field(default_factory=dict)
    """Files that are not as their step left them, and why: by the part of fingerprints
    that tells of them, and by the step."""
    doubtful: dict[tuple["_Doubt", str], set[File]] = field(default_factory=dict)
    """Other files that may not be what they should, by why and the step."""
    _pipelines: dict[str, PipelineParts | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = (name for name in self.project.step_names if name != self.step.name)
        made = [StepResults.of_step(self.project, name) for name in others]
        own = self.project.places.key(self.step.output)
        made = [r for r in made if r.output not in ("", own)]
        # Of outputs within one another, the inner one is the nearer.
        made.sort(key=lambda r: -len(r.output))
        object.__setattr__(self, "results", made)

    def reader(
        self, table: Table, folder: str
    ) -> Callable[[Sequence[int]], StepInputs]:
        """Give what tells the inputs of some rows of a table in a plate's folder."""
        columns = self._columns(table)
        if not columns:
            return lambda rows: NO_INPUTS
        indices = [table.index[name] for name in columns]
        values = itemgetter(indices[0], *indices)  # of a single one it gives no tuple
        known: dict[frozenset[object], StepInputs] = {}

        def read(rows: Sequence[int]) -> StepInputs:
            key = frozenset(values(table.rows[row]) for row in rows)
            if key not in known:
                known[key] = self._of_rows(table, rows, folder)
            return known[key]

        return read

    def findings(self, jobs: Iterable[tuple[str, StepInputs]]) -> Iterator[Finding]:
        """What a user should know of the inputs that were looked up.

        Parameters
        ----------
        jobs
            The ids of the jobs, and what each reads.
        """
        outputs = self.project.places.outputs
        for files in self._not_yet_used(jobs).values():
            first = min(files)
            yield rules.INPUT_REPLACED.found(
                outputs.url(first.key),
                f"{files[first]}{_others(len(files) - 1)}: results from before that "
                "are stale",
                "run them again, or the earlier step with --force",
            )
        for (doubt, step), doubtful in self.doubtful.items():
            cause, cure = _WORDS[doubt.rule]
            yield doubt.rule.found(
                outputs.url(min(doubtful).key),
                cause.format(step=step, what=doubt.what) + _others(len(doubtful) - 1),
                cure.format(step=step, own=self.step.name),
            )

    def _not_yet_used(
        self, jobs: Iterable[tuple[str, StepInputs]]
    ) -> dict[str, dict[File, str]]:
        """By step, the replaced files with which a job has still to run, and why."""
        found: dict[str, dict[File, str]] = {}
        if not self.replaced:
            return found
        done = StepResults.of_step(self.project, self.step.name).done
        for job, inputs in jobs:
            of_steps = self.replaced.get(inputs.part, {})
            made_of = [d.marker.fingerprint for d in done.get(job, ())]
            if of_steps and not any(reads(f, inputs.part) for f in made_of):
                for step, files in of_steps.items():
                    found.setdefault(step, {}).update(files)
        return found

    def _columns(self, table: Table) -> list[str]:
        """The columns on which it depends what rows read of earlier steps."""
        found: dict[str, None] = {}
        for image in table.image_columns:
            if results := self._of_column(table, image):
                named = (image.url, image.path, image.file)
                found |= dict.fromkeys(filter(None, named))
                if results.structure:
                    found |= dict.fromkeys((*results.keys, *(table.well_parts or ())))
        return [name for name in found if name in table.index]

    def _of_column(self, table: Table, image: ImageColumns) -> StepResults | None:
        """The step whose results a column of images names, if it names any."""
        column = image.url or image.path
        places = set(table.column(column)) if column else {""}
        if image.url:
            places = set(map(posixpath.dirname, places))
        key_of, own = self.project.places.made_key, self.step.output
        keys = (key_of(in_base(table.base, place), own) for place in places)
        return next(filter(None, map(self._step_of, keys)), None)

    def _step_of(self, folder: str) -> StepResults | None:
        return next((r for r in self.results if folder and r.has(folder)), None)

    def _of_rows(self, table: Table, rows: Sequence[int], folder: str) -> StepInputs:
        reads = {
            (read.results.step, read.file): read
            for row in rows
            for read in self._reads(table, row, folder)
        }
        if not reads:
            return NO_INPUTS
        seen = [(read, self._compare(read)) for read in reads.values()]
        made = sorted(repr(self._made_by(*pair)) for pair in seen)
        part = _short(*dict.fromkeys(made))
        for read, compared in seen:
            if compared.why:
                of_step = self.replaced.setdefault(part, {})
                of_step.setdefault(read.results.step, {})[read.file] = compared.why
        return StepInputs(
            part,
            digest_of((read.file, read.entry) for read, _ in seen),
            contents_of((read.file, compared.digest) for read, compared in seen),
        )

    def _compare(self, read: "_StepFile") -> Comparison:
        """Hold a file against its marker, unless it is made anew before it is read."""
        if self._will_make(read):
            return Comparison()
        return read.results.compare(read.owner, *read.file)

    def _will_make(self, read: "_StepFile") -> str:
        """The fingerprint of a job that runs before and makes a file anew, if any."""
        return self.before.get(read.results.step, {}).get(read.owner, "")

    def _reads(self, table: Table, row: int, folder: str) -> Iterator["_StepFile"]:
        """The files of earlier steps that a row names."""
        places, own = self.project.places, self.step.output
        for file in files_of(image_files(table, row), places, own):
            if (results := self._step_of(file.folder)) is not None:
                owner = results.owner(file.folder, _group(table, row, results.keys))
                yield _StepFile(results, file, owner, folder)

    def _made_by(self, read: "_StepFile", compared: Comparison) -> object:
        """What stands for a file: how its step's job was done, or else its size.

        Of one that other hands have replaced, also what it holds.
        """
        done, entry = read.results.done.get(read.owner), read.entry
        if will_make := self._will_make(read):
            version = self.cellprofiler or (done[-1].marker.version if done else "")
            return read.results.step, read.owner, [f"{will_make}~{version}"]
        if entry and (doubt := self._doubt(read, compared)):
            self.doubtful.setdefault((doubt, read.results.step), set()).add(read.file)
        if not done or not compared.is_named:
            return read.file, entry and entry.size
        made = read.results.step, read.owner, sorted(d.made_by for d in done)
        if not compared.why or entry is None:
            return made
        if compared.digest:
            return made, read.file, compared.digest
        return made, read.file, entry.size, round(entry.time, 3)

    def _doubt(self, read: "_StepFile", compared: Comparison) -> "_Doubt | None":
        """Why a file may not be what its step would leave."""
        results, job = read.results, read.owner
        if not compared.is_named:
            return _Doubt(rules.INPUT_UNMARKED)
        if job in results.done:
            what = self._changed(read)
            return _Doubt(rules.INPUT_STALE, what) if what else None
        if job in results.markers:
            unfinished = results.is_unfinished(job)
            return _Doubt(rules.INPUT_UNFINISHED if unfinished else rules.INPUT_FAILED)
        # Where others have markers, the step is run here.
        return _Doubt(rules.INPUT_UNMARKED) if results.done else None

    def _changed(self, read: "_StepFile") -> str:
        """What of its step's input changed since a file was made, if anything did."""
        step, job = read.results.step, read.owner
        if step not in self._pipelines:
            self._pipelines[step] = pipeline_parts(self.project, step)
        now, done = self._pipelines[step], read.results.done[job]
        if now is None:
            return ""
        if not any(now.made(d.marker.fingerprint) for d in done):
            return "pipeline"
        changed = self.tables.have_changed(read.results, job, read.table, now.keys)
        return "image sets" if changed else ""


class _Doubt(NamedTuple):
    """Why a file may not be what it should."""

    rule: Rule
    what: str = ""
    """What has changed since it was made."""


class _StepFile(NamedTuple):
    """A file of an earlier step that a job reads."""

    results: StepResults
    file: File
    owner: str
    """The id of the step's job that made it, as far as that is known."""
    table: str
    """The folder of the table that names it."""

    @property
    def entry(self) -> Entry | None:
        """What the listing says of it."""
        return self.results.entries(self.file.folder).get(self.file.name)


def _group(table: Table, row: int, keys: Sequence[str]) -> Group | None:
    """The group of a row by the columns of another step, if the table has them."""
    if not keys or not set(keys) <= set(table.names):
        return None
    return tuple((key, table.values(key)[row]) for key in keys)


def _others(others: int) -> str:
    return f" (and {counted(others, 'file')} more)" if others else ""


def _short(*texts: str) -> str:
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:_DIGITS]
