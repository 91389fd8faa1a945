"""Make one plate's Parquet files, prove their row counts, and publish them."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from cpengine.errors import InputError
from cpengine.results.collect import csvs
from cpengine.results.collect.batch import Batch
from cpengine.results.collect.csvs import Csv
from cpengine.results.collect.join import numbers
from cpengine.results.collect.names import IMAGE, IMAGE_NUMBER
from cpengine.results.collect.plate_csvs import CollectedFile, JobCsvs, PlateCsvs
from cpengine.results.collect.record import CollectRecord, FileSize
from cpengine.results.collect.spill import Spill
from cpengine.results.collect.tables import JOINED, Tables
from cpengine.results.columns import in_some_jobs, names
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage
from cpengine.wording import counted

T = TypeVar("T")
R = TypeVar("R")
_BATCH = 64 * 2**20
"""Bytes of CSVs that are read at a time; those of two batches are held."""
_SHOWN = 3
"""So many names of columns are in a note."""


@dataclass
class Work:
    """Making one plate's files in a scratch folder."""

    plate: PlateCsvs
    storage: Storage
    folder: Path
    float32: bool
    notes: list[str] = field(default_factory=list)
    """What a user should know of the CSVs, once the files are made."""
    _sizes: dict[str, FileSize] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    """By table, in the scratch folder."""
    _not_tables: list[str] = field(default_factory=list)
    _image_numbers: set[int] = field(default_factory=set)
    _shared_numbers: bool = False

    def make(self, tell: Callable[[int], None]) -> None:
        """Read the CSVs, write the files, and prove their row counts."""
        spill = Spill(self.folder)
        self._read(spill, tell)
        if not spill.kinds:
            raise InputError(
                f"{self.plate.step}: plate {self.plate.name}: no CSV has ImageNumber "
                "and, for objects, ObjectNumber: collect reads the CSVs of "
                "ExportToSpreadsheet, one table a file"
            )
        tables = Tables(spill, self.float32)
        self._note(spill, tables)
        self._write(tables)

    def publish(self, before: CollectRecord | None) -> dict[str, CollectedFile]:
        """Put the files in place; the last one tells that all are there.

        Also after a power cut: each is on the disk before the next is there. Gives what
        they are, by table.

        Parameters
        ----------
        before
            What the files that are there were made from, and their names.
        """
        made = {
            table: CollectedFile.of(self._sizes[table], file.stat().st_size)
            for table, file in self._files.items()
        }
        *_, last = self._files
        self.storage.remove(self._key(self.plate.file(last)), durable=True)
        for file in self._files.values():
            self.storage.publish(file, self._key(file.name))
            self.storage.sync([self._key(file.name)])
        published = {file.name for file in self._files.values()}
        for name in set(before.files if before else ()) - published:
            if self.plate.is_file(name):  # the record may be anybody's
                self.storage.remove(self._key(name))
        return made

    def _read(self, spill: Spill, tell: Callable[[int], None]) -> None:
        jobs = [entry.job for entry in self.plate.jobs]
        others = (key for entry in self.plate.jobs for key in entry.others)
        self._not_tables = [self.storage.url(key) for key in others]
        batches = list(_batches(self.plate.jobs))
        for number, (numbers_, found) in enumerate(_ahead(self._fetched, batches)):
            batch = Batch(number, jobs, spill)
            batch.add(found)
            self._not_tables += batch.not_tables
            self._check_numbers(spill, number)
            tell(len(numbers_))

    def _fetched(self, batch: list[int]) -> tuple[list[int], dict[str, list[Csv]]]:
        """The CSVs of a batch's jobs, by table."""
        wanted = [
            (table, key, job)
            for job in batch
            for table, key in self.plate.jobs[job].tables.items()
        ]

        def read(entry: tuple[str, str, int]) -> Csv:
            _, key, job = entry
            return csvs.read(self.storage.read(key), self.storage.url(key), job)

        at_once = self.storage.at_once(self.plate.folder)
        found: dict[str, list[Csv]] = defaultdict(list)
        for (table, _, _), file in zip(
            wanted, each(read, wanted, at_once), strict=True
        ):
            found[table].append(file)
        return batch, found

    def _check_numbers(self, spill: Spill, batch: int) -> None:
        """See whether jobs share image numbers."""
        if self._shared_numbers or not spill.has(IMAGE, batch):
            return
        found = numbers(spill.get(IMAGE, batch), IMAGE_NUMBER).tolist()
        before = len(self._image_numbers)
        self._image_numbers.update(found)
        self._shared_numbers = len(self._image_numbers) < before + len(found)

    def _note(self, spill: Spill, tables: Tables) -> None:
        """Say what a user should know of the CSVs."""
        say = self.notes.append
        if self._not_tables:
            say(
                f"{counted(len(self._not_tables), 'CSV')} left out: no tables of "
                "images or objects, or elsewhere than the others (first: "
                f"{self._not_tables[0]})"
            )
        having = Counter(name for job in self.plate.jobs for name in job.tables)
        for name in spill.kinds:
            if lacking := len(self.plate.jobs) - having[name]:
                say(f"{counted(lacking, 'job')} without {name}.csv")
        self.notes += self._uneven(spill)
        for name, columns in spill.mixed.items():
            first = ", ".join(sorted(columns)[:_SHOWN])
            more = ", ..." if len(columns) > _SHOWN else ""
            say(
                f"{counted(len(columns), 'column')} of {name}.csv with numbers and "
                f"text, written as text: {first}{more}"
            )
        if self._shared_numbers:
            say(
                "jobs share image numbers: use Metadata_Well and Metadata_Site beside "
                "Metadata_ImageNumber"
            )
        if tables.how is None:
            objects = "no table of objects has a Parent_ column to another"
            alone = set(spill.kinds) == {IMAGE}
            say(f"no joined table: {'there are no objects' if alone else objects}")

    def _uneven(self, spill: Spill) -> Iterator[str]:
        """Columns that only some jobs have, a line a table."""
        for name, by_header in spill.headers.items():
            headers = (
                (names(header), len(jobs), self.plate.jobs[jobs[0]].job.id)
                for header, jobs in by_header.items()
            )
            if found := in_some_jobs(name, headers):
                yield str(found)

    def _write(self, tables: Tables) -> None:
        """Write all files to the scratch folder. Raises InputError if rows are lost."""
        self._sizes = {table: tables.size(table) for table in tables.names}
        files = {self.plate.file(table): size for table, size in self._sizes.items()}
        source = self.plate.record(float32=self.float32)
        for table, size in self._sizes.items():
            name = self.plate.file(table)
            self._files[table] = self.folder / name
            record = replace(source, files=files, notes=tuple(self.notes))
            rows = tables.write(table, self._files[table], record.to_metadata())
            if rows != size.rows:
                raise InputError(
                    f"{name}: has {rows} rows, and its CSVs have {size.rows}: nothing "
                    "is published"
                )
            if table == JOINED:
                self._note_without(tables, rows)

    def _note_without(self, tables: Tables, rows: int) -> None:
        assert tables.how is not None
        for parent, without in tables.without.items():
            if without:
                self.notes.append(
                    f"{without} of {counted(rows, 'row')} of {tables.how.driving}.csv "
                    f"have no parent in {parent}.csv"
                )

    def _key(self, name: str) -> str:
        return f"{self.plate.folder}/{name}"


def _batches(jobs: Sequence[JobCsvs]) -> Iterator[list[int]]:
    """Numbers of jobs that follow each other, `_BATCH` bytes of CSVs at a time."""
    batch: list[int] = []
    size = 0
    for number, job in enumerate(jobs):
        if batch and size + job.size > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(number)
        size += job.size
    if batch:
        yield batch


def _ahead(do: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Give what `do` gives for each item; the next is done meanwhile."""
    with ThreadPoolExecutor(1, "ahead") as pool:
        doing: deque[Future[R]] = deque()
        for item in items:
            doing.append(pool.submit(do, item))
            if len(doing) > 1:
                yield doing.popleft().result()
        while doing:
            yield doing.popleft().result()
