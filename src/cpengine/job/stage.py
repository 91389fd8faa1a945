"""Bring to this machine what one job needs; what is local stays where it is."""

import os
import posixpath
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import TypeVar

from cpengine.errors import InputError
from cpengine.inputs import (
    batchfile,
    file_list,
    loaddata,
    pipeline,
    plugins,
    table_formats,
)
from cpengine.inputs.loaddata import Table
from cpengine.inputs.missing_images import cure_of_damage
from cpengine.inputs.named_files import named_files, read_named_files
from cpengine.inputs.parsed_files import PARSED
from cpengine.inputs.pipeline import Pipeline
from cpengine.inputs.table_images import (
    IMAGE_PREFIXES,
    ImageFile,
    image_files,
    with_urls,
)
from cpengine.job.private_tree import private_tree
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.planning import fingerprint, step_inputs
from cpengine.planning.grouped_table import GroupedTable
from cpengine.planning.step_inputs import File
from cpengine.storage import contents, keys
from cpengine.storage.cache import Cache
from cpengine.storage.filesystems import is_local
from cpengine.storage.parallel import each
from cpengine.storage.roots import Places

_SHOWN = 80
P = TypeVar("P", Path, str)

_reading = Lock()
"""Jobs that begin at the same time have their files read once."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What CellProfiler gets for one job: local paths only."""

    pipeline: Path
    data_file: Path
    """As it is in the workspace: it may name images that are not on this machine."""
    input: Path
    """The rules folder; an empty one if the step has none."""
    plugins: Path | None
    fetched: int
    """Bytes that were copied to this machine."""
    table: Table
    """The data file's rows."""
    images: Mapping[int, list[str]]
    """The local path of each image of the group, by row; none at all if CellProfiler
    itself opens what the data file says."""
    files: Sequence[Path | str] = ()
    """What CellProfiler will open, folders of such things included."""
    rows: Sequence[int] = ()
    """The group's rows of the table."""
    listed: bool = False
    """Whether the data file is a list of files, and the table all that it lists."""

    @property
    def image_sets(self) -> int:
        """How many the group has; 0 if CellProfiler alone knows."""
        return 0 if self.listed else len(self.rows)

    @property
    def origins(self) -> dict[str, str]:
        """The folders of listed files that have other names here: those in the list."""
        if not self.listed:
            return {}
        return {
            os.path.dirname(place): next(image_files(self.table, row)).folder
            for row, (place,) in self.images.items()
        }

    @property
    def columns(self) -> dict[str, list[str]]:
        """What LoadData should read, for the group's rows in order, to open them."""
        rows = sorted(self.images)
        part = replace(self.table, rows=tuple(self.table.rows[row] for row in rows))
        paths = {number: self.images[row] for number, row in enumerate(rows)}
        named = with_urls(part, paths) if rows else part
        return {
            name: list(named.column(name))
            for name in named.header
            if rows and name.startswith(IMAGE_PREFIXES)
        }

    def first(self, count: int, folder: Path) -> "Staged":
        """The group's first image sets alone, in a CSV that a new folder gets."""
        folder.mkdir()
        rows = self.rows[:count]
        table = replace(self.table, rows=tuple(self.table.rows[row] for row in rows))
        data_file = folder / self.data_file.name
        data_file.write_text(table.to_csv(), "utf-8")
        images = {n: self.images[row] for n, row in enumerate(rows) if self.images}
        numbers = range(len(rows))
        return replace(
            self, data_file=data_file, table=table, images=images, rows=numbers
        )

    def localised(self, folder: Path) -> Path:
        """The data file, or a copy in a folder that names local files."""
        if not self.images:
            return self.data_file
        copy = folder / f"local_{self.data_file.name}"
        if self.listed:
            copy.write_text(file_list.to_text(self.images), "utf-8")
        elif self.data_file.suffix == ".h5":
            batchfile.write_with_urls(self.data_file, copy, self.table, self.images)
        else:
            named = with_urls(self.table, self.images)
            copy.write_text(named.to_csv(), "utf-8")
        return copy

    def header(self, folder: Path) -> Path:
        """A CSV of a batch file's image sets.

        LoadData asks it for the names of columns, also where it loads from the batch
        file; the CSV that the pipeline names may be on another machine.
        """
        path = folder / "load_data.csv"
        path.write_text(self.table.to_csv(), "utf-8")
        return path


