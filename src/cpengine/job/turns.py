"""Whose turn it is to publish a job's results, where two runs have the same job.

Runs of a step are numbered in the order in which they began. Before its first file a
job writes one small key, and before its marker it reads that again. A run that ends
late finds the key of a later one there, and publishes nothing. Runs whose results
would be the same take turns, too: even these differ in times, and so in sizes. So do
jobs of no run that is recorded, in any order.

The key tells which files are published: what is left of them if the run is killed.
"""

import contextlib
import json
import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from uuid import uuid4

from cpengine.errors import InputError, StorageError
from cpengine.ledger.ledger import Ledger
from cpengine.marker import Marker, MarkerState
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.storage import keys
from cpengine.storage.own_files import OwnFile, of_form, unless_damaged
from cpengine.system import namespace

WAIT_S = 60.0
"""So long a job waits for another run that may be in the middle of publishing."""
_EVERY_S = 0.5
_LATE_S = 1.0
"""So long what a killed run has sent to a remote storage may still be on its way."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a job's key says: who publishes, or has."""

    run: int
    """The number of its run."""
    fingerprint: str
    version: str
    """Of the CellProfiler that made the results."""
    step: str
    job_id: str
    files: tuple[str, ...] = ()
    """What may be there when it is killed."""
    pid: int = field(default_factory=os.getpid)
    namespace: str = field(default_factory=lambda: str(namespace.own()))
    """Where that process number means it."""
    ledger: str = ""
    """The name of the ledger that has its marker."""
    over: tuple[tuple[str, str], ...] = ()
    """Ledgers and names of markers whose files are there until it replaces them."""
    attempt: str = ""
    """Which of its process's attempts it is."""

    @property
    def marker(self) -> str:
        """The name of the marker that stands for these results once they are whole."""
        done = MarkerState.DONE
        return str(Marker(self.job_id, self.fingerprint, self.version, done))

    def is_of(self, other: "Turn") -> bool:
        """Whether both are of one job; another one may have had the same place."""
        return (self.ledger, self.job_id) == (other.ledger, other.job_id)

    def is_like(self, other: "Turn") -> bool:
        """Whether the results of both are the same."""
        return self.is_of(other) and self.marker == other.marker

    def is_later(self, other: "Turn") -> bool:
        """Whether it is of a later run, with other results, than another one.

        A job of no run that is recorded has no place in their order.
        """
        ordered = self.run > other.run > 0
        return ordered and self.is_of(other) and not self.is_like(other)

    def is_over(self, mine: "Turn") -> bool:
        """Whether nobody can be publishing; mostly not known of other machines."""
        if self == _spoilt(self):
            return True
        if (self.pid, self.namespace) == (mine.pid, mine.namespace):
            return self.attempt not in _ATTEMPTS
        return namespace.has_died(self.pid, self.namespace)

    def after(self, before: "Turn", *, whole: bool) -> "Turn":
        """This turn, taken after another one.

        Parameters
        ----------
        whole
            Whether the other has its marker: else nobody else knows its files.

        Raises
        ------
        AttemptError
            It is one of a later run, with other results.
        """
        if before.is_later(self):
            raise _superseded(before)
        files = tuple(sorted({*self.files, *(() if whole else before.files)}))
        run = max(self.run, before.run) if before.is_of(self) else self.run
        over = dict.fromkeys(() if whole else before.over)
        if before.fingerprint and not before.is_like(self):
            over[before.ledger, before.marker] = None
        return replace(self, run=run, files=files, over=tuple(over))


@dataclass(slots=True)
class Taken:
    """What a job knows when it is its turn, and what it takes back by publishing."""

    ledger: Ledger
    job: Job
    """The job, which also knows the marker of the run that published before it."""
    left_over: frozenset[str] = frozenset()
    """Files that may be in its place, of runs that came to no end."""
    over: tuple[tuple[Ledger, str], ...] = ()
    """Markers whose files are there, with their ledgers."""
    is_touched: bool = False
    """Whether a file in its place may have been replaced."""
    _aside: list[tuple[Ledger, str]] = field(default_factory=list)

    def set_aside(self) -> None:
        """Take back that what is in its place is whole."""
        own = ((self.ledger, name) for name in self.ledger.done_markers(self.job))
        for ledger, name in (*own, *self.over):
            if ledger.set_aside(name):
                self._aside.append((ledger, name))

    @contextlib.contextmanager
    def replacing(self) -> Iterator[None]:
        """Put a file in place. A storage elsewhere may have it though it says no."""
        self.is_touched |= not self.ledger.storage.is_local(self.job.destination)
        yield
        self.is_touched = True

    @contextlib.contextmanager
    def brought_back(self) -> Iterator[None]:
        """Where it fails before a file is replaced, all stays done that was."""
        try:
            yield
        except BaseException:  # a cancelled job, too, has undone nothing
            while self._aside and not self.is_touched:
                ledger, name = self._aside.pop()
                with contextlib.suppress(StorageError):
                    ledger.bring_back(name)
            raise


