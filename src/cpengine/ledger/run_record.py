"""One record a run and step: who asked for what, with which versions, what came of it.

It is written when the step starts and again when it ends, so that a run that was killed
leaves a record without an end.
"""

import getpass
import json
import logging
import os
import platform
import re
import secrets
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import psutil

from cpengine.errors import StorageError
from cpengine.ledger.acceleration_use import NOTHING_USED, AccelerationUse
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job
from cpengine.planning.step_pipeline import read_sha256
from cpengine.storage.own_files import OwnFile, of_form
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

_LOG = logging.getLogger(__name__)
NOTIFY = "--notify"
"""The option whose value is a secret."""
KILLED = "killed"
"""The result of a run whose driver could not write one."""
_RECORD = re.compile(r"(\d{8}T\d{6}Z-[0-9a-f]{4})\.json")
"""A record's file; its name alone says which run it is of."""
_RECENT_RUNS = 8
"""So many records are read for known times: a plate may have run in parts."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """A machine, as far as it matters to a run."""

    system: str = ""
    processor: str = ""
    cores: int | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is kept of one run of one step."""

    id: str
    """Begins with the time of its start, so that names sort by it."""
    step: str
    user: str
    host: str
    command: str
    """How cpengine was called."""
    cwd: str
    """Where it was called."""
    executor: str
    versions: Mapping[str, str]
    machine: MachineFacts | None
    pipeline: str
    pipeline_sha256: str
    plugins: str | None
    jobs: int
    """How many it set out to run."""
    softened: Mapping[str, str]
    """Rules of the check that were set to `warn` or `off`."""
    then: str
    """The step that the same command runs next; empty if it is the last."""
    started: str
    """UTC, ISO 8601."""
    ended: str = ""
    """Empty while it runs, and for ever if it was killed."""
    result: str = "running"
    """`running`, `ended`, `stopped` (by a person), `killed`, or why it ended early."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Jobs `done`, `failed` and `not_run`, `image_sets` and `files`."""
    plate_s: Mapping[str, float] = field(default_factory=dict)
    """Mean wall seconds that CellProfiler took for a job, by plate."""
    exact: bool = False
    """Whether `plate_s` is what accelerated modules took."""
    blas_kernel: str | None = None
    """What `cellprofiler.blas_kernel` said."""
    accelerations: AccelerationUse = NOTHING_USED
    """Which were used, which not and why, and on what processors."""

    def ended_with(
        self,
        result: str,
        counts: Mapping[str, int],
        plate_s: Mapping[str, float] | None = None,
        accelerations: AccelerationUse = NOTHING_USED,
        *,
        exact: bool = False,
    ) -> "RunRecord":
        """The record of the run when it has ended."""
        return replace(
            self,
            ended=now(),
            result=result,
            counts=counts,
            plate_s=plate_s or {},
            accelerations=accelerations,
            exact=exact,
        )

    def write(self, ledger: Ledger) -> None:
        """Keep it in the step's ledger. Raises StorageError if that is not possible."""
        ledger.storage.write(_key(ledger, self.id), _text(asdict(self)))


def _record_of(data: Any) -> dict[str, Any]:
    """A record of any version, with all fields of ours. Raises where it is none."""
    found: dict[str, Any] = data | asdict(_FORM(_BLANK | data))
    return found


_TEXTS = ("user", "host", "command", "executor", "pipeline", "pipeline_sha256", "then")
_BLANK: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, ""),
    **dict.fromkeys(("machine", "plugins"), None),
    "cwd": ".",
    "jobs": 0,
    "versions": {},
    "softened": {},
}
"""What records of other versions may lack."""
_FORM, _USE = of_form(RunRecord), of_form(AccelerationUse)
RECORD = OwnFile(_record_of, "remove it: no result depends on it")


