"""One container's task of the ECS stand-in: a local process, and all it has started."""

import contextlib
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil


@dataclass(slots=True)
class Task:
    """A process in place of a container: when it ends, nothing of it stays."""

    service: str
    definition: str
    machine: str
    process: "subprocess.Popen[bytes]"
    state: dict[str, Any]  # as DescribeTasks has it
    logs: dict[str, str]  # where to
    log: Path
    seen: set[psutil.Process] = field(default_factory=set)
    kill_at: float | None = None  # from when on it is being stopped

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def stopping(self) -> bool:
        return self.kill_at is not None

    def track(self, children: Mapping[int, list[psutil.Process]]) -> None:
        """Remember what has come from it: once its parent ends, nothing tells that."""
        self.seen = {process for process in self.seen if process.is_running()}
        roots = [self.process.pid, *(process.pid for process in self.seen)]
        while roots:
            found = [process for pid in roots for process in children.get(pid, ())]
            fresh = [process for process in found if process not in self.seen]
            self.seen.update(fresh)
            roots = [process.pid for process in fresh]

    def stop(self, within_s: float) -> None:
        """Do as `docker stop`: ask the first process alone, and kill all later."""
        self.kill_at = time.monotonic() + within_s
        self.process.terminate()

    def kill(self) -> None:
        """Kill it with all that it has started, in whatever session that is.

        They are suspended first: what is suspended starts nothing more.
        """
        if self.alive:
            self.seen.add(psutil.Process(self.process.pid))
        held: set[psutil.Process] = set()
        while fresh := self.seen - held:
            for process in fresh:
                _signal(process, "suspend")
            held |= fresh
            self.track(children())
        for process in held:
            _signal(process, "kill")
        self.process.wait()
        while any(map(lives, held)):
            time.sleep(0.01)


def children() -> dict[int, list[psutil.Process]]:
    """All processes of this machine by the number of their parent."""
    found: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.setdefault(process.ppid(), []).append(process)
    return found


def lives(process: psutil.Process) -> bool:
    """Whether it does anything yet; who should wait for its end may take a while."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, what: str) -> None:
    with contextlib.suppress(psutil.Error):
        getattr(process, what)()  # psutil signals no other process of that number
