"""The tie between a run's driver and those who look after it from elsewhere.

The driver says in the ledger that it lives, which jobs it has, and looks there whether
it is to stop, so everybody who sees the outputs can follow and cancel a run.
"""

import contextlib
import ctypes
import json
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Any, Self

from cpengine.errors import PlaceRefusedError, StorageError
from cpengine.ledger import driver_sign, run_record
from cpengine.ledger.driver_sign import EVERY_S, SIGN, Sign, key_of
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from cpengine.storage.own_files import OwnFile, of_form

_PAUSES_S = (0.2, 1.0, 4.0)
"""Before it is tried again to write the first sign."""


class Heartbeat:
    """Says that this process drives a run, until it is left.

    Parameters
    ----------
    jobs
        The ids of its jobs; others are told by them what they must not run.
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
        jobs: Collection[str],
        progress: Callable[[], str],
        stop: Callable[[], None] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._progress = progress
        self._stop = stop or _interrupt
        self._every_s = every_s
        self._sign = Sign(run, now(), "", started=now(), checking=True)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._live, name="heartbeat", daemon=True
        )

    def __enter__(self) -> Self:
        """Begin. Raises StorageError where the first sign cannot be written."""
        with contextlib.suppress(StorageError):
            _sweep(self._ledger)
        text = json.dumps(list(self._jobs))
        try:
            key = _jobs(self._ledger, self._sign.run)
            _whatever_passes(lambda: self._ledger.storage.write(key, text.encode()))
            _whatever_passes(self._write)
        except StorageError:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(StorageError):
            clean_up(self._ledger, self._sign.run)

    def admitted(self) -> None:
        """Say that the run's jobs are its own from now on."""
        self._say(checking=False)

    def yield_to(self, run: str) -> None:
        """Say that another run that checks, too, goes first."""
        if run not in self._sign.yields:
            self._say(yields=(*self._sign.yields, run))

    def leaves(self, traces: Mapping[str, str]) -> None:
        """Say what would be left of the executor; see `Executor.traces`."""
        self._say(traces=traces)

    def _say(self, **changes: Any) -> None:
        with contextlib.suppress(StorageError):  # the next one may come through
            self._write(**changes)

    def _write(self, **changes: Any) -> None:
        with self._lock:
            self._sign = replace(
                self._sign,
                time=now(),
                progress=self._progress(),
                beat=self._sign.beat + 1,
                **changes,
            )
            key = key_of(self._ledger, self._sign.run)
            text = json.dumps(asdict(self._sign))
            self._ledger.storage.write(key, text.encode())

    def _live(self) -> None:
        asked = False
        while not self._over.wait(self._every_s):
            self._say()
            if not asked and self._is_asked():
                asked = True
                self._stop()

    def _is_asked(self) -> bool:
        request = _request(self._ledger, self._sign.run)
        with contextlib.suppress(StorageError):
            return self._ledger.storage.read_if_there(request) is not None
        return False


_JOBS: OwnFile[list[str]] = OwnFile(of_form(list[str]), "go on: it is written anew")


def jobs_of(ledger: Ledger, run: str) -> frozenset[str] | None:
    """The ids of the jobs that a run has; None if that cannot be known.

    Raises
    ------
    StorageError
        The ledger cannot be read.
    """
    found = _JOBS.read(ledger.storage, _jobs(ledger, run))
    return None if found is None else frozenset(found)


def is_alone(ledger: Ledger, run: str) -> bool:
    """Whether a run has given its sign, and no driver of another one lives.

    Of two runs that ask at the same time none is told so.
    """
    signs = driver_sign.runs_with_sign(ledger)
    others = (other for other in signs if other != run)
    return run in signs and not any(
        driver_sign.watch(ledger, other) for other in others
    )


def is_own(ledger: Ledger, run: str) -> bool:
    """Whether this user has written a driver's last sign."""
    return ledger.is_own(f"drivers/{run}.alive")


def ask_to_stop(ledger: Ledger, run: str) -> None:
    """Ask a run's driver to stop as by Ctrl-C. Raises StorageError if that fails."""
    ledger.storage.write(_request(ledger, run), b"")


def replace_silent(ledger: Ledger, run: str) -> None:
    """Take over from a driver that says nothing; should it wake up, it stops.

    Its request to stop stays, for a machine may sleep for days. The sign of another
    user's run stays, too: by it they find what it has left.

    Raises
    ------
    StorageError
        The ledger cannot be written.
    """
    sign = SIGN.look_up(ledger.storage, key_of(ledger, run))
    if sign is not None and not (isinstance(sign, Sign) and sign.has_died):
        ask_to_stop(ledger, run)
    elif is_own(ledger, run):
        ledger.storage.remove(_request(ledger, run))
    if is_own(ledger, run):
        run_record.close(ledger, run)
        ledger.storage.remove(key_of(ledger, run))
        ledger.storage.remove(_jobs(ledger, run))


def _whatever_passes(write: Callable[[], object]) -> None:
    """Write; where storage fails, again after a while. Raises StorageError in the end.

    Nobody may go without the first sign, and nobody should end for a fault that passes.
    """
    for pause_s in _PAUSES_S:
        try:
            write()
        except PlaceRefusedError:
            raise
        except StorageError:
            time.sleep(pause_s)
        else:
            return
    write()


def _sweep(ledger: Ledger) -> None:
    """Remove what this user's drivers have left that were killed on this machine."""
    for run in driver_sign.runs_with_sign(ledger):
        # One that cannot be read, perhaps of another version, is left alone.
        sign = SIGN.look_up(ledger.storage, key_of(ledger, run))
        # Others' runs are theirs to end: their worker jobs are known by it.
        if isinstance(sign, Sign) and sign.has_died and is_own(ledger, run):
            run_record.close(ledger, run)
            clean_up(ledger, run)


def clean_up(ledger: Ledger, run: str) -> None:
    """Remove what a driver that has ended has left."""
    for key in (key_of(ledger, run), _request(ledger, run), _jobs(ledger, run)):
        ledger.storage.remove(key)


def _request(ledger: Ledger, run: str) -> str:
    return f"{ledger.folder}/drivers/{run}.stop"


def _jobs(ledger: Ledger, run: str) -> str:
    return f"{ledger.folder}/drivers/{run}.jobs"


def _interrupt() -> None:
    """Do as Ctrl-C does; SIGINT is ignored by what a shell runs in the background."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if callable(signal.getsignal(number)):
            # To the main thread itself: another one would not wake it.
            signal.pthread_kill(threading.main_thread().ident or 0, number)
            return
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    stop = ctypes.py_object(KeyboardInterrupt)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(main, stop)