@dataclass
class Stager:
    """Stages one job, several files at a time.

    Parameters
    ----------
    folder
        The attempt's own folder, which gets what is not local.
    """

    job: Job
    places: Places
    cache: Cache
    folder: Path
    cancelled: Flag = field(default_factory=Flag)
    _fetched: int = 0
    _sheet: GroupedTable | None = None
    _pipe: Pipeline | None = None
    _named_files: dict[str, bytes] = field(default_factory=dict)
    _step_inputs: str = ""
    """What stands for the results of earlier steps as they were when it was staged."""
    _opened: list[Path | str] = field(default_factory=list)
    _counting: Lock = field(default_factory=Lock)

    def stage(self) -> Staged:
        """Bring the job's files to this machine.

        Raises
        ------
        InputError
            A file is missing or empty, or is no longer what the job was planned with.
        StorageError
            A file cannot be fetched whole.
        AttemptError
            It was cancelled.
        """
        job = self.job
        shared = [job.pipeline, job.data_file]
        at_once = self.places.workspace.at_once(job.data_file)
        pipe, data = each(self._shared_file, shared, at_once)
        input_folder = self.places.workspace.url(job.input)
        url = self.places.workspace.url
        files = (
            _LocalFile.of(pipe, url(job.pipeline)),
            _LocalFile.of(data, url(job.data_file)),
        )
        read = _read(*files, job, input_folder)
        # Where images are in the input folder, too, they are fetched one by one.
        has_images = f"{read.sheet.table.base}/".startswith(f"{input_folder}/")
        wanted = read.pipe.file_names if has_images else None
        rules = self._tree(job.input, "rules", read.rule_files, wanted)
        code = self._plugins() if job.plugins else None
        self._pipe, self._named_files = read.pipe, read_named_files(read.pipe)
        self._check_unchanged(read, rules, code)
        images = self._images(read.sheet)
        self._sheet = read.sheet
        self.check_step_inputs()
        data = _as_csv(data, url(job.data_file))
        return Staged(
            pipeline=pipe,
            data_file=data,
            input=rules or self._empty(),
            plugins=code,
            fetched=self._fetched,
            table=read.sheet.table,
            images=images,
            files=[pipe, data, *filter(None, (rules, code)), *self._opened],
            rows=read.sheet.groups[job.group],
            listed=read.sheet.listed,
        )

    def _shared_file(self, key: str) -> Path:
        """A copy of a file of the workspace, which other jobs need, too.

        Never the user's own file: that may be edited before CellProfiler opens it.
        """
        workspace, to = self.places.workspace, self.folder / "shared"
        url = workspace.url(key)
        if not workspace.is_local(key):
            return _there(self._bring(url, to, shared=True), url)
        to.mkdir(parents=True, exist_ok=True)
        copy = to / posixpath.basename(key)
        self.cache.copy(_there(workspace.path(key)), copy)
        return copy

    def _plugins(self) -> Path:
        """The plugins, each source a copy: a job runs what it was planned with."""
        workspace, key = self.places.workspace, self.job.plugins or ""
        local = workspace.is_local(key) and workspace.path(key).is_dir()
        names = plugins.Code.below(workspace.path(key)).names if local else ()
        code = self._tree(key, "plugins", names)
        if code is None:
            raise InputError(f"{key}: is not there: put the plugins there")
        return code

    def _tree(
        self,
        key: str,
        name: str,
        private: Collection[str],
        wanted: Set[str] | None = None,
    ) -> Path | None:
        """A folder of the workspace with all that is below it, if it is there.

        Parameters
        ----------
        private
            What the job is held to: the files to copy where the folder is local.
        wanted
            Names of the files and folders to take; all if None.
        """
        workspace = self.places.workspace
        if workspace.is_local(key):
            folder = workspace.path(key)
            there = [file for file in private if os.path.isfile(folder / file)]
            if not there or not all(map(keys.is_below, there)):
                # From beside the folder nothing is copied: it would not stay in ours.
                return folder if os.path.isdir(folder) else None
            to = self.folder / name
            return private_tree(folder, to, there, self.cache, wanted)
        files = [
            file
            for file in workspace.tree(key)
            if wanted is None or not wanted.isdisjoint(file.split("/"))
        ]

        def bring(file: str) -> Path:
            parent = (self.folder / name / file).parent
            url = keys.below(workspace.url(key), file)
            return self._bring(url, parent, shared=True)

        each(bring, files)
        return self.folder / name if files else None

    def _empty(self) -> Path:
        """An empty folder."""
        folder = self.folder / "empty"
        folder.mkdir(parents=True)
        return folder

    def _bring(self, url: str, to: Path, *, shared: bool) -> Path:
        """Fetch one file into a folder, through the cache if other jobs need it."""
        if self.cancelled.is_set():
            raise AttemptError(FailureKind.CANCELLED, "cancelled")
        to.mkdir(parents=True, exist_ok=True)
        path = Path(keys.below(str(to), os.path.basename(url)))
        storage = self.places.images  # any of them opens an address
        if shared:
            size = self.cache.fetch(storage, url, path)
        else:
            size = storage.fetch(url, path)
        with self._counting:
            self._fetched += size
        return path

    def _check_unchanged(
        self, read: "_Read", rules: Path | None, code: Path | None
    ) -> None:
        """Refuse input that is not what the job's fingerprint was made of."""
        job = self.job
        if job.group not in read.sheet.groups:
            raise InputError(
                f"{read.sheet.table.path}: has no image set of {job.metadata}: "
                "plan again"
            )
        if fingerprint.is_of_another_version(job.fingerprint):
            raise InputError(
                f"{job.id}: was planned by another version of cpengine (fingerprint "
                f"{job.fingerprint}): install the same version here and there"
            )
        used = read.rules(rules)
        if code:
            used |= _code(read.pipe, plugins.Code.below(code))
        parts = self._changed(read, used | self._named_files)
        # Where it was planned, files that are named by their paths need not be.
        if not parts or not self._changed(read, used):
            return
        absent = named_files(read.pipe) - self._named_files.keys()
        if absent and parts == [fingerprint.CODE]:
            raise InputError(
                f"{min(absent)}: is not on this machine: put it there, or into the "
                "step's input folder"
            )
        raise self._has_changed(" and ".join(parts))

    def _changed(self, read: "_Read", code: Mapping[str, bytes]) -> list[str]:
        """The parts of the fingerprint that differ; none if another program made it."""
        job, image_sets = self.job, read.sheet.fingerprint(self.job.group)
        shared = fingerprint.of_all(job, read.pipe, read.text, code)
        inputs = fingerprint.step_inputs_of(job.fingerprint)
        now = shared.of_job(image_sets, inputs), shared.of_job_v1(image_sets)
        if fingerprint.of_one_format(job.fingerprint, now) is None:
            return []
        return fingerprint.changed(job.fingerprint, *now)

    def _has_changed(self, what: str) -> InputError:
        return InputError(
            f"{self.job.id}: {what} changed while the step ran: run again"
        )

    def check_opened_in_place(self) -> None:
        """Refuse what CellProfiler has opened where it is, if it changed meanwhile.

        Raises
        ------
        InputError
            It did.
        """
        if self._pipe and read_named_files(self._pipe) != self._named_files:
            raise self._has_changed(fingerprint.CODE)
        if self.places.outputs.is_local():
            self.check_step_inputs()

    def check_step_inputs(self) -> None:
        """Refuse results of earlier steps that are not those which were planned with.

        First they may have been put there anew, if they hold the same; while the job
        runs they may not, as others may have been there meanwhile.

        Raises
        ------
        InputError
            One is gone, or another one.
        """
        if not self.job.inputs or self._sheet is None:
            return
        rows, own = self._sheet.files(self.job.group).values(), self.job.output
        files = {f for row in rows for f in step_inputs.files_of(row, self.places, own)}
        outputs, named = self.places.outputs, sorted(files)
        keys = [file.key for file in named]
        entries = each(outputs.entry, keys, outputs.at_once())
        seen = step_inputs.digest_of(zip(named, entries, strict=True))
        known = self._step_inputs or self.job.inputs
        if seen != known and (self._step_inputs or not self._hold_the_same(named)):
            raise self._has_changed(fingerprint.PARTS[-1])
        self._step_inputs = seen

    def _hold_the_same(self, files: Sequence[File]) -> bool:
        """Whether local files hold what they did when the job was planned."""
        outputs, planned = self.places.outputs, self.job.input_contents
        if not planned or not all(outputs.is_local(file.key) for file in files):
            return False
        paths = (outputs.path(file.key) for file in files)
        digests = map(contents.digest_of, paths)
        return step_inputs.contents_of(zip(files, digests, strict=True)) == planned

    def _images(self, sheet: GroupedTable) -> dict[int, list[str]]:
        """The local path of each image of the group, by row.

        None at all if CellProfiler itself opens what the data file says.
        """
        rows = sheet.files(self.job.group)
        files = list(dict.fromkeys(file for row in rows.values() for file in row))
        folders = dict.fromkeys(file.folder for file in files if file.name)
        places = {folder: self.places.locate(folder) for folder in folders}
        names = {
            folder: _named_alike(folder) if sheet.listed else str(number)
            for number, folder in enumerate(places)
        }

        first = {file: n for n in reversed(rows) for file in rows[n]}

        def bring(file: ImageFile) -> str:
            if not file.name:
                return ""
            url = f"{places[file.folder]}/{file.name}"
            where = sheet.table.where(first[file], file.column)
            again = f"{cure_of_damage(file.column, url)} ({where})"
            to = self.folder / "images" / names[file.folder]
            shared, local = sheet.is_shared(file), is_local(url)
            try:
                path = url if local else str(self._bring(url, to, shared=shared))
                return _there(
                    path, url, again, f"put it there, or drop its row ({where})"
                )
            except InputError:
                if not sheet.listed:
                    raise
                # CellProfiler alone knows which groups need it: theirs fail there.
                return url if local else str(to / file.name)

        images = self.places.images
        at_once = max(map(images.at_once, places.values()), default=1)
        brought = dict(zip(files, each(bring, files, at_once), strict=True))
        self._opened = [path for path in brought.values() if os.path.exists(path)]
        if all(map(self.places.is_opened_as_named, places)):
            return {}
        return {n: [brought[file] for file in row] for n, row in rows.items()}


