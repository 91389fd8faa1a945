"""What pages leave of themselves: small files beside the reports, a kind and step each.

They hold what the project's page says, so that it is made from one listing and these,
and nothing is planned or listed for it again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cpengine.ledger.run_record import now
from cpengine.ledger.standing import JobState
from cpengine.planning.project import ResolvedProject
from cpengine.storage.keys import is_below
from cpengine.storage.own_files import OwnFile, of_form, unless_damaged
from cpengine.storage.parallel import each

_CURE = "remove it: the next run or page of the step writes it anew"
_END = ".json"
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FailedJobs:
    """Failed jobs of one cause."""

    jobs: int
    kind: str
    cure: str


@dataclass(frozen=True, slots=True)
class JobsRecord:
    """Where the jobs of a step stood."""

    plates: Mapping[str, Counts]
    """By plate, how many jobs are in each state."""
    ended: str = ""
    """When the last job ended, UTC, ISO 8601."""
    failures: Sequence[FailedJobs] = ()
    stale: Counts = field(default_factory=dict)
    """How many jobs are stale, by what has changed."""
    under_way: str = ""
    """What the driver of a run said."""
    has_report: bool = True
    made: str = field(default_factory=now)

    @property
    def states(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        plates = self.plates.values()
        return {s: sum(counts.get(s, 0) for counts in plates) for s in JobState}


@dataclass(frozen=True, slots=True)
class QualityRecord:
    """What `cpengine qc` has judged."""

    sites: int
    flagged: int
    plates: Sequence[str]
    made: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class CollectedJobs:
    """The jobs of a plate whose CSVs are in its tables, and those left out, by why."""

    jobs: int
    left_out: Counts = field(default_factory=dict)
    made: str = field(default_factory=now)

    @property
    def lacking(self) -> int:
        """How many jobs are left out since they are not done."""
        return sum(self.left_out.get(state, 0) for state in JobState)


@dataclass(frozen=True, slots=True)
class TablesRecord:
    """What `cpengine collect` has made."""

    plates: Mapping[str, CollectedJobs]


@dataclass(frozen=True, slots=True)
class MontageRecord:
    """The plates that have a montage."""

    plates: Sequence[str]


@dataclass(frozen=True, slots=True)
class StepRecords:
    """What is known of one step of one batch."""

    jobs: JobsRecord | None = None
    quality: QualityRecord | None = None
    tables: TablesRecord | None = None
    montage: MontageRecord | None = None


Record = JobsRecord | QualityRecord | TablesRecord | MontageRecord
Batches = dict[str, dict[str, StepRecords]]
"""By batch and step."""

_KINDS: dict[str, type[Record]] = {
    "jobs": JobsRecord,
    "quality": QualityRecord,
    "tables": TablesRecord,
    "montage": MontageRecord,
}
_FORMS: dict[str, OwnFile[Any]] = {
    kind: OwnFile(of_form(form), _CURE) for kind, form in _KINDS.items()
}


def keep(project: ResolvedProject, step: str, record: Record) -> None:
    """Write what is known of a step of the project's batch.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    key = _key(project, step, type(record))
    project.places.outputs.write(key, json.dumps(asdict(record)).encode())


def keep_collected(
    project: ResolvedProject, step: str, plates: Mapping[str, CollectedJobs]
) -> None:
    """Write which tables there are of a step; those of other plates stay."""
    key = _key(project, step, TablesRecord)
    before = _FORMS["tables"].read(project.places.outputs, key)
    keep(project, step, TablesRecord({**(before.plates if before else {}), **plates}))


def read(project: ResolvedProject) -> Batches:
    """What is known of all batches: one listing, and a read a record.

    Raises
    ------
    StorageError
        The place cannot be listed or read.
    """
    outputs, folder = project.places.outputs, project.layout.workspace("report")
    names = [named for name in outputs.tree(folder) if (named := _parse(name))]

    def look_up(named: tuple[str, str, str]) -> Any:
        batch, step, kind = named
        key = f"{folder}/{batch}/{step}.{kind}{_END}"
        return _FORMS[kind].look_up(outputs, key)

    found: Batches = {}
    for (batch, step, kind), entry in zip(names, each(look_up, names), strict=True):
        if record := unless_damaged(entry):
            steps = found.setdefault(batch, {})
            known = steps.get(step, StepRecords())
            steps[step] = replace(known, **{kind: record})
    return found


def utc(seconds: float | None) -> str:
    """A time as records have it."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _key(project: ResolvedProject, step: str, form: type[Record]) -> str:
    kind = next(kind for kind, known in _KINDS.items() if known is form)
    layout = project.layout
    return layout.workspace("report", layout.batch, f"{step}.{kind}{_END}")


def _parse(name: str) -> tuple[str, str, str] | None:
    """Batch, step and kind of a record; None of other files."""
    batch, _, file = name.rpartition("/")
    step, _, kind = file.removesuffix(_END).rpartition(".")
    known = file.endswith(_END) and kind in _KINDS
    if not (known and batch and step and is_below(batch)):
        return None
    return batch, step, kind