_FORM = of_form(Turn)
_TURN: OwnFile[Turn] = OwnFile(
    lambda data: _FORM({"namespace": ""} | data), "go on: it is written anew"
)


_ATTEMPTS: set[str] = set()
"""The attempts of this process that have come to no end."""


@contextlib.contextmanager
def attempt_name() -> Iterator[str]:
    """Name an attempt at a job, which others wait for until it has ended."""
    name = uuid4().hex
    _ATTEMPTS.add(name)
    try:
        yield name
    finally:
        _ATTEMPTS.discard(name)


@contextlib.contextmanager
def turn(
    ledger: Ledger,
    job: Job,
    cellprofiler: str,
    files: Iterable[str] = (),
    *,
    attempt: str = "",
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Taken]:
    """Publish a job's results, and see in the end that nobody else has meanwhile.

    Parameters
    ----------
    cellprofiler
        The version that made the results.
    files
        Those that are to be published.
    attempt
        The name of the attempt; it goes on until its marker is written.
    cancelled
        Whether to stop waiting.

    Raises
    ------
    AttemptError
        A later run has published, or has begun to; or it was cancelled.
    StorageError
        The ledger cannot be read or written.
    """
    names = tuple(sorted(files))
    mine = Turn(job.run, job.fingerprint, cellprofiler, job.step, job.id, names)
    mine = replace(mine, ledger=ledger.name, attempt=attempt)
    held = _TurnKey(ledger, job, ledger.turn(job), cancelled)
    mine, before, taken = held.take(mine)
    try:
        with taken.brought_back():
            yield taken
    except BaseException:  # a cancelled one, too, must keep nobody waiting
        with contextlib.suppress(StorageError):
            held.give_up(mine, None if taken.is_touched else before)
        raise
    held.leave(mine)


