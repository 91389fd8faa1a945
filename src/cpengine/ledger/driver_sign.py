"""What a run's driver says of itself in the ledger, and whether it lives.

On one machine its process is asked. Elsewhere its sign is watched: a driver that lives
writes it anew every few seconds. Clocks are never compared, for they differ between
machines, and nothing is changed by looking.
"""

import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import user_name
from cpengine.rules import Finding
from cpengine.storage.own_files import OwnFile, of_form, unless_damaged
from cpengine.storage.parallel import each
from cpengine.system import namespace, usage
from cpengine.wording import duration, on_one_line

EVERY_S = 5.0
"""How often the driver says that it lives, and whether it is to stop."""
SILENT_S = 12 * EVERY_S
"""A driver that has said nothing for so long is gone, or cannot say anything."""
_POLL_S = 1.0
_AHEAD_S = 300.0
"""A driver's clock is ahead of ours by less."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a driver says of itself."""

    run: str
    """The id of the run's record."""
    time: str
    """UTC, ISO 8601, by the driver's clock."""
    progress: str
    """How far the run has come, for people."""
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    traces: Mapping[str, str] = field(default_factory=dict)
    """What would be left of its executor if it were killed. See `Executor.traces`."""
    namespace: str = field(default_factory=lambda: str(namespace.own()))
    """Where that process number means it; empty if it does not say so."""
    process_began: str = field(default_factory=lambda: usage.process_began(os.getpid()))
    """Tells the process from a later one of that number; empty if it does not say."""
    user: str = field(default_factory=user_name)
    started: str = ""
    """When the run began: as `time`."""
    beat: int = 0
    """How many signs it gave before."""
    checking: bool = False
    """Whether it still checks that no other run has its jobs."""
    yields: tuple[str, ...] = ()
    """The runs that it waits for meanwhile: they go first."""

    @property
    def is_near(self) -> bool:
        """Whether its process can be asked from here."""
        theirs = namespace.PidNamespace.parse(self.namespace)
        return theirs is not None and theirs.shares_numbers(namespace.own())

    @property
    def has_died(self) -> bool:
        """Whether it is certain that its process has ended."""
        return namespace.has_died(self.pid, self.namespace, self.process_began)

    @property
    def silent_s(self) -> float:
        """Seconds since then, as far as the clocks agree; without end if no clock can
        be so far ahead.
        """
        if not self.time:  # it cannot be read
            return math.inf
        then = datetime.fromisoformat(self.time)
        silent_s = (datetime.now(UTC) - then).total_seconds()
        return math.inf if silent_s < -_AHEAD_S else max(0.0, silent_s)

    @property
    def seems_alive(self) -> bool:
        """What one look tells, to be shown: nothing may depend on it."""
        if self.is_near:
            return not self.has_died
        return self.silent_s <= SILENT_S

    @property
    def silence(self) -> str:
        """That a driver on this machine, whose process lives, gives no sign."""
        if not self.is_near or self.has_died or self.silent_s < SILENT_S:
            return ""
        return (
            f" (no sign for {self.silent_s:.0f} s: process {self.pid} is stopped, or "
            f"cannot write: `kill -CONT {self.pid}` lets a stopped one go on)"
        )

    def __str__(self) -> str:
        """`ann's run on node7, since 2026-01-01T00:00:00+00:00 (4 min ago), 3/9 ...`"""
        whose = f"{self.user}'s run" if self.user else "a run"
        begun = f", since {self.started} ({ago(self.started)})" if self.started else ""
        progress = f", {self.progress}" if self.progress else ""
        return on_one_line(f"{whose} on {self.host}{begun}{progress}")


def ago(time: str) -> str:
    """`4 min ago`, of an ISO 8601 time with its zone."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()
    if seconds < 1:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    return f"{duration(seconds // 60 * 60)} ago"


def _parse(data: Any) -> Sign:
    """A sign that another driver gave; what it lacks is not ours."""
    sign: Sign = _FORM(_UNSAID | data)
    if sign.pid < 0:
        raise ValueError("pid: is no number of a process")
    for given in (sign.time, sign.started or sign.time):
        if datetime.fromisoformat(given).tzinfo is None:
            raise ValueError(f"{given}: is without a zone")
    return replace(
        sign,
        progress=on_one_line(sign.progress),
        host=on_one_line(sign.host),
        user=on_one_line(sign.user),
    )


_TEXTS = ("progress", "host", "namespace", "user", "process_began")
_UNSAID: Mapping[str, Any] = dict.fromkeys(_TEXTS, "") | {"pid": 0}
_FORM = of_form(Sign)
SIGN = OwnFile(_parse, "remove it, if its driver is gone")


def key_of(ledger: Ledger, run: str) -> str:
    """Where the driver of a run gives its sign."""
    return f"{ledger.folder}/drivers/{run}.alive"


def runs_with_sign(ledger: Ledger) -> list[str]:
    """The runs whose driver has given a sign that is still there; one listing."""
    names = ledger.storage.sizes(f"{ledger.folder}/drivers")
    return [run for name in names if (run := name.removesuffix(".alive")) != name]


def read(ledger: Ledger, run: str) -> Sign | None:
    """The last sign of a run's driver; None if it has ended well, or gave none.

    One that cannot be read is told of. A driver that lives writes it anew.
    """
    return SIGN.read(ledger.storage, key_of(ledger, run))


def read_all(ledger: Ledger) -> list[Sign]:
    """The last signs of all drivers that have not ended well; one listing.

    Those that cannot be read are told of, and given without what they say.
    """
    runs = sorted(runs_with_sign(ledger))
    keys = [key_of(ledger, run) for run in runs]
    found = each(lambda key: SIGN.look_up(ledger.storage, key), keys)
    pairs = [(run, sign) for run, sign in zip(runs, found, strict=True) if sign]
    return [unless_damaged(sign) or _unreadable(run) for run, sign in pairs]


def watch(
    ledger: Ledger,
    run: str,
    note: Callable[[Sign], None] = lambda sign: None,
) -> Sign | None:
    """The newest sign of a driver that lives; None if it is gone, or says nothing.

    Parameters
    ----------
    note
        Is told of the sign once if it takes time to see whether it changes.
    Raises
    ------
    StorageError
        The ledger cannot be read.
    """
    first = _state(ledger, run)
    if first is None or first.lives is not None:
        return first.sign if first and first.lives else None
    note(first.sign)
    until = time.monotonic() + SILENT_S
    while time.monotonic() < until:
        time.sleep(min(_POLL_S, SILENT_S / 10))
        state = _state(ledger, run)
        if state is None:
            return None
        if state.sign != first.sign or state.data != first.data:
            return state.sign
    return None


@dataclass(frozen=True, slots=True)
class _SignState:
    """What a sign is at one time."""

    data: bytes
    sign: Sign
    lives: bool | None
    """None where only another sign could tell."""


def _state(ledger: Ledger, run: str) -> _SignState | None:
    key = key_of(ledger, run)
    data = ledger.storage.read_if_there(key)
    if data is None:
        return None
    sign = SIGN.parse(data, ledger.storage.url(key))
    if isinstance(sign, Finding):  # cut short, or of a version to come
        return _SignState(data, _unreadable(run), None)
    if sign.has_died:
        return _SignState(data, sign, False)
    return _SignState(data, sign, True if sign.is_near else None)


def _unreadable(run: str) -> Sign:
    host = "a host that cannot be read"
    return Sign(run, "", "", host, pid=0, namespace="", process_began="", user="")
