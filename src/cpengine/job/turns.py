"""Whose turn it is to publish a job's results, where two runs have the same job.

Runs of a step are numbered in the order in which they began. Before its first file a
job writes one small key, and before its marker it reads that again. A run that ends
late finds the key of a later one there, and publishes nothing. Runs whose results
would be the same do not mind each other.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

from cpengine.errors import StorageError
from cpengine.ledger.ledger import Ledger
from cpengine.marker import Marker, MarkerState
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.storage import keys
from cpengine.storage.own_files import OwnFile, of_form
from cpengine.system import namespace

WAIT_S = 60.0
"""So long a job waits for an earlier run that may be in the middle of publishing."""
_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Turn:
    """What a job's key says: who publishes, or has."""

    run: int
    """The number of its run."""
    fingerprint: str
    version: str
    """Of the CellProfiler that made the results."""
    pid: int = field(default_factory=os.getpid)
    namespace: str = field(default_factory=lambda: str(namespace.own()))
    """Where that process number means it."""

    def marker(self, job: Job) -> Marker:
        """The marker that stands for these results once they are whole."""
        return Marker(job.id, self.fingerprint, self.version, MarkerState.DONE)

    def is_like(self, other: "Turn") -> bool:
        """Whether the results of both are the same."""
        mine, others = ((turn.fingerprint, turn.version) for turn in (self, other))
        return mine == others

    @property
    def has_died(self) -> bool:
        """Whether nobody can be publishing; not known of other machines."""
        return namespace.has_died(self.pid, self.namespace)


_FORM = of_form(Turn)
_TURN: OwnFile[Turn] = OwnFile(
    lambda data: _FORM({"namespace": ""} | data), "go on: it is written anew"
)


@contextlib.contextmanager
def turn(
    ledger: Ledger,
    job: Job,
    cellprofiler: str,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Job]:
    """Publish a job's results, and see in the end that nobody else has meanwhile.

    Gives the job, which also knows the marker of the run that published before it.

    Parameters
    ----------
    cellprofiler
        The version that made the results.
    cancelled
        Whether to stop waiting.

    Raises
    ------
    AttemptError
        A later run has published, or has begun to; or it was cancelled.
    StorageError
        The ledger cannot be read or written.
    """
    if not job.run:  # of no run that is recorded, so of no order
        yield job
        return
    mine = Turn(job.run, job.fingerprint, cellprofiler)
    key = keys.below(f"{ledger.folder}/turns", job.id)
    job = _taken(ledger, key, job, mine, cancelled)
    try:
        yield job
    except BaseException:
        with contextlib.suppress(StorageError):
            if _read(ledger, key) == mine:  # nobody need wait for it
                ledger.storage.remove(key)
        raise
    now = _read(ledger, key)
    if now is not None and now != mine and not now.is_like(mine):
        # Both may have put files there: neither of them is whole.
        ledger.set_aside(replace(job, earlier=(str(now.marker(job)),)))
        raise _superseded(now)


def _taken(
    ledger: Ledger, key: str, job: Job, mine: Turn, cancelled: Callable[[], bool]
) -> Job:
    """Write the key; give the job, with the marker of the run that had written it."""
    if ledger.storage.create(key, _text(mine)):
        return job
    before = _settled(ledger, key, job, mine, cancelled)
    if before is not None and before.run > mine.run:
        if before.is_like(mine):
            return job
        raise _superseded(before)
    ledger.storage.write(key, _text(mine))
    if before is None or before.is_like(mine):
        return job
    markers = dict.fromkeys((*job.earlier, str(before.marker(job))))
    return replace(job, earlier=tuple(markers))


def _settled(
    ledger: Ledger, key: str, job: Job, mine: Turn, cancelled: Callable[[], bool]
) -> Turn | None:
    """What the key says, once an earlier run cannot be publishing any more."""
    until = time.monotonic() + WAIT_S
    while True:
        before = _read(ledger, key)
        if before is None or before.is_like(mine) or before.run > mine.run:
            return before
        marker = str(before.marker(job))
        whole = marker in job.earlier or ledger.has(marker)
        if whole or before.has_died or time.monotonic() > until:
            return before
        if cancelled():
            raise AttemptError(FailureKind.CANCELLED, "cancelled")
        time.sleep(_EVERY_S)


def _superseded(by: Turn) -> AttemptError:
    return AttemptError(
        FailureKind.SUPERSEDED,
        f"run {by.run} of this step began later, with other input, and publishes this "
        "job: nothing was published",
    )


def _text(turn: Turn) -> bytes:
    return json.dumps(asdict(turn)).encode()


def _read(ledger: Ledger, key: str) -> Turn | None:
    """What a key says; None if it is gone, or damaged, which is told."""
    return _TURN.read(ledger.storage, key)