def _as_csv(table: Path, shown: str) -> Path:
    """What CellProfiler can read of a table: of one that is none, a CSV beside it."""
    name = table_formats.csv_name(table.name)
    if name == table.name:
        return table
    copy = table.with_name(name)
    copy.write_bytes(table_formats.to_csv(table.read_bytes(), shown))
    return copy


def _named_alike(folder: str) -> str:
    """A folder below another one, with its own names: metadata may be taken of them."""
    scheme, _, names = folder.replace("\\", "/").rpartition("://")
    return (scheme or "file") + posixpath.normpath(f"/{names}")


def _there(
    path: P,
    url: str = "",
    again: str = "put it there again",
    absent: str = "put it there",
) -> P:
    """A path, if there is a file that holds something; else what to do."""
    try:
        size = os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{url or path}: is not there: {absent}") from None
    except (OSError, ValueError) as error:  # a name that no file can have
        shown = f"{url or path}"[:_SHOWN]
        raise InputError(f"{shown}: {error.args[-1]}: correct its name") from None
    if not size:
        raise InputError(f"{url or path}: is empty (0 bytes): {again}")
    return path


@dataclass(frozen=True)
class _Read:
    """A job's pipeline and image sets."""

    text: str
    """The pipeline's."""
    pipe: Pipeline
    sheet: GroupedTable

    @cached_property
    def rule_files(self) -> tuple[str, ...]:
        """The rules files that the pipeline reads."""
        return tuple({file for _, file in self.pipe.rule_files()})

    def rules(self, folder: Path | None) -> dict[str, bytes]:
        """What they hold; one that is missing is empty."""
        found = {}
        for name in self.rule_files:
            path = folder / name if folder else None
            there = path is not None and os.path.isfile(path)
            found[f"rules/{name}"] = path.read_bytes() if path and there else b""
        return found


