"""Signals while the program starts, when nothing has been begun yet.

An import takes a good part of a second, and an exception that comes out of one may be
taken for another, or be swallowed.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """While something is imported, Ctrl-C and SIGTERM end the process with a line."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are none of its business
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in before.items():
            if (
                handler is not signal.SIG_IGN
            ):  # as a shell has it for what is not in front
                signal.signal(number, _stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: object) -> None:
    os.write(2, b"stopped: nothing was begun\n")
    os._exit(130)
