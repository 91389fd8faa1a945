"""The nouns of cpengine: jobs, outcomes and failures, frozen, JSON in and out."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from cpengine.errors import InputError
from cpengine.group_names import Group, id_of, metadata_of
from cpengine.output_structure import names_all, normal, place_of
from cpengine.wording import on_one_line


class FailureKind(StrEnum):
    """Why an attempt failed; the kind decides what happens next."""

    BAD_INPUT = "bad_input"
    CELLPROFILER = "cellprofiler"
    NO_OUTPUT = "no_output"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CRASH = "crash"
    NODE_LOST = "node_lost"
    SPOT_LOST = "spot_lost"
    STORAGE = "storage"
    MACHINE = "machine"
    INTERNAL = "internal"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """One that another version of cpengine has recorded."""

    @classmethod
    def _missing_(cls, value: object) -> "FailureKind":
        return cls.UNKNOWN


ATTEMPTS = {
    FailureKind.CELLPROFILER: 2,
    FailureKind.OUT_OF_MEMORY: 3,
    FailureKind.STALLED: 2,
    FailureKind.CRASH: 2,
    FailureKind.STORAGE: 3,
    FailureKind.MACHINE: 3,
}
"""How often a job is tried in all when it fails so; every other kind: once."""

UNCOUNTED = frozenset({FailureKind.NODE_LOST, FailureKind.SPOT_LOST})
"""Kinds that say nothing of the job: it is tried again, and the try does not count."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one attempt."""

    kind: FailureKind
    message: str
    """One line: the error as CellProfiler or the system gave it."""
    module: str | None = None
    """The CellProfiler module that raised it, if one did."""
    log: str | None = None
    """Where the attempt's log is kept."""
    lasting: bool = False
    """Whether it is of no use to try again, although the kind may pass."""

    def __str__(self) -> str:
        where = f" in {self.module}" if self.module else ""
        log = f" (log: {self.log})" if self.log else ""
        return on_one_line(f"{self.kind}{where}: {self.message}{log}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Failure":
        """Read a failure as the ledger keeps it, of whatever version.

        A kind that is not known stays in its message, other keys are left out.
        """
        named, message = str(data.get("kind")), data.get("message", "")
        kind = FailureKind(named)
        if named != kind:
            message = f"{named}: {message}"
        lasting = bool(data.get("lasting"))
        return cls(kind, message, data.get("module"), data.get("log"), lasting)


class AttemptError(Exception):
    """An attempt has come to a failure."""

    def __init__(
        self, kind: FailureKind, message: str, module: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.module = module


CHECK_ALWAYS, CHECK_NEW = "always", "new"
"""Of a job: its own results are compared; only those of the first job on a kind of
processor that its step has not been checked on."""


@dataclass(frozen=True, slots=True)
class Job:
    """One CellProfiler run over one group.

    The fields from `group` to `output_structure` are the keys and values of a
    Distributed-CellProfiler message: places are keys below the storage root, with
    `/` and without a leading slash.
    """

    step: str
    group: Group
    """Metadata columns and their values as LoadData reads them, in order."""
    pipeline: str
    data_file: str
    """A LoadData CSV, a `Batch_data.h5` that is also the pipeline, or a list of files
    (`.txt`)."""
    input: str
    output: str
    output_structure: str = ""
    ledger: str = ""
    """The folder that keeps this step's markers and logs."""
    fingerprint: str = ""
    """Changes with all that the results depend on. See `planning.fingerprint`."""
    fingerprint_v1: str = ""
    """The same in the first format: markers of that time count as long as it fits."""
    inputs: str = ""
    """Changes with size and time of what it reads of earlier steps; empty if that is
    not compared."""
    input_contents: str = ""
    """Changes with what those files hold; empty if that is not known."""
    image_sets: int = 0
    timeout_s: float | None = None
    stall_s: float | None = None
    """Seconds without output and without CPU after which it is ended as stalled."""
    memory_gb: float | None = None
    """What CellProfiler may use, in GB of 1024^3 bytes; more ends it."""
    share: int = 1
    """How many slots it takes; more for one that ran out of memory before."""
    lost: int = 0
    """How often its run has lost its worker."""
    plugins: str | None = None
    run: int = 0
    """The number of its run: a later run of the step has a higher one. 0 if it is of
    none that is recorded."""
    whole_table: bool = False
    """Whether it takes all image sets of its data file: the pipeline does not group."""
    mixed: bool = False
    """Whether its image sets are of several plates or of none: its group is a name."""
    shared: bool = False
    """Whether jobs of another step publish to the same folders."""
    image_base: str | None = None
    """The folder of images whose own place is relative; empty: the images' root. If
    None, what the pipeline says, with `input` as the default input folder."""
    older_records: bool = False
    """Whether who has which place is looked up where versions before kept that, too."""
    earlier: tuple[str, ...] = ()
    """Names of the markers that earlier runs of this job left in the ledger."""
    exact_check: str = ""
    """Whether accelerated modules are compared with plain ones: `CHECK_ALWAYS`,
    `CHECK_NEW`, or else not."""

    @property
    def id(self) -> str:
        """The job's name, unique in its plan: the group's values joined by `-`."""
        return id_of(self.group)

    @property
    def shared_metadata(self) -> dict[str, str]:
        """The metadata that its image sets have in common, as far as it says them."""
        return {} if self.mixed else dict(self.group)

    @property
    def metadata(self) -> str:
        """The group as CellProfiler's `-g` takes it: `K=V,K=V`."""
        return metadata_of(self.group)

    @property
    def place(self) -> str:
        """The folder under `output` that gets the results (DCP's metadataID).

        Several jobs share one place where the structure is coarser than the group.
        """
        return place_of(self.output_structure, self.group)

    @property
    def destination(self) -> str:
        """The key of the folder that gets the results."""
        return posixpath.join(self.output, self.place)

    @property
    def shares_place(self) -> bool:
        """Whether other jobs may write to the same folder."""
        keys = [key for key, _ in self.group]
        return self.shared or not names_all(self.output_structure, keys)

    @property
    def batch_file(self) -> bool:
        """Whether pipeline and image sets both come from a `Batch_data.h5`."""
        return self.data_file.endswith(".h5")

    def to_message(self) -> dict[str, str]:
        """The job as Distributed-CellProfiler's queue message."""
        message = {
            "Metadata": self.metadata,
            "pipeline": self.pipeline,
            "output": self.output,
            "input": self.input,
            "data_file": self.data_file,
        }
        if self.output_structure:
            message["output_structure"] = normal(self.output_structure)
        return message

    def to_json(self) -> dict[str, Any]:
        """The message plus the keys that only cpengine reads; `from_json` gives it."""
        return self.to_message() | {
            "id": self.id,
            **{name: getattr(self, name) for name in _OWN},
            "group": [list(pair) for pair in self.group],
            "earlier": list(self.earlier),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Job":
        """Read a job from `to_json`, or from a DCP message with either Metadata form.

        Keys of other versions are left out.

        Raises
        ------
        InputError
            A key that DCP requires is missing, or its groups contradict each other.
        """
        required = ("Metadata", "pipeline", "output", "input", "data_file")
        missing = [key for key in required if key not in data]
        if missing:
            raise InputError(f"job without {', '.join(missing)}: add the key")
        names = set(cls.__dataclass_fields__) - {"group", "step", "earlier"}
        return cls(
            step=str(data.get("step", "")),
            group=_group_of(data),
            earlier=tuple(data.get("earlier", ())),
            **{name: data[name] for name in names if name in data},
        )


_OWN = (
    "step",
    "output_structure",
    "ledger",
    "fingerprint",
    "fingerprint_v1",
    "run",
    "inputs",
    "input_contents",
    "image_sets",
    "timeout_s",
    "stall_s",
    "memory_gb",
    "image_base",
    "whole_table",
    "mixed",
    "shared",
    "older_records",
    "share",
    "lost",
    "plugins",
    "exact_check",
)
"""The fields that only cpengine reads."""


def _group_of(data: Mapping[str, Any]) -> Group:
    """The group of a message; ours has its pairs, as values may have commas."""
    metadata = data["Metadata"]
    if "group" not in data:
        return _pairs_of(metadata)
    group = tuple((str(key), str(value)) for key, value in data["group"])
    if metadata_of(group) != metadata:
        raise InputError(f"job with Metadata {metadata!r} of another group: send again")
    return group


def _pairs_of(metadata: str | Mapping[str, Any]) -> Group:
    """A group from either form of Metadata."""
    if isinstance(metadata, Mapping):
        return tuple((key, str(value)) for key, value in metadata.items())
    pairs = [item.partition("=") for item in metadata.split(",")]
    if not all(sep for _, sep, _ in pairs):
        raise InputError(f"job with Metadata {metadata!r}: write it as K=V,K=V")
    return tuple((key, value) for key, _, value in pairs)


@dataclass(frozen=True, slots=True)
class ExactCheck:
    """What running a job both ways has shown; its files are those of the plain way."""

    exact: Sequence[str] = ()
    """The accelerations that the other way used."""
    image_sets: int = 0
    """How many it ran: of a job with many only the first."""
    files: int = 0
    """How many were compared."""
    differences: Sequence[str] = ()
    """A line each; none if all bytes but measured times were the same."""
    place: str = ""
    """Where both ways' files are that differ."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory: int = 0
    module_s: Mapping[str, float] = field(default_factory=dict)
    """What the accelerated way took, as an outcome has it of the plain way."""
    start_s: float = 0.0
    """Wall seconds that the start of CellProfiler took before both."""


ALL_OFF = "all"
"""Stands in `Outcome.exact_off` for all accelerations."""
FAILED_IN_JOB = "failed in this job"
"""How a reason of `Outcome.exact_off` begins if the job was made again for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to."""

    job: Job
    failure: Failure | None = None
    attempt: int = 1
    started: str = ""
    """UTC, ISO 8601."""
    wall_s: float = 0.0
    phase_s: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds of each phase: fetching, waiting, checking, running, publishing.
    Checking is what CellProfiler took for what is not published."""
    module_s: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds by module, `<number> <name>`, summed over image sets."""
    cpu_s: float = 0.0
    """CPU seconds of CellProfiler and its children."""
    peak_memory: int = 0
    """Bytes that CellProfiler and its children held at the most, looked at about once a
    second; 0 if it was gone before."""
    fetched: int = 0
    """Bytes that were copied to this machine."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Published files below the job's place, with their sizes in bytes."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """What tells the contents of those that later steps may read. See `digests_of`."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What its `Image.csv` says: counts, image quality. See `measures.of`."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """By CSV, what tells its columns from others. See `csv_columns.digests`."""
    exact: Sequence[str] = ()
    """The exact accelerations of CellProfiler's modules that were in use."""
    exact_off: Mapping[str, str] = field(default_factory=dict)
    """Why others that were wanted were not, by name."""
    check: ExactCheck | None = None
    """What accelerated modules were compared with, if they were."""
    processor: Mapping[str, str | int] = field(default_factory=dict)
    """What CellProfiler's own numbers depend on: cpu, blas_kernel, blas_threads."""
    host: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the job's results are published."""
        return self.failure is None

    @property
    def started_at(self) -> float:
        """When it began, in seconds since 1970; 0 if that is not known."""
        return datetime.fromisoformat(self.started).timestamp() if self.started else 0.0

    @property
    def ended(self) -> float:
        """When it ended, in seconds since 1970; 0 if that is not known."""
        return self.started_at + self.wall_s if self.started else 0.0

    def to_json(self) -> dict[str, Any]:
        """The outcome as the ledger keeps it."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        failure = asdict(self.failure) if self.failure else None
        check = asdict(self.check) if self.check else None
        return data | {"job": self.job.to_json(), "failure": failure, "check": check}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Outcome":
        """Read an outcome from `to_json`; keys of other versions are left out."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        failure = data.get("failure")
        parts = {
            "job": Job.from_json(data["job"]),
            "exact": tuple(data.get("exact", ())),
            "failure": None if failure is None else Failure.from_json(failure),
            "check": _check_of(data.get("check")),
        }
        return cls(**known | parts)


def _check_of(data: Mapping[str, Any] | None) -> ExactCheck | None:
    """A check of whatever version."""
    if data is None:
        return None
    names = ExactCheck.__dataclass_fields__
    known = {name: data[name] for name in names if name in data}
    lists = {name: tuple(data.get(name, ())) for name in ("exact", "differences")}
    return ExactCheck(**known | lists)
