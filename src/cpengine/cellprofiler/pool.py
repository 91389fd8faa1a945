"""Long-lived CellProfilers of one machine, each lent to one job at a time.

What runs in them is `cellprofiler/host.py`, which says how it is talked to.
"""

import contextlib
import hashlib
import json
import os
import selectors
import shutil
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from signal import Signals
from threading import Event as Flag
from typing import Any, NamedTuple

import psutil

from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.command import ModuleLine, unknown_module
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.host_accelerations import ACTIVE, HostAccelerations
from cpengine.inputs.plugins import Code
from cpengine.model import AttemptError, FailureKind
from cpengine.system import scratch
from cpengine.system.capacity import usable_cores
from cpengine.system.process import CANCELLED, Child, Ended, Limits, Stop, Watch
from cpengine.system.usage import exited
from cpengine.wording import GB

PROGRAM = Path(__file__).with_name("host.py")

_CHECK_EVERY_S = 0.2
"""How often a silent host is looked at."""
_START_S = 600.0
"""A start takes 5 s; from a cold network disk far more."""


@dataclass(frozen=True, slots=True)
class Recycling:
    """When a host is replaced by a fresh one, besides after any failure."""

    jobs: int = 200
    """After so many jobs."""
    memory: int = 2 * GB
    """When it holds more bytes than this after a job."""
    idle_s: float = 60.0
    """One that had no job for so many seconds while others had is ended."""


class Request(NamedTuple):
    """A run that a host is asked for."""

    argv: Sequence[str]
    """CellProfiler's options, without the program."""
    folder: str
    """Where it runs."""
    log: str
    environ: Mapping[str, str]
    columns: Mapping[str, Sequence[str]]
    """Values, by the group's rows, that stand in for those of LoadData's CSV."""
    exact: Sequence[str] = ()
    """The accelerations that may be used."""


_FAULTS = (
    *(Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGABRT),
    *(Signals.SIGFPE, Signals.SIGILL),
)
"""What ends a process by its own fault."""
_EVENT_KEYS: Mapping[str, Sequence[str]] = {
    "module": ("image_number", "module", "module_num", "cpu_s", "wall_s"),
    "error": ("error", "module"),
    "exact_failed": ("name", "error"),
    "end": ("code", "cpu_s", "peak_memory", "memory", "left_open"),
}
"""What we read of an event, by its kind."""


class NoHostError(Exception):
    """This CellProfiler cannot be hosted; what it says is why."""


