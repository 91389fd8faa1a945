"""The tie between a run's driver and those who look after it from elsewhere.

The driver says in the ledger that it lives, and looks there whether it is to stop, so
everybody who sees the outputs can follow and cancel a run.
"""

import contextlib
import json
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from cpengine.errors import StorageError
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from cpengine.rules import Finding
from cpengine.storage.own_files import OwnFile, of_form
from cpengine.system import namespace
from cpengine.wording import on_one_line

EVERY_S = 5.0
"""How often the driver says that it lives, and looks."""
_SILENT_S = 12 * EVERY_S
"""A driver that has said nothing for so long is gone."""
_AHEAD_S = 300.0
"""A driver's clock is ahead of ours by less."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a driver says of itself."""

    run: str
    """The id of the run's record."""
    time: str
    """UTC, ISO 8601."""
    progress: str
    """How far the run has come, for people."""
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    traces: Mapping[str, str] = field(default_factory=dict)
    """What would be left of its executor if it were killed. See `Executor.traces`."""
    namespace: str = field(default_factory=lambda: str(namespace.own()))
    """Where that process number means it; empty if it does not say so."""

    @property
    def silent_s(self) -> float:
        """Seconds since then; without end if no clock can be so far ahead."""
        then = datetime.fromisoformat(self.time)
        silent_s = (datetime.now(UTC) - then).total_seconds()
        return math.inf if silent_s < -_AHEAD_S else max(0.0, silent_s)

    @property
    def alive(self) -> bool:
        """Whether the driver can be expected to live."""
        died = namespace.has_died(self.pid, self.namespace)
        return self.silent_s <= _SILENT_S and not died


def _sign_of(data: Any) -> Sign:
    """A sign that another driver gave; what it lacks is not ours."""
    unsaid = {"progress": "", "host": "", "pid": 0, "namespace": ""}
    sign: Sign = _FORM(unsaid | data)
    if datetime.fromisoformat(sign.time).tzinfo is None:
        raise ValueError("time: is without a zone")
    progress, host = on_one_line(sign.progress), on_one_line(sign.host)
    return replace(sign, progress=progress, host=host)


_FORM = of_form(Sign)
SIGN = OwnFile(_sign_of, "remove it, if its driver is gone")


class Heartbeat:
    """Says that this process drives a run, until it is left.

    Parameters
    ----------
    progress
        Says how far the run has come.
    stop
        Called once when the run is to stop. By default this process is sent the signal
        that its main thread takes for Ctrl-C.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: str,
        traces: Mapping[str, str],
        progress: Callable[[], str],
        stop: Callable[[], None] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._ledger = ledger
        self._run = run
        self._traces = traces
        self._progress = progress
        self._stop = stop or _interrupt
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="lifeline", daemon=True)

    def __enter__(self) -> Self:
        with contextlib.suppress(StorageError):
            _sweep(self._ledger)
        self._say()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        storage = self._ledger.storage
        with contextlib.suppress(StorageError):
            storage.remove(_sign(self._ledger, self._run))
            storage.remove(_request(self._ledger, self._run))

    def _say(self) -> None:
        sign = Sign(self._run, now(), self._progress(), traces=self._traces)
        with contextlib.suppress(StorageError):  # the next one may come through
            self._ledger.storage.write(
                _sign(self._ledger, self._run), json.dumps(asdict(sign)).encode()
            )

    def _live(self) -> None:
        asked = False
        while not self._over.wait(self._every_s):
            self._say()
            if not asked and self._is_asked():
                asked = True
                self._stop()

    def _is_asked(self) -> bool:
        request = _request(self._ledger, self._run)
        with contextlib.suppress(StorageError):
            return self._ledger.storage.read_if_there(request) is not None
        return False


def sign_of(ledger: Ledger, run: str) -> Sign | None:
    """The last sign of a run's driver; None if it has ended well, or gave none."""
    key = _sign(ledger, run)
    if isinstance(SIGN.look_up(ledger.storage, key), Finding):
        time.sleep(1.5 * EVERY_S)  # a driver that lives writes it anew meanwhile
    return SIGN.read(ledger.storage, key)


def is_alone(ledger: Ledger, run: str) -> bool:
    """Whether a run has given its sign, and no driver of another one lives.

    Of two runs that ask at the same time none is told so. One that cannot be read is
    taken to live.
    """
    names = ledger.storage.sizes(f"{ledger.folder}/drivers")
    signs = {other for name in names if (other := name.removesuffix(".alive")) != name}
    others = signs - {run}
    return run in signs and not any(_may_live(ledger, other) for other in others)


def _may_live(ledger: Ledger, run: str) -> bool:
    sign = SIGN.look_up(ledger.storage, _sign(ledger, run))
    return sign is not None and (isinstance(sign, Finding) or sign.alive)


def is_own(ledger: Ledger, run: str) -> bool:
    """Whether this user has written a driver's last sign."""
    return ledger.is_own(f"drivers/{run}.alive")


def ask_to_stop(ledger: Ledger, run: str) -> None:
    """Ask a run's driver to stop as by Ctrl-C. Raises StorageError if that fails."""
    ledger.storage.write(_request(ledger, run), b"")


def _sweep(ledger: Ledger) -> None:
    """Remove what this user's drivers have left that were killed."""
    for name in ledger.storage.sizes(f"{ledger.folder}/drivers"):
        run, _, kind = name.rpartition(".")
        key = _sign(ledger, run)
        # One that cannot be read, perhaps of another version, is left alone.
        sign = SIGN.look_up(ledger.storage, key) if kind == "alive" else None
        # Others' runs are theirs to end: their worker jobs are known by it.
        if isinstance(sign, Sign) and not sign.alive and is_own(ledger, run):
            clean_up(ledger, run)


def clean_up(ledger: Ledger, run: str) -> None:
    """Remove what a driver that was killed has left."""
    ledger.storage.remove(_sign(ledger, run))
    ledger.storage.remove(_request(ledger, run))


def _sign(ledger: Ledger, run: str) -> str:
    return f"{ledger.folder}/drivers/{run}.alive"


def _request(ledger: Ledger, run: str) -> str:
    return f"{ledger.folder}/drivers/{run}.stop"


def _interrupt() -> None:
    """Do as Ctrl-C does; SIGINT is ignored by what a shell runs in the background."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if callable(signal.getsignal(number)):
            os.kill(os.getpid(), number)
            return
