"""A plate to collect, and what came of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cpengine.errors import InputError
from cpengine.model import Job, Outcome
from cpengine.results.collect.names import files_of
from cpengine.results.collect.record import CollectRecord, FileSize
from cpengine.rules import Finding
from cpengine.wording import counted

WITHOUT_CSVS = "without CSVs"
_DAMAGED_MARKER = "with a damaged marker"
_DAMAGED_CSVS = "with damaged CSVs"
_AGAIN = "run its job again with --force"
_END = ".parquet"


@dataclass(frozen=True, slots=True)
class JobCsvs:
    """A job whose results are taken, and where its tables are."""

    job: Job
    """With the output place that its results were published to."""
    csvs: Mapping[str, int]
    """Sizes in bytes of its CSVs, by name below its folder."""
    made_of: str
    """Changes when the job's results do."""
    marker: str = ""
    """The name of the marker that tells of its results; empty if DCP made them."""

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(self.csvs.values())

    @property
    def tables(self) -> dict[str, str]:
        """Keys of its CSVs, by table."""
        names = files_of(self.csvs).tables
        return {table: self._key(name) for table, name in names.items()}

    @property
    def others(self) -> tuple[str, ...]:
        """Keys of CSVs that are not beside its tables, or are named otherwise."""
        return tuple(map(self._key, files_of(self.csvs).others))

    def only(self, names: Collection[str]) -> "JobCsvs":
        """The same without CSVs of other names."""
        return replace(self, csvs={n: s for n, s in self.csvs.items() if n in names})

    def damage(self, files: Mapping[str, int]) -> str:
        """Which CSV is not as its job published it, if one is not.

        Parameters
        ----------
        files
            The sizes in bytes of what the job published, by name below its folder.
        """
        for name in (name for name in files if name.endswith(".csv")):
            if name not in self.csvs:
                return f"{self._key(name)} is gone"
            if self.csvs[name] != files[name]:
                sizes = f"{self.csvs[name]} of {files[name]} bytes"
                return f"{self._key(name)} has {sizes}"
        return ""

    def _key(self, name: str) -> str:
        return f"{self.job.destination}/{name}"


@dataclass(frozen=True, slots=True)
class PlateCsvs:
    """One plate of one step, as far as its jobs are done."""

    step: str
    name: str
    folder: str
    """The key of the folder that gets the files."""
    jobs: tuple[JobCsvs, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many jobs are not in it, by why."""
    notes: tuple[str, ...] = ()

    def as_recorded(self, found: Mapping[str, Outcome | Finding | None]) -> "PlateCsvs":
        """The plate with those CSVs alone that the jobs' markers name.

        A folder may hold others: of earlier runs that no marker tells of any more, or
        of steps that had the same output.

        Parameters
        ----------
        found
            What the markers hold, by job id.

        Raises
        ------
        InputError
            No job would be in it.
        """
        named = {job: o.files for job, o in found.items() if isinstance(o, Outcome)}
        jobs = [entry.only(named.get(entry.job.id, entry.csvs)) for entry in self.jobs]
        markers = {j: f"marker {f}" for j, f in found.items() if isinstance(f, Finding)}
        csvs = {e.job.id: e.damage(named[e.job.id]) for e in jobs if e.job.id in named}
        damaged = {j: f"{why}: {_AGAIN}" for j, why in csvs.items() if why}
        whole = replace(self, jobs=tuple(jobs))._without(markers, _DAMAGED_MARKER)
        return whole._without(damaged, _DAMAGED_CSVS)._with_tables()

    def _without(self, damaged: Mapping[str, str], why: str) -> "PlateCsvs":
        """The plate without some jobs, by what is wrong with each."""
        if not damaged:
            return self
        first, *more = damaged.values()
        others = f" (and {counted(len(more), 'other')})" if more else ""
        note = f"{counted(len(damaged), 'job')} left out{others}: {first}"
        jobs = tuple(entry for entry in self.jobs if entry.job.id not in damaged)
        return self._left(jobs, why, note)

    def _with_tables(self) -> "PlateCsvs":
        """The plate without jobs that have published no table."""
        jobs = tuple(entry for entry in self.jobs if entry.tables)
        if len(jobs) == len(self.jobs):
            return self
        lacking = counted(len(self.jobs) - len(jobs), "job")
        note = f"{lacking} left out: published no CSV of images or objects"
        return self._left(jobs, WITHOUT_CSVS, note)

    def _left(self, jobs: tuple[JobCsvs, ...], why: str, note: str) -> "PlateCsvs":
        if not jobs:
            raise InputError(note)
        without = self.left_out.get(why, 0) + len(self.jobs) - len(jobs)
        left_out = {**self.left_out, why: without}
        return replace(self, jobs=jobs, left_out=left_out, notes=(*self.notes, note))

    def file(self, table: str) -> str:
        """The name of a table's file."""
        return f"{self.name}_{table}{_END}" if table else f"{self.name}{_END}"

    def is_file(self, name: str) -> bool:
        """Whether a file's name may be one of a table of this plate."""
        return name.startswith(self.name) and name.endswith(_END)

    def table(self, file: str) -> str:
        """The table of a file, by its name."""
        return file[: -len(_END)].removeprefix(self.name).removeprefix("_")

    def record(self, *, float32: bool) -> CollectRecord:
        """What its files are made from."""
        made_of = {entry.job.id: entry.made_of for entry in self.jobs}
        return CollectRecord(self.step, made_of, float32, {})


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """One Parquet file."""

    rows: int
    columns: int
    bytes: int

    @classmethod
    def of(cls, made: FileSize, size: int) -> "CollectedFile":
        """A file of so many bytes."""
        return cls(made.rows, made.columns, size)


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of one plate."""

    plate: PlateCsvs
    files: Mapping[str, CollectedFile]
    """By table; the joined one's name is empty."""
    notes: tuple[str, ...]
    made: bool
    """Whether the files were made now; else they were there, from the same results."""
    wall_s: float

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {
            "step": self.plate.step,
            "plate": self.plate.name,
            "folder": self.plate.folder,
            "jobs": len(self.plate.jobs),
            "left_out": dict(self.plate.left_out),
            "files": {
                self.plate.file(table): {
                    name: getattr(file, name)
                    for name in CollectedFile.__dataclass_fields__
                }
                for table, file in self.files.items()
            },
            "notes": list(self.notes),
            "made": self.made,
            "wall_s": round(self.wall_s, 2),
        }
