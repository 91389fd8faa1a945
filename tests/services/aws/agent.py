"""Stands in for the machines of the fleets and their ECS agents: it runs the tasks."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from cpengine.cellprofiler.command import KERNELS
from tests.services.aws import task_states
from tests.services.aws.aws_server import AwsServer
from tests.services.aws.metadata import Metadata
from tests.services.aws.tasks import Task, children

EVERY_S = 0.2
AGAIN_S = 1.0  # after which a task that ended is replaced


def of_this_machine() -> dict[str, str]:
    """The variables that stand for what an image and a machine have."""
    names = {"PATH", "HOME", "CPENGINE_HOME"}
    chosen = [name for name in os.environ if name in names or name.startswith(KERNELS)]
    return {name: os.environ[name] for name in chosen}


class Agent:
    """Runs locally what the services want, as far as the fleets' machines have room.

    A container is a process: its command runs here, with the environment of the task
    definition and of an instance's role, and of the test's only what finds programs and
    what numbers depend on: a container would have its own of both. `environ` is what an
    image has beside that.
    """

    def __init__(
        self,
        server: AwsServer,
        folder: Path,
        *,
        python: str = sys.executable,
        tasks_per_machine: int = 100,
        stop_s: float = 10,
        metadata: Metadata | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.tasks_per_machine = tasks_per_machine
        self.tasks_started = 0
        self._server = server
        self._folder = folder
        self._python = python
        self._stop_s = stop_s
        self._metadata = metadata
        self._environ = environ or {}
        self._tasks: list[Task] = []
        self._logs: list[Path] = []
        self._changed: list[dict[str, Any]] = []  # of tasks, since the server was told
        self._not_before: dict[str, float] = {}  # by service
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ECS", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Agent":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def processes(self) -> list[psutil.Process]:
        """The first process of each task that runs, in the order of their starts."""
        with self._lock:
            alive = [task.process.pid for task in self._tasks if task.alive]
        return [psutil.Process(pid) for pid in alive if psutil.pid_exists(pid)]

    def kill(self, number: int) -> None:
        """Kill one of `processes` with all that it has started; it is replaced."""
        with self._lock:
            [task for task in self._tasks if task.alive][number].kill()

    def logs(self) -> list[str]:
        """What each task has said, in the order of their starts."""
        with self._lock:
            return [path.read_text(errors="replace") for path in self._logs]

    def close(self) -> None:
        """Kill everything."""
        self._closed.set()
        self._thread.join()
        for task in self._tasks:
            task.kill()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_S):
            with self._lock:
                self._update()

    def _update(self) -> None:
        if self._tasks:
            there = children()
            for task in self._tasks:
                task.track(there)
        running = Counter(task.service for task in self._tasks if task.alive)
        try:
            work = self._server.work(running, self._changed)
        except OSError:  # the server is being killed, or started again
            return
        self._changed.clear()
        wanted = {service["arn"]: service for service in work["services"]}
        self._end(wanted, set(work["machines"]))
        for service in wanted.values():
            self._scale(service, work["machines"])

    def _end(self, wanted: dict[str, Any], machines: set[str]) -> None:
        """Remove what ended or must end at once; ask those to end that shall."""
        for task in list(self._tasks):
            overdue = task.stopping and time.monotonic() > (task.kill_at or 0)
            if task.machine in machines and task.alive and not overdue:
                service = wanted.get(task.service)
                outdated = not service or service["definition"] != task.definition
                if outdated and not task.stopping:
                    task.stop(self._stop_s)
                continue
            by_itself = task.machine in machines and not task.stopping
            if by_itself:
                self._not_before[task.service] = time.monotonic() + AGAIN_S
            task.kill()
            self._tasks.remove(task)
            self._report_end(task, by_itself)

    def _report_end(self, task: Task, by_itself: bool) -> None:
        if task.logs:
            task_states.write_log(
                self._server.own("logs"), task.logs, task.state, task.log
            )
        code = task.process.wait()
        self._changed.append(task_states.ended(task.state, code, ordered=not by_itself))

    def _scale(self, service: dict[str, Any], machines: list[str]) -> None:
        arn = service["arn"]
        ours = [
            task for task in self._tasks if task.service == arn and not task.stopping
        ]
        for task in ours[service["desired"] :]:
            task.stop(self._stop_s)
        if time.monotonic() < self._not_before.get(arn, 0):
            return
        for _ in range(service["desired"] - len(ours)):
            taken = Counter(task.machine for task in self._tasks)
            free = [
                machine
                for machine in machines
                if taken[machine] < self.tasks_per_machine
            ]
            if not free:
                return
            self._start(service, min(free, key=lambda machine: taken[machine]))

    def _start(self, service: dict[str, Any], machine: str) -> None:
        self.tasks_started += 1
        folder = self._folder / f"task-{self.tasks_started}"
        folder.mkdir(parents=True)
        log = self._folder / f"task-{self.tasks_started}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(service["command"]),
                cwd=folder,
                env=self._environment(service["environment"], folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        task = Task(
            service["arn"],
            service["definition"],
            machine,
            process,
            task_states.started(service),
            service["logs"],
            log,
        )
        self._changed.append(task.state)
        self._tasks.append(task)
        self._logs.append(log)

    def _command(self, words: list[str]) -> list[str]:
        """The image's own programs are this Python's here."""
        own = {"cpengine": [self._python, "-m", "cpengine"], "python": [self._python]}
        return [*own.get(words[0], words[:1]), *words[1:]]

    def _environment(self, own: dict[str, str], temp: Path) -> dict[str, str]:
        environ = of_this_machine()
        environ |= {"TMPDIR": str(temp), **self._server.environ, **own}
        environ |= self._environ
        if self._metadata:
            environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = self._metadata.url
            del environ["AWS_EC2_METADATA_DISABLED"]
        return environ