def begin(
    job: Job,
    jobs: int,
    *,
    executor: str,
    versions: Mapping[str, str],
    workspace: Storage,
    softened: Mapping[str, str],
    command: str = "",
    then: str = "",
    blas_kernel: str | None = None,
) -> RunRecord:
    """The record of a run that starts now.

    Parameters
    ----------
    job
        One of its jobs; they have pipeline and plugins in common.
    command
        What does the same; this process's own if empty.
    """
    return RunRecord(
        id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
        step=job.step,
        user=user_name(),
        host=socket.gethostname(),
        command=command or _own_command(),
        cwd=os.getcwd(),
        executor=executor,
        versions=versions,
        machine=machine(),
        pipeline=job.pipeline,
        pipeline_sha256=read_sha256(workspace, job.pipeline),
        plugins=job.plugins,
        jobs=jobs,
        softened=softened,
        then=then,
        started=now(),
        blas_kernel=blas_kernel,
    )


def _own_command() -> str:
    return shlex.join([os.path.basename(sys.argv[0]), *hidden(sys.argv[1:])])


def hidden(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command without the option that has the address, for records."""
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == NOTIFY:
            next(rest, None)  # the address
        elif not argument.startswith(f"{NOTIFY}="):
            others.append(argument)
    return others


def last_run(ledger: Ledger) -> dict[str, Any] | None:
    """The newest record of a step that can be read, if there is any."""
    found = (read(ledger, run) for run in reversed(_ids(ledger)))
    return next(filter(None, found), None)


def all_runs(ledger: Ledger) -> list[dict[str, Any]]:
    """The records of a step that can be read, oldest first."""
    return _read_each(ledger, _ids(ledger))


def read(ledger: Ledger, run: str) -> dict[str, Any] | None:
    """The record of a run; None if it is gone or damaged."""
    record = RECORD.read(ledger.storage, _key(ledger, run))
    return record and record | {"id": run}


def _read_each(ledger: Ledger, runs: Iterable[str]) -> list[dict[str, Any]]:
    found = each(lambda run: read(ledger, run), runs)
    return [record for record in found if record]


def remove(ledger: Ledger, run: str) -> None:
    """Remove the record of a run that did not begin."""
    ledger.storage.remove(_key(ledger, run))


def close(ledger: Ledger, run: str) -> None:
    """Write that a run has ended whose driver could not: it was killed."""
    record = read(ledger, run)
    if record and not record["ended"]:
        record |= {"ended": now(), "result": KILLED}
        ledger.storage.write(_key(ledger, run), _text(record))


def known_times(ledger: Ledger, *, exact: bool = False) -> dict[str, float]:
    """Seconds that a job of a step took, by plate, from the newest records.

    One listing and a few reads. What a newer run says of a plate counts.

    Parameters
    ----------
    exact
        Whether accelerated modules are to run: what they took counts, and what plain
        ones took only where nothing else is known; or the other way round.

    Raises
    ------
    StorageError
        The ledger cannot be read.
    """
    found: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for record in _read_each(ledger, _ids(ledger)[-_RECENT_RUNS:]):
        found[record["exact"]] |= record["plate_s"]
    return found[exact] or found[not exact]


def use_of(record: Mapping[str, Any]) -> AccelerationUse:
    """Which accelerations a run used, by its record."""
    found: AccelerationUse = _USE(record["accelerations"])
    return found


def machine() -> MachineFacts:
    """This machine."""
    return MachineFacts(
        system=platform.platform(),
        processor=platform.machine(),
        cores=os.cpu_count(),
        memory=psutil.virtual_memory().total,
    )


def is_own(ledger: Ledger, run: str) -> bool:
    """Whether a run is this user's, as far as that can be known."""
    return ledger.is_own(f"runs/{run}.json")


def _ids(ledger: Ledger) -> list[str]:
    """The runs that have a record, oldest first; what is named otherwise is none."""
    try:
        names = ledger.storage.sizes(f"{ledger.folder}/runs")
    except StorageError as error:  # no result depends on it
        _LOG.warning("%s", error)
        return []
    return sorted(found[1] for name in names if (found := _RECORD.fullmatch(name)))


def _key(ledger: Ledger, run: str) -> str:
    return f"{ledger.folder}/runs/{run}.json"


def _text(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, indent=1).encode()


def user_name() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


def now() -> str:
    """The time as records have it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
