"""What a running child uses, what it has used, and whether the kernel ran out."""

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cpengine.system.cgroups import folders, lines

PROC = Path("/proc")

_FIRST_S = 0.2
_EVERY_S = 1.0
_WORTH = 100
"""A sample may cost 1/100 of a CPU: it reads every process of the machine."""
_HOUSEKEEPING = 0.01
"""The CPU share that an idle JVM's own threads may burn; more than that is work."""
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2) of each


@dataclass(frozen=True, slots=True)
class Sample:
    """What a tree of processes holds and has used, at one time."""

    cpu_s: float
    """User and system, with that of the children they have waited for."""
    memory: int
    """Resident bytes; a page that two processes share counts twice."""
    whole: bool
    """False if a process could not be read, so that both may be too low."""


def sample(leader: int) -> Sample:
    """Read the tree below a process; all zero once there is none."""
    cpu_s, memory, whole = 0.0, 0, True
    try:
        for process in _tree(leader):
            # One that has ended meanwhile has left its time to its parent.
            with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
                cpu_s += sum(process.cpu_times()[:4])  # not the fifth, iowait
                memory += process.memory_info().rss
    except psutil.Error:
        whole = False
    return Sample(cpu_s, memory, whole)


def _tree(leader: int) -> Iterator[psutil.Process]:
    """The leader, its descendants, and orphans of them that are still in its session.

    Parents come first: a child that ends in between is missed, never counted twice.
    """
    seen = {leader}
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(leader)
        yield first
        for child in first.children(recursive=True):
            seen.add(child.pid)
            yield child
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if pid not in seen and os.getsid(pid) == leader:
                yield psutil.Process(pid)


def lives(pid: int) -> bool:
    """Whether a process of our PID namespace lives; a zombie does not.

    The kernel is asked: /proc may be another namespace's, or hide others' processes.
    """
    if pid < 1:  # to the kernel these are groups
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    with contextlib.suppress(psutil.Error):
        return not _sees_own() or psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return True


def process_began(pid: int) -> str:
    """When a process began, by a count that no change of the clock moves.

    In ticks since the machine's start where /proc has it, with the time namespace in
    which they count; else in seconds since 1970. Empty if that cannot be seen. See
    proc_pid_stat(5), field 22, and time_namespaces(7).
    """
    if not _sees_own():
        return ""
    with contextlib.suppress(OSError, IndexError):
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        ticks = text.rpartition(")")[2].split()[19]  # the name may have spaces
        return f"{ticks}@{_time_namespace()}"
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(pid).create_time():.0f}@"
    return ""


def is_later_process(began: str, pid: int) -> bool:
    """Whether the process of a number is certainly not the one that began then.

    Parameters
    ----------
    began
        See `process_began`.
    """
    now = process_began(pid)
    known = began and now and began.partition("@")[2] == now.partition("@")[2]
    return bool(known) and began != now


def _sees_own() -> bool:
    """Whether numbers in /proc are those of our PID namespace; true without /proc."""
    try:
        return os.readlink(PROC / "self") == str(os.getpid())
    except OSError:
        return not PROC.exists()


def _time_namespace() -> str:
    try:
        return os.readlink(PROC / "self/ns/time").strip("time:[]")
    except OSError:
        return ""


def exited(child: int) -> bool:
    """Whether a child of ours has ended; it is left to be waited for."""
    try:
        if hasattr(os, "waitid"):  # not on macOS before Python 3.13
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, child, how) is not None
        return psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    except (ChildProcessError, psutil.NoSuchProcess):
        return True


@dataclass(slots=True)
class Silence:
    """For how long a tree neither said nor did anything, to be asked for `stall_s`."""

    stall_s: float
    lasted_s: float = 0.0
    _used_s: float = 0.0
    _last_cpu_s: float = 0.0

    def end(self) -> None:
        """Begin anew."""
        self.lasted_s = self._used_s = 0.0

    def lengthen(self, seconds: float, seen: Sample) -> None:
        """Add the time up to a sample, or end if the tree has worked or may have.

        It ends as soon as the work in it is worth a whole `stall_s`, not the silence
        so far: else a child that hangs after long work would be seen very late.
        """
        self.lasted_s += seconds
        # Less than before: the time of an orphan that ended is nowhere to be found.
        self._used_s += max(0.0, seen.cpu_s - self._last_cpu_s)
        self._last_cpu_s = seen.cpu_s
        if not seen.whole or self._used_s >= _HOUSEKEEPING * self.stall_s:
            self.end()


@dataclass(slots=True)
class Meter:
    """Samples the tree below `leader` about once a second and sums up what it saw.

    The times it is told are of one clock that never goes back, in seconds.
    """

    leader: int
    silence: Silence
    heard_at: float
    """When there was output; the start before that."""
    read: Callable[[int], Sample] = sample
    memory: int = 0
    """Resident bytes in the last sample."""
    peak_memory: int = 0
    cpu_s: float = 0.0
    """The most CPU time seen; an orphan that ends takes its own with it."""
    _seen_at: float = field(init=False)
    _due: float = field(init=False)
    _interval: float = field(default=_EVERY_S, init=False)

    def __post_init__(self) -> None:
        self._seen_at, self._due = self.heard_at, self.heard_at + _FIRST_S

    def heard(self, now: float) -> None:
        """Take note of output."""
        self.silence.end()
        self.heard_at = now

    def check(self, now: float) -> None:
        """Take a sample if one is due."""
        if now < self._due:
            return
        began = time.thread_time()
        seen = self.read(self.leader)
        self.memory = seen.memory
        self.peak_memory = max(self.peak_memory, seen.memory)
        self.cpu_s = max(self.cpu_s, seen.cpu_s)
        since = now - max(self._seen_at, self.heard_at)
        # Time in which we were stopped ourselves, maybe with the child, is no silence.
        self.silence.lengthen(min(since, 2 * self._interval), seen)
        self._interval = max(_EVERY_S, _WORTH * (time.thread_time() - began))
        self._seen_at, self._due = now, now + self._interval


@dataclass(frozen=True, slots=True)
class Usage:
    """What the kernel says a child has used, with its waited-for descendants."""

    cpu_s: float = 0.0
    peak_memory: int = 0
    """Resident bytes of the largest one of them; 0 if not known."""


def own_peak() -> int:
    """The most memory that this process has had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def usage(spent: resource.struct_rusage, inherited: int) -> Usage:
    """Read what wait4 gave for a child.

    Linux lets a child begin with the peak of the process that forked it (its old
    memory counts when it calls exec), so a peak up to `inherited` bytes says nothing.
    """
    peak = spent.ru_maxrss * _RSS_UNIT
    return Usage(
        cpu_s=spent.ru_utime + spent.ru_stime,
        peak_memory=peak if peak > inherited else 0,
    )


def oom_counter(proc: Path = PROC) -> Path:
    """The file that counts the kernel's kills for want of memory where we run.

    A child starts in our memory cgroup: the file is that of cgroup v2, else of v1. It
    is the whole machine's where there is none, and absent where Linux is not.
    """
    for folder in folders("memory", proc):
        for name in ("memory.events", "memory.oom_control"):
            if _oom_kills(folder / name) is not None:
                return folder / name
    return proc / "vmstat"


def oom_kills(counter: Path) -> int:
    """Kills so far, by a counter's `oom_kill` line; 0 if it has none."""
    return _oom_kills(counter) or 0


def _oom_kills(counter: Path) -> int | None:
    for line in lines(counter):
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.isdigit():
            return int(number)
    return None