@dataclass
class _HostReply:
    """What a host has told of one run."""

    follow: Callable[[ModuleLine], None]
    accelerations: HostAccelerations
    error: str | None = None
    module: str | None = None
    end: dict[str, Any] | None = None

    def add(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "module":
            self.follow(ModuleLine(**{name: event[name] for name in _EVENT_KEYS[kind]}))
        elif kind == "error" and self.error is None:
            unknown = unknown_module(event["error"])
            why = event.get("unloadable", {}).get((unknown or "").lower())
            self.error = event["error"] + (f": {why}" if why else "")
            self.module = event["module"] or unknown
        elif kind == "exact_failed":
            self.accelerations.failed[event["name"]] = event["error"]
        elif kind == "end":
            self.accelerations.used = tuple(event.get("exact", ()))
            self.end = event


class Host:
    """One CellProfiler process, ready to run jobs one after another."""

    def __init__(self, child: Child, folder: Path, plugins: str) -> None:
        self.plugins = plugins
        """Which plugins it has loaded: their digest."""
        self.jobs = 0
        self.memory = 0
        """Bytes it held after its last job."""
        self.healthy = True
        """Whether its last job left nothing to be afraid of."""
        self.idle_since = time.monotonic()
        self.accelerations = HostAccelerations(folder / ACTIVE)
        self.folder = folder
        self._child = child
        self._process = psutil.Process(child.pid)
        self._rest = b""
        assert child.process.stdout is not None
        self._stream = child.process.stdout.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stream, selectors.EVENT_READ)
        self._ended = False

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._child.pid

    def wait_until_ready(self, cancelled: Flag, stall_s: float | None) -> None:
        """Wait for its first word.

        Parameters
        ----------
        stall_s
            As in `Limits`; what the start takes is no job's time or memory.

        Raises
        ------
        NoHostError
            CellProfiler cannot be started in this way.
        AttemptError
            It was cancelled, or something ended it or kept it from starting.
        """
        limits = Limits(timeout_s=_START_S, stall_s=stall_s)
        watch = self._child.watch(limits)
        ready = Flag()
        stop: Stop | None = CANCELLED

        def hear(event: dict[str, Any]) -> None:
            self.accelerations.take(event)
            ready.set()

        try:
            stop = self._attend(hear, ready, cancelled, watch)
        finally:
            if not ready.is_set():
                ended = self._reap(stop, watch)
                why = _last_line(self.folder / "log") or f"exit code {ended.code}"
                self.remove()
        if ready.is_set():
            return
        kind = ended.reason or FailureKind.CRASH
        if kind is FailureKind.CRASH and (stop or ended.code >= 0):
            raise NoHostError(ended.why or why)
        raise AttemptError(kind, ended.why or f"CellProfiler did not start: {why}")

    def run(
        self,
        request: Request,
        *,
        follow: Callable[[ModuleLine], None],
        cancelled: Flag,
        limits: Limits,
    ) -> Ended:
        """Run a job; after anything but a good end the host is to be given up.

        Where it has to be ended for that, or ends by itself, it is gone already.
        """
        reply, done = _HostReply(follow, self.accelerations), Flag()
        self.accelerations.begin(request.exact)
        before_s = self._cpu_s()
        watch = self._child.watch(limits)
        self._child.begin()
        self.jobs += 1
        self.healthy = False

        def hear(event: dict[str, Any]) -> None:
            reply.add(event)
            if reply.end is not None:
                done.set()

        stop: Stop | None = CANCELLED
        try:
            self._send(request)
            stop = self._attend(hear, done, cancelled, watch, Path(request.log))
        finally:
            ended = None if done.is_set() else self._reap(stop, watch)
        if ended is None:
            return self._good_end(reply, watch)
        if ended.reason is None and ended.code >= 0:  # not a word, and no signal
            why = f"CellProfiler ended in the middle, exit code {ended.code}"
            ended = replace(ended, reason=FailureKind.CRASH, why=why)
        if ended.reason is None and -ended.code in _FAULTS:
            self.accelerations.crashed(f"ended by {Signals(-ended.code).name}")
        # The kernel's numbers are those of all its jobs.
        return replace(
            ended,
            cpu_s=max(0.0, ended.cpu_s - before_s),
            peak_memory=watch.meter.peak_memory or ended.peak_memory,
            error=reply.error,
            module=reply.module,
        )

    def _good_end(self, reply: _HostReply, watch: Watch) -> Ended:
        end = reply.end or {}
        self.memory = end["memory"]
        self.healthy = end["code"] == 0 and not reply.error and not end["left_open"]
        return Ended(
            code=end["code"],
            cpu_s=end["cpu_s"],
            peak_memory=max(end["peak_memory"], watch.meter.peak_memory),
            error=reply.error,
            module=reply.module,
        )

    def _send(self, request: Request) -> None:
        stream = self._child.process.stdin
        assert stream is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, as will be heard
            stream.write(json.dumps(request._asdict()).encode() + b"\n")
            stream.flush()

    def _attend(
        self,
        hear: Callable[[dict[str, Any]], None],
        enough: Flag,
        cancelled: Flag,
        watch: Watch,
        log: Path | None = None,
    ) -> Stop | None:
        """Pass on events until that is enough or it ends, or say why to end it."""
        size = 0
        while not enough.is_set():
            if cancelled.is_set():
                return CANCELLED
            if stop := watch.check():
                return stop
            if self._selector.select(_CHECK_EVERY_S):
                data = os.read(self._stream, 65536)
                if not data:
                    return None
                watch.meter.heard(time.monotonic())
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    event = _event(line)
                    if event is None:
                        why = f"CellProfiler's host said {line[:80]!r}"
                        return Stop(FailureKind.CRASH, why)
                    hear(event)
            elif log is not None and (now := _size(log)) != size:
                size = now
                watch.meter.heard(time.monotonic())
        return None

    def _cpu_s(self) -> float:
        if self._child.apart is not None:
            return self._child.apart.read(self._child.pid).cpu_s
        with contextlib.suppress(psutil.Error):
            return sum(self._process.cpu_times()[:4])
        return 0.0

    def _reap(self, stop: Stop | None, watch: Watch) -> Ended:
        self._ended = True
        ended = self._child.end(stop, watch.meter)
        self._selector.close()
        stream = self._child.process.stdin
        with contextlib.suppress(BrokenPipeError):
            if stream is not None:
                stream.close()
        return ended

    @property
    def alive(self) -> bool:
        """Whether nothing has ended it while it waited."""
        return not exited(self._child.pid)

    def end(self) -> None:
        """End it, if that has not been done, and remove its folder."""
        if not self._ended:
            watch = self._child.watch(Limits())
            self._reap(CANCELLED, watch)
        self.remove()

    def remove(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Hosts:
    """The hosts of one machine: as many as jobs ask for at a time.

    Parameters
    ----------
    parent
        Where hosts make folders of their own.
    program
        What runs inside CellProfiler's Python.
    """

    def __init__(
        self,
        cellprofiler: CellProfiler,
        parent: Path,
        recycling: Recycling = Recycling(),
        program: Path = PROGRAM,
    ) -> None:
        self.exact_failed: dict[str, str] = {}
        """Accelerations that failed in a job, with what they failed of: they are not
        used on this machine any more."""
        self.cellprofiler = cellprofiler
        self.recycling = recycling
        self.unavailable = "" if cellprofiler.python else why_hidden(cellprofiler)
        """Why no host can be had; empty as long as they can."""
        self._parent = parent
        self._program = program
        self._idle: list[Host] = []
        weakref.finalize(self, _end_all, self._idle)  # if nobody closes us
        self._lock = threading.Lock()
        # The next one starts when one is ready: together they read the same disk.
        self._starts = threading.Semaphore(max(2, usable_cores() // 2))
        # Children die with the thread that started them, so it lives as long as we do.
        self._starter = ThreadPoolExecutor(1, "host-starter")

    @contextlib.contextmanager
    def lend(
        self,
        plugins: Path | None,
        cancelled: Flag,
        stall_s: float | None = None,
    ) -> Iterator[Host]:
        """Lend a host that has loaded these plugins.

        Parameters
        ----------
        stall_s
            As in `Limits`, for a host that has to be started.

        Raises
        ------
        NoHostError
            None can be had, now and later.
        AttemptError
            It was cancelled, or the host was ended while it started.
        """
        host = self._take(plugins, cancelled, stall_s)
        try:
            yield host
        except BaseException:  # Ctrl-C, too: it may be in the middle of a run
            host.end()
            raise
        finally:
            self.exact_failed.update(host.accelerations.failed)
        self._give_back(host)

    @property
    def idle(self) -> tuple[Host, ...]:
        """Those that wait for a job, the last used one last."""
        return tuple(self._idle)

    def close(self) -> None:
        """End all hosts that no job has."""
        with self._lock:
            idle = self._idle.copy()
            self._idle.clear()
        _end_all(idle)

    def _take(
        self, plugins: Path | None, cancelled: Flag, stall_s: float | None
    ) -> Host:
        if self.unavailable:
            raise NoHostError(self.unavailable)
        digest = _digest(plugins and Code.below(plugins))
        while (found := self._idle_one(digest)) is not None:
            if found.plugins == digest and found.alive:
                return found
            found.end()
            if found.plugins != digest:  # it would be one more than run at a time
                break
        return self._new(plugins, digest, cancelled, stall_s)

    def _idle_one(self, digest: str) -> Host | None:
        """Take the last one that had a job, with these plugins if there is one."""
        with self._lock:
            fitting = [host for host in self._idle if host.plugins == digest]
            found = next(reversed(fitting or self._idle), None)
            if found is not None:
                self._idle.remove(found)
        return found

    def _new(
        self,
        plugins: Path | None,
        digest: str,
        cancelled: Flag,
        stall_s: float | None,
    ) -> Host:
        while not self._starts.acquire(timeout=_CHECK_EVERY_S):
            if cancelled.is_set():
                raise AttemptError(FailureKind.CANCELLED, "cancelled")
        try:
            if self.unavailable:  # as another one has found meanwhile
                raise NoHostError(self.unavailable)
            host = self._starter.submit(self._start, plugins, digest).result()
            host.wait_until_ready(cancelled, stall_s)
        except NoHostError as error:
            self.unavailable = str(error)
            raise
        finally:
            self._starts.release()
        return host

    def _start(self, plugins: Path | None, digest: str) -> Host:
        folder = scratch.fresh(self._parent, "host")
        try:
            return Host(self._child(folder, plugins), folder, digest)
        except BaseException:  # whatever it is, nobody else knows of the folder
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _child(self, folder: Path, plugins: Path | None) -> Child:
        temp = folder / "temp"
        temp.mkdir()
        command = [str(self.cellprofiler.python), str(self._program)]
        command += ["--log", str(folder / "log"), "--temp", str(temp)]
        command += ["--active", str(folder / ACTIVE)]
        if (kernels := build_kernels.built()) is not None:
            command += ["--kernels", str(kernels.path), kernels.sha256]
        if plugins is not None:  # a copy: the next job's may lie elsewhere
            shutil.copytree(plugins, folder / "plugins")
            command += ["--plugins", str(folder / "plugins")]
        program = self.cellprofiler.program(command, folder, temp)
        with (folder / "log").open("wb") as log:
            return Child.start(
                program.command,
                program.environment,
                folder,
                input=subprocess.PIPE,
                error=log.fileno(),
                apart=program.apart,
            )

    def _give_back(self, host: Host) -> None:
        used = self.recycling
        if host.healthy and host.jobs < used.jobs and host.memory <= used.memory:
            self._put_back(host)
        else:
            host.end()

    def _put_back(self, host: Host) -> None:
        """Let it wait; end those that wait in vain, as others want their memory."""
        host.idle_since = time.monotonic()
        long_ago = host.idle_since - self.recycling.idle_s
        with self._lock:
            superfluous = [idle for idle in self._idle if idle.idle_since <= long_ago]
            for idle in superfluous:
                self._idle.remove(idle)
            self._idle.append(host)
        _end_all(superfluous)


def why_hidden(cellprofiler: CellProfiler) -> str:
    """Say that a wrapper hides its Python, and what a user can do if it is theirs."""
    *_, program = cellprofiler.command
    if cellprofiler.container:
        return f"the Python behind {program} in the image is not known"
    return (
        f"the Python behind {program} is not known: name the environment whose "
        "bin/cellprofiler it starts, if you can"
    )


def _end_all(hosts: list[Host]) -> None:
    for host in hosts:
        host.end()


def _event(line: bytes) -> dict[str, Any] | None:
    """Read a line of a host; None if it is no event."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    return event if set(_EVENT_KEYS.get(event["event"], ())) <= event.keys() else None


@lru_cache(maxsize=8)
def _digest(code: Code | None) -> str:
    """What tells one set of plugins from another, wherever it lies."""
    if code is None:
        return ""
    seen = hashlib.sha256()
    for name in sorted(code.names):
        seen.update(f"{name}\0".encode())
        seen.update(hashlib.sha256(code.read(name)).digest())
    return seen.hexdigest()


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""
