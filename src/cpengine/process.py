"""Run one child program to its end, or end it: timeout, cancel, death of the parent."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event as Flag
from typing import IO

from cpengine.model import FailureKind

_LOOK_S = 0.2
"""How often a silent child is looked at."""
_GRACE_S = 5.0
"""How long a child that closed its output may take to exit."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    code: int
    """Its exit code; minus the signal's number if a signal ended it."""
    reason: FailureKind | None = None
    """Why we ended it, if we did."""
    why: str = ""


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    follow: Callable[[str], None],
    cancelled: Flag,
    timeout_s: float | None = None,
) -> Ended:
    """Run a program, keep its output in `log` and pass each line to `follow`.

    Both its output streams go to the log, in order. It dies with this process.
    """
    process = subprocess.Popen(
        [*_dies_with_parent(), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=dict(environment),
        start_new_session=True,  # Ctrl-C reaches us alone; we end the whole group
    )
    deadline = time.monotonic() + timeout_s if timeout_s else None
    reason: FailureKind | None = FailureKind.CANCELLED  # unless _attend comes back
    try:
        with log.open("wb") as kept:
            reason = _attend(process, kept, follow, cancelled, deadline)
    finally:
        _end(process, at_once=reason is not None)
    if reason is FailureKind.TIMEOUT:
        return Ended(process.returncode, reason, f"ended after {timeout_s:g} s")
    return Ended(process.returncode, reason, "cancelled" if reason else "")


@cache
def _dies_with_parent() -> tuple[str, ...]:
    """A prefix by which Linux ends the child when we are killed ourselves."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL") if setpriv else ()


def _attend(
    process: subprocess.Popen[bytes],
    kept: IO[bytes],
    follow: Callable[[str], None],
    cancelled: Flag,
    deadline: float | None,
) -> FailureKind | None:
    """Pass on output until there is no more, or say why to end the child."""
    assert process.stdout is not None
    stream = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if cancelled.is_set():
                return FailureKind.CANCELLED
            if deadline is not None and time.monotonic() > deadline:
                return FailureKind.TIMEOUT
            if not selector.select(_LOOK_S):
                continue
            data = os.read(stream, 65536)
            if not data:
                return None
            kept.write(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                follow(line.decode(errors="replace"))


def _end(process: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """Wait for a child that closed its output; kill its group if it lingers.

    Killing is safe: an attempt writes in its scratch folder only.
    """
    if process.stdout:
        process.stdout.close()
    if not at_once:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
