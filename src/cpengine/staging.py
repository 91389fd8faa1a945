"""Bring to this machine what one job needs; what is local stays where it is."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Event as Flag
from threading import Lock

from cpengine import batchfile, fingerprint, loaddata, pipeline, plugins
from cpengine.access import is_local
from cpengine.cache import Cache
from cpengine.errors import InputError
from cpengine.loaddata import ImageFile, Table
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.parallel import each
from cpengine.places import Places, without_file_scheme
from cpengine.sheet import Sheet
from cpengine.storage import as_text


@dataclass(frozen=True, slots=True)
class Staged:
    """What CellProfiler gets for one job: local paths only."""

    pipeline: Path
    data_file: Path
    input: Path
    """The rules folder; an empty one if the step has none."""
    plugins: Path | None
    fetched: int
    """Bytes that were copied to this machine."""


@dataclass
class Stager:
    """Stages one job, several files at a time.

    Parameters
    ----------
    folder
        A folder to be made, of the attempt's own, for what is not local.
    """

    job: Job
    places: Places
    cache: Cache
    folder: Path
    cancelled: Flag = field(default_factory=Flag)
    _fetched: int = 0
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
        self.folder.mkdir()
        (self.folder / "empty").mkdir()
        pipe, data = each(self._shared_file, [job.pipeline, job.data_file])
        rules = self._tree(job.input, "rules")
        code = self._tree(job.plugins, "plugins") if job.plugins else None
        read = _read(pipe, data, job)
        if job.plugins and code is None:
            raise InputError(f"{job.plugins}: is not there: put the plugins there")
        self._check_unchanged(read, code)
        if paths := self._images(read.sheet):
            data = self._localised(read.sheet, data, paths)
        return Staged(
            pipeline=data if job.batch_file else pipe,
            data_file=self._header(read.sheet.table) if job.batch_file else data,
            input=rules or self.folder / "empty",
            plugins=code,
            fetched=self._fetched,
        )

    def _shared_file(self, key: str) -> Path:
        """A file of the workspace, which other jobs need, too."""
        workspace = self.places.workspace
        if workspace.is_local(key):
            return _there(workspace.path(key))
        url = workspace.url(key)
        return _there(self._bring(url, self.folder / "shared", shared=True), url)

    def _tree(self, key: str, name: str) -> Path | None:
        """A folder of the workspace with all that is below it, if it is there."""
        workspace = self.places.workspace
        if workspace.is_local(key):
            return workspace.path(key) if workspace.path(key).is_dir() else None
        files = workspace.tree(key)

        def bring(file: str) -> Path:
            parent = (self.folder / name / file).parent
            return self._bring(f"{workspace.url(key)}/{file}", parent, shared=True)

        each(bring, files)
        return self.folder / name if files else None

    def _bring(self, url: str, to: Path, *, shared: bool) -> Path:
        """Fetch one file into a folder, through the cache if other jobs need it."""
        if self.cancelled.is_set():
            raise AttemptError(FailureKind.CANCELLED, "cancelled")
        to.mkdir(parents=True, exist_ok=True)
        path = to / os.path.basename(url)
        storage = self.places.images  # any of them opens an address
        if shared:
            size = self.cache.fetch(storage, url, path)
        else:
            size = storage.fetch(url, path)
        with self._counting:
            self._fetched += size
        return path

    def _check_unchanged(self, read: "_Read", code: Path | None) -> None:
        """Refuse input that is not what the job's fingerprint was made of."""
        job = self.job
        if job.group not in read.sheet.groups:
            raise InputError(
                f"{read.sheet.table.path}: has no image set of {job.metadata}: "
                "plan again"
            )
        now = fingerprint.of_job(
            job, read.text, read.sheet.fingerprint(job.group), _code(read.text, code)
        )
        if not fingerprint.comparable(now, job.fingerprint):
            return  # a job of another program
        if parts := fingerprint.changed(job.fingerprint, now):
            raise InputError(
                f"{job.id}: {' and '.join(parts)} changed while the step ran: run again"
            )

    def _images(self, sheet: Sheet) -> dict[int, list[str]]:
        """The local path of each image of the group, by row.

        None at all if CellProfiler itself opens what the data file says.
        """
        rows = sheet.files(self.job.group)
        files = list(dict.fromkeys(file for row in rows.values() for file in row))
        places = {f: self.places.locate(f) for f in {file.folder for file in files}}
        numbers = {folder: str(number) for number, folder in enumerate(places)}

        def bring(file: ImageFile) -> Path:
            url = f"{places[file.folder]}/{file.name}"
            if is_local(url):
                return _there(Path(url))
            to = self.folder / "images" / numbers[file.folder]
            shared = sheet.is_shared(file)
            return _there(self._bring(url, to, shared=shared), url)

        brought = dict(zip(files, each(bring, files), strict=True))
        if all(_opens(folder, place) for folder, place in places.items()):
            return {}
        return {n: [str(brought[file]) for file in row] for n, row in rows.items()}

    def _localised(self, sheet: Sheet, data: Path, paths: dict[int, list[str]]) -> Path:
        """A copy of the data file that names local files."""
        copy = self.folder / f"local_{data.name}"
        if self.job.batch_file:
            batchfile.write_with_urls(data, copy, sheet.table, paths)
        else:
            copy.write_text(loaddata.with_urls(sheet.table, paths).to_csv(), "utf-8")
        return copy

    def _header(self, table: Table) -> Path:
        """A CSV of a batch file's image sets.

        LoadData asks it for the names of columns, also where it loads from the batch
        file; the CSV that the pipeline names may be on another machine.
        """
        path = self.folder / "load_data.csv"
        path.write_text(table.to_csv(), "utf-8")
        return path


