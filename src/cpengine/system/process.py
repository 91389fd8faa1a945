"""Run one child program to its end, or end it: a limit, cancel, death of the parent."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event as Flag
from typing import IO, Protocol

from cpengine.model import AttemptError, FailureKind
from cpengine.system.usage import (
    PROC,
    Meter,
    Sample,
    Silence,
    Usage,
    exited,
    oom_counter,
    oom_kills,
    own_peak,
    sample,
    usage,
)
from cpengine.wording import gigabytes

_CHECK_EVERY_S = 0.2
"""How often a silent child is looked at."""
_GRACE_S = 5.0
"""How long a child that closed its output may take to exit."""
_LAST_SIGNAL = 31
"""The highest number of those that end programs which fail."""
_SIGKILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit codes of a child that SIGKILL ended, and of a shell that had waited for it."""


def no_objection(memory: int) -> str | None:
    """Ends nothing, whatever memory a child has."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to end a child; None is never."""

    timeout_s: float | None = None
    """Seconds since its start."""
    stall_s: float | None = None
    """Seconds without output in which its tree used under 1 % of a CPU."""
    memory_bytes: int | None = None
    """Resident memory of its tree, looked at about once a second."""
    objection: Callable[[int], str | None] = no_objection
    """Told that memory; says why the child must make room for others, if it must."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, and what it had used."""

    code: int
    """Its exit code; minus the signal's number if a signal ended it."""
    reason: FailureKind | None = None
    """Why we or the kernel's want of memory ended it, if so."""
    why: str = ""
    cpu_s: float = 0.0
    """User and system time of the child and its descendants."""
    peak_memory: int = 0
    """Most bytes resident in its tree at one time, as far as seen."""
    error: str | None = None
    """The first exception that it told of, if it tells of them."""
    module: str | None = None
    """The CellProfiler module that raised that, if one did."""


@dataclass(frozen=True, slots=True)
class Stop:
    """That we end a child, and why."""

    reason: FailureKind
    why: str


CANCELLED = Stop(FailureKind.CANCELLED, "cancelled")


class Apart(Protocol):
    """Processes that do a child's work and are not below it, such as a container's."""

    def read(self, leader: int) -> Sample:
        """What they hold and have used; `leader` is the child."""

    def end(self) -> None:
        """End them, if they have not ended with the child."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is started for a run."""

    command: Sequence[str]
    environment: Mapping[str, str]
    apart: Apart | None = None


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    apart: Apart | None = None,
    follow: Callable[[str], None],
    cancelled: Flag,
    limits: Limits = Limits(),
    proc: Path = PROC,
) -> Ended:
    """Run a program, keep its output in `log` and pass each line to `follow`.

    Both its output streams go to the log, in order. It dies with this process. `proc`
    is where the kernel tells of its kills for want of memory.
    """
    child = Child.start(
        command,
        environment,
        folder,
        input=subprocess.PIPE if apart else subprocess.DEVNULL,  # by it they see us end
        error=subprocess.STDOUT,
        proc=proc,
        apart=apart,
    )
    watch = child.watch(limits)
    stop: Stop | None = CANCELLED  # unless _attend comes back
    try:
        with log.open("wb", buffering=0) as file:
            stop = _attend(child.process, file, follow, cancelled, watch)
    finally:
        ended = child.end(stop, watch.meter)
    return ended


@dataclass(slots=True)
class Child:
    """A program in a process group of its own, from its start to its end."""

    process: subprocess.Popen[bytes]
    counter: Path
    """The file that counts the kernel's kills for want of memory."""
    kills: int
    """What it said before the run that is under way."""
    inherited: int = 0
    apart: Apart | None = None

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        error: int,
        input: int = subprocess.DEVNULL,
        proc: Path = PROC,
        apart: Apart | None = None,
    ) -> "Child":
        """Start a program whose output we read; it dies with the thread that does so.

        Parameters
        ----------
        error, input
            As Popen takes them.

        Raises
        ------
        AttemptError
            The machine has no such program, or no room for another process.
        """
        counter = oom_counter(proc)
        kills = oom_kills(counter)
        with _telling(command[0], folder):
            process = subprocess.Popen(
                [*_dies_with_parent(), *command],
                stdin=input,
                stdout=subprocess.PIPE,
                stderr=error,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is for us; we end the whole group
            )
        return cls(process, counter, kills, own_peak(), apart)

    @property
    def pid(self) -> int:
        """Its process number, which is that of its group, too."""
        return self.process.pid

    def watch(self, limits: Limits) -> "Watch":
        """Begin to measure it, and to hold it to limits."""
        now = time.monotonic()
        read = self.apart.read if self.apart else sample
        meter = Meter(self.pid, Silence(limits.stall_s or 0.0), now, read)
        return Watch(limits, meter, now)

    def begin(self) -> None:
        """Take note that another run begins in it."""
        self.kills = oom_kills(self.counter)

    def end(self, stop: Stop | None, seen: Meter) -> Ended:
        """End the whole group, at once if `stop` says why, and tell how it ended."""
        killed = _end(self.process, at_once=stop is not None)
        spent = _both(_reap(self.process, self.inherited), seen)
        code = self.process.returncode
        if self.apart and 128 < code <= 128 + _LAST_SIGNAL:
            code = 128 - code  # so a container's end by a signal is told
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        if self.apart and (killed or code < 0):
            self.apart.end()
        if not killed and code in _SIGKILLED and oom_kills(self.counter) > self.kills:
            had = gigabytes(spent.peak_memory, 2)
            why = f"killed by the system: out of memory (its tree had {had})"
            stop = Stop(FailureKind.OUT_OF_MEMORY, why)
        reason, why = (stop.reason, stop.why) if stop else (None, "")
        return Ended(code, reason, why, spent.cpu_s, spent.peak_memory)