@dataclass(frozen=True, slots=True)
class _LocalFile:
    """A local file, the same as long as nobody replaces it; links are the same."""

    stamp: tuple[int, ...]
    path: Path = field(compare=False)
    shown: str = field(compare=False)

    @classmethod
    def of(cls, path: Path, shown: str) -> "_LocalFile":
        stat = path.stat()
        stamp = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return cls(stamp, path, shown)


def _read(pipe: _LocalFile, data: _LocalFile, job: Job, input_folder: str) -> _Read:
    keys = () if job.whole_table else tuple(key for key, _ in job.group)
    with _reading:
        read = _read_once(pipe, data, keys, job.image_base, input_folder)
    if job.whole_table:
        return replace(read, sheet=GroupedTable.whole_of(read.sheet.table, job.group))
    if read.sheet.listed:
        return replace(read, sheet=GroupedTable.of_list(read.sheet.table, [job.group]))
    return read


@lru_cache(maxsize=8)
def _read_once(
    pipe: _LocalFile,
    data: _LocalFile,
    keys: tuple[str, ...],
    image_base: str | None,
    input_folder: str,
) -> _Read:
    """Read and group a data file once for all jobs that it lists."""
    table: Table
    if data.path.suffix == ".h5":
        batch = batchfile.read_once(data.path, data.shown)
        text, table, pipeline_keys = batch.pipeline, batch.table, batch.grouping_keys
        parsed = pipeline.parse(text, data.shown)
    else:
        text = pipeline.decode(pipe.path.read_bytes(), pipe.shown)
        parsed = pipeline.parse(text, pipe.shown)
        if file_list.is_file_list(data.shown, parsed):
            table = PARSED.parse(data.path.read_bytes(), data.shown, file_list.parse)
            return _Read(text, parsed, GroupedTable.of_list(table.interned(), ()))
        content = data.path.read_bytes()
        table = PARSED.parse(content, data.shown, loaddata.parse_bytes)
        pipeline_keys = parsed.grouping_keys
        if image_base is None:
            image_base = parsed.image_base(input_folder)
    table = replace(table.interned(), base=image_base or "")
    if not keys:
        return _Read(text, parsed, GroupedTable.whole_of(table, ()))
    return _Read(text, parsed, GroupedTable.of(table, keys, pipeline_keys))


@lru_cache(maxsize=8)
def _code(pipe: Pipeline, code: plugins.Code) -> dict[str, bytes]:
    """The files of a plugins folder that a pipeline runs, looked up once."""
    modules = [module.name for module in pipe.enabled]
    return plugins.used(modules, code.names, code.read)