def _opens(folder: str, place: str) -> bool:
    """Whether CellProfiler itself opens what a data file says."""
    return is_local(place) and place == without_file_scheme(folder)


def _there(path: Path, url: str = "") -> Path:
    """A path, if there is a file that holds something."""
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{url or path}: is not there: put it there") from None
    if not size:
        raise InputError(f"{url or path}: is empty (0 bytes): put it there again")
    return path


@dataclass(frozen=True)
class _Read:
    """A job's pipeline and image sets."""

    text: str
    """The pipeline's."""
    sheet: Sheet


@dataclass(frozen=True, slots=True)
class _Source:
    """A local file, the same as long as nobody replaces it; links are the same."""

    stamp: tuple[int, ...]
    path: Path = field(compare=False)
    shown: str = field(compare=False)

    @classmethod
    def of(cls, path: Path, shown: str) -> "_Source":
        stat = path.stat()
        stamp = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return cls(stamp, path, shown)


def _read(pipe: Path, data: Path, job: Job) -> _Read:
    keys = tuple(key for key, _ in job.group)
    sources = (_Source.of(pipe, job.pipeline), _Source.of(data, job.data_file))
    return _read_once(*sources, keys)


@lru_cache(maxsize=8)
def _read_once(pipe: _Source, data: _Source, keys: tuple[str, ...]) -> _Read:
    """Read and group a data file once for all jobs that it lists."""
    table: Table
    if data.path.suffix == ".h5":
        batch = batchfile.read(data.path)
        text, table, pipeline_keys = batch.pipeline, batch.table, batch.grouping_keys
    else:
        text = as_text(pipe.path.read_bytes(), pipe.shown)
        table = loaddata.parse(as_text(data.path.read_bytes(), data.shown), data.shown)
        pipeline_keys = pipeline.parse(text, pipe.shown).grouping_keys
    return _Read(text, Sheet.of(table, keys, pipeline_keys))


def _code(text: str, folder: Path | None) -> dict[str, bytes]:
    """The files of a plugins folder that a pipeline runs."""
    if folder is None:
        return {}
    modules = [module.name for module in pipeline.parse(text, "").enabled]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    return plugins.used(modules, names, lambda name: (folder / name).read_bytes())