@dataclass(frozen=True, slots=True)
class _TurnKey:
    """Those that would publish a job: one at a time holds its key."""

    ledger: Ledger
    job: Job
    key: str
    cancelled: Callable[[], bool]

    def take(self, mine: Turn) -> tuple[Turn, bytes | None, Taken]:
        """Write the key when it is its turn; give what is written, and what was."""
        mine, job = self._after(mine, self.job, self._older(mine))
        if self.ledger.storage.create(self.key, _text(mine)):
            return mine, None, self._taken(job, mine)
        while True:
            text, before = self._settled(mine)
            next_, job = self._after(mine, job, before)
            if self._write(text, next_):
                return next_, text, self._taken(job, next_)

    def _after(self, mine: Turn, job: Job, before: Turn | None) -> tuple[Turn, Job]:
        """A turn that is taken after another one, and the job that knows of that."""
        if before is None:
            return mine, job
        whole = self.is_whole(before)
        if whole and self._is_of_another_batch(before):
            raise InputError(self._refusal(before))
        if not whole and not self.ledger.storage.is_local(self.key):
            time.sleep(_LATE_S)
        if before.is_of(mine) and not before.is_like(mine):
            earlier = dict.fromkeys((*job.earlier, before.marker))
            job = replace(job, earlier=tuple(earlier))
        return mine.after(before, whole=whole), job

    def is_whole(self, turn: Turn) -> bool:
        """Whether a turn has come to its end, with a marker."""
        return self._ledger_of(turn.ledger).has(turn.marker)

    def _is_of_another_batch(self, turn: Turn) -> bool:
        return posixpath.dirname(turn.ledger) != posixpath.dirname(self.ledger.name)

    def _refusal(self, by: Turn) -> str:
        storage, batch = self.ledger.storage, posixpath.dirname(by.ledger)
        return (
            f"{storage.url(self.job.destination)}: has the results of {by.job_id} of "
            f"batch {batch}: give each batch an output of its own"
        )

    def _older(self, mine: Turn) -> Turn | None:
        """What the key says that a version before has written."""
        if not self.job.older_records:
            return None
        key = self.ledger.older_turn(self.job)
        return self._before(self.ledger.storage.read_if_there(key), mine)

    def _taken(self, job: Job, mine: Turn) -> Taken:
        over = tuple((self._ledger_of(name), marker) for name, marker in mine.over)
        return Taken(self.ledger, job, frozenset(mine.files), over)

    def _write(self, before: bytes | None, mine: Turn) -> bool:
        """Write the key; whether nobody else has since it was read."""
        storage, text = self.ledger.storage, _text(mine)
        if before is None:
            return storage.create(self.key, text)
        return storage.replace(self.key, before, text)

    def _settled(self, mine: Turn) -> tuple[bytes | None, Turn | None]:
        """What the key says, once nobody else can be publishing any more."""
        until = time.monotonic() + WAIT_S
        while True:
            text = self.ledger.storage.read_if_there(self.key)
            before = self._before(text, mine)
            if before is None or before.is_over(mine) or time.monotonic() > until:
                return text, before
            if self.is_whole(before) or before.is_later(mine):
                return text, before
            if self.cancelled():
                raise AttemptError(FailureKind.CANCELLED, "cancelled")
            time.sleep(_EVERY_S)

    def _before(self, text: bytes | None, mine: Turn) -> Turn | None:
        """What a key says, with a later number than ours only if a run has it.

        Whoever may write a message or a key could bar a job for ever by it.
        """
        before = self._parse(text)
        if before is None or not before.is_of(mine) or before.run <= mine.run:
            return before
        return before if self.ledger.has_run(before.run) else replace(before, run=0)

    def give_up(self, mine: Turn, before: bytes | None) -> None:
        """Let nobody wait for a turn that came to no end; its files stay known.

        Parameters
        ----------
        before
            What the key said, if that is true still; None if there was none, or files
            may have been replaced.
        """
        if before is not None:
            self.ledger.storage.replace(self.key, _text(mine), before)
        elif self.read() == mine:
            self._spoil(mine)

    def _spoil(self, turn: Turn) -> None:
        self.ledger.storage.write(self.key, _text(_spoilt(turn)))

    def leave(self, mine: Turn) -> None:
        """See that nobody else has published meanwhile.

        Both may have put files there, so that neither of them is whole. The key says
        so first: the other has its marker already, or will read that.
        """
        now = self.read()
        if now is None or now == mine or now.is_like(mine):
            return
        files = tuple(sorted({*now.files, *mine.files}))
        self._spoil(replace(now, files=files))
        self._ledger_of(now.ledger).set_aside(now.marker)
        raise AttemptError(
            FailureKind.SUPERSEDED,
            "another run published this job at the same time: neither counts",
        )

    def _ledger_of(self, name: str) -> Ledger:
        """A ledger of the project, by its name."""
        if name == self.ledger.name:
            return self.ledger
        return replace(self.ledger, folder=keys.below(self.ledger.home, name))

    def read(self) -> Turn | None:
        """What the key says; None if it is gone, or damaged, which is told."""
        return self._parse(self.ledger.storage.read_if_there(self.key))

    def _parse(self, text: bytes | None) -> Turn | None:
        place = self.ledger.storage.url(self.key)
        found = None if text is None else unless_damaged(_TURN.parse(text, place))
        if found is None or found.ledger:
            return found
        name = self.ledger.name  # of its batch: a version before has written it
        if found.step != self.job.step:
            name = posixpath.join(posixpath.dirname(name), found.step)
        return replace(found, ledger=name)


def publisher_of(ledger: Ledger, job: Job) -> str:
    """The name of the ledger whose results lie in a job's place; empty if of none."""
    turn = _TurnKey(ledger, job, ledger.turn(job), lambda: True)
    return found.ledger if (found := turn.read()) and turn.is_whole(found) else ""


def _spoilt(turn: Turn) -> Turn:
    """What stands for a turn whose files may be some of several, or not all."""
    return replace(turn, run=0, fingerprint="", version="")


def _superseded(by: Turn) -> AttemptError:
    return AttemptError(
        FailureKind.SUPERSEDED,
        f"run {by.run} of this step began later, with other input, and publishes this "
        "job: nothing was published",
    )


def _text(turn: Turn) -> bytes:
    return json.dumps(asdict(turn)).encode()