@contextlib.contextmanager
def _telling(program: str, folder: Path) -> Iterator[None]:
    """Say of a program that it cannot be started; its folder is another matter."""
    try:
        yield
    except OSError as error:
        if str(error.filename) == str(folder):
            raise
        why = f"{program} cannot be started: {error}"
        raise AttemptError(FailureKind.MACHINE, why) from error


def _both(exact: Usage, seen: Meter) -> Usage:
    """The kernel's own numbers lack those that nobody has waited for, or their sum."""
    return Usage(
        cpu_s=max(exact.cpu_s, seen.cpu_s),
        peak_memory=max(exact.peak_memory, seen.peak_memory),
    )


@cache
def _dies_with_parent() -> tuple[str, ...]:
    """A prefix by which Linux ends the child when we are killed ourselves."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL") if setpriv else ()


@dataclass(slots=True)
class Watch:
    """Measures a child and holds it to its limits."""

    limits: Limits
    meter: Meter
    begun: float

    def check(self) -> Stop | None:
        """Say why to end the child, if it is over a limit."""
        now = time.monotonic()
        self.meter.check(now)
        timeout_s, stall_s = self.limits.timeout_s, self.limits.stall_s
        allowed, used = self.limits.memory_bytes, self.meter.memory
        if allowed and used > allowed:
            why = f"used {gigabytes(used, 2)} of {gigabytes(allowed, 2)} allowed"
            return Stop(FailureKind.OUT_OF_MEMORY, why)
        if why := self.limits.objection(used) or "":
            return Stop(FailureKind.OUT_OF_MEMORY, why)
        if timeout_s and now - self.begun > timeout_s:
            return Stop(FailureKind.TIMEOUT, f"ended after {timeout_s:g} s")
        if stall_s and self.meter.silence.lasted_s >= stall_s:
            why = f"no output and no CPU for {stall_s:g} s"
            return Stop(FailureKind.STALLED, why)
        return None


def _attend(
    process: subprocess.Popen[bytes],
    file: IO[bytes],
    follow: Callable[[str], None],
    cancelled: Flag,
    watch: Watch,
) -> Stop | None:
    """Pass on output until there is no more, or say why to end the child."""
    assert process.stdout is not None
    stream = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not cancelled.is_set():
            stop = watch.check()
            if stop:
                return stop
            gone = exited(process.pid)  # asked first, so all it has said is there
            if not selector.select(_CHECK_EVERY_S):
                if gone:
                    return None  # others merely hold its output open
                continue
            data = os.read(stream, 65536)
            if not data:
                return None
            watch.meter.heard(time.monotonic())
            file.write(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                follow(line.decode(errors="replace"))
    return CANCELLED


def _end(process: subprocess.Popen[bytes], *, at_once: bool) -> bool:
    """Let a child that closed its output exit, then kill its group.

    Killing is safe: an attempt writes in its scratch folder only. Gives whether the
    child itself was killed so.
    """
    if process.stdout:
        process.stdout.close()
    killed = at_once or not _exits(process.pid, _GRACE_S)
    # Before it is waited for, while its number can be nobody else's. macOS does not
    # permit to kill a group of the dead.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return killed


def _reap(process: subprocess.Popen[bytes], inherited: int) -> Usage:
    """Wait for a child that ends; `inherited` as for `usage`."""
    try:
        _, status, spent = os.wait4(process.pid, 0)
    except ChildProcessError:  # SIGCHLD is ignored, so the kernel has waited for it
        process.wait()
        return Usage()
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage(spent, inherited)


def _exits(child: int, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while not exited(child):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
