"""What runs in a Dask worker: `run_job`, on a machine that is made once a worker.

Nothing of the project is pickled. The plugin that workers get holds texts: the name of
a function, and what that is told to make the machine. A task is a job as JSON, and
gives its outcome as JSON without the job.
"""

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag
from typing import Any

from dask.typing import Key
from distributed import Status, Worker, WorkerPlugin, get_worker

from cpengine.errors import CpengineError
from cpengine.events import (
    Event,
    JobStarted,
    Listener,
    LogBegun,
    ModuleDone,
    PhaseBegun,
    ProcessEachJob,
)
from cpengine.executors import machine_spec
from cpengine.executors.dask.lifetime import Lifetime
from cpengine.job.run_job import Machine, run_job
from cpengine.model import Job, Outcome

READY, REFUSES, DRAINING = "ready", "refuses", "draining"
"""What is told of a worker."""
ENDED, LEFT = "ended", "left"
"""How an attempt's telling ends: it came to an outcome, or was given back."""
RUNNING = ["phase", "running"]
"""What is told of an attempt when its CellProfiler begins."""
_CHECK_EVERY_S = 0.2


class Node(WorkerPlugin):
    """One run's share of a worker.

    Parameters
    ----------
    name
        The run's; also the topic under which workers tell what happens.
    make
        `module:function` that makes a `Machine` for so many slots from what it is told.
    spec
        A text for that.
    ahead
        So many of the worker's threads only fetch or publish for others.
    life_s
        Seconds that the scheduler gives a worker job, if it bounds them.
    ends_worker
        Whether a worker that cannot be used is to end.
    """

    def __init__(
        self,
        name: str,
        make: str,
        spec: str,
        *,
        ahead: int = 0,
        life_s: float | None = None,
        ends_worker: bool = False,
    ) -> None:
        self.name = name
        self.make = make
        self.spec = spec
        self.ahead = ahead
        self.life_s = life_s
        self.ends_worker = ends_worker

    async def setup(self, worker: Worker) -> None:
        """Make the machine; a worker where that fails says so and ends.

        Raises
        ------
        RuntimeError
            It fails; told to those who register the plugin with workers that are there.
        """
        self._worker = worker
        slots = max(1, worker.state.nthreads - self.ahead)
        try:
            machine = await asyncio.to_thread(
                machine_spec.machine_of, self.make, self.spec, slots
            )
        except Exception as error:  # Dask would let the worker go on without us
            text = str(error) if isinstance(error, CpengineError) else repr(error)
            why = f"{socket.gethostname()}: {text.splitlines()[0]}"
            self._later = asyncio.create_task(self._refuse(why))
            raise RuntimeError(why) from error
        self.worker_run = WorkerRun(
            machine, str(worker.name), partial(worker.log_event, self.name)
        )
        self._later = asyncio.create_task(self._live())

    async def _tell(self, what: str, *details: str) -> None:
        """Tell something of the worker, once it can speak."""
        while self._worker.status is Status.init:
            await asyncio.sleep(_CHECK_EVERY_S)
        message = [None, what, str(self._worker.name), *details]
        self._worker.log_event(self.name, message)

    async def _refuse(self, why: str) -> None:
        await self._tell(REFUSES, why)
        await asyncio.sleep(_CHECK_EVERY_S)
        if self.ends_worker:
            await self._worker.close(reason=why)

    async def teardown(self, worker: Worker) -> None:
        """Give back what runs here: the worker is to end, the run may go on."""
        if hasattr(self, "worker_run"):
            self.worker_run.give_back(running=True)
            await self._end()

    def transition(self, key: Key, start: str, finish: str, **kwargs: Any) -> None:
        """End an attempt that Dask has no use for: its driver may be gone."""
        if (start, finish) == ("executing", "released") and hasattr(self, "worker_run"):
            self.worker_run.cancel(str(key))

    async def stop(self, before: int) -> None:
        """End the run's jobs here, and wait until nothing is left of them.

        Parameters
        ----------
        before
            The attempts with lower numbers.
        """
        self.worker_run.stop(before)
        await self._end()

    async def _end(self) -> None:
        while self.worker_run.busy:
            await asyncio.sleep(_CHECK_EVERY_S)
        await asyncio.to_thread(self.worker_run.machine.close)

    async def _live(self) -> None:
        """Say that the worker takes jobs, and end it before its scheduler does."""
        await self._tell(READY, self._worker.address)
        if not self.life_s:
            return
        lifetime = Lifetime.of(self.life_s, os.environ, time.time())
        while not lifetime.over(time.time(), self.worker_run.longest_s):
            await asyncio.sleep(1)
        self._worker.status = Status.paused
        await self._tell(DRAINING)
        self.worker_run.give_back(running=False)
        while self.worker_run.busy:
            await asyncio.sleep(_CHECK_EVERY_S)
        await self._worker.close_gracefully(reason="its walltime is near")


@dataclass(eq=False)
class _TaskAttempt:
    """An attempt under way in this worker."""

    key: str
    number: int
    cancelled: Flag = field(default_factory=Flag)
    running: bool = False
    given_back: bool = False

    def give_back(self) -> None:
        """End it, to be run by another worker."""
        self.given_back = True
        self.cancelled.set()


class WorkerRun:
    """The attempts of one run in this worker."""

    def __init__(
        self, machine: Machine, worker: str, tell: Callable[[list[Any]], None]
    ) -> None:
        self.machine = machine
        self.worker = worker
        self.longest_s = 0.0
        """Seconds that the longest job has taken so far, but for waiting."""
        self._tell = tell
        self._lock = threading.Lock()
        self._under_way: set[_TaskAttempt] = set()
        self._stopped = 0
        """Attempts with lower numbers are to end."""
        self._leaving = False

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way."""
        return bool(self._under_way)

    def stop(self, before: int) -> None:
        """End the attempts with numbers before one, and those that still come."""
        with self._lock:
            self._stopped = before
            for task in self._under_way:
                if task.number < before:
                    task.cancelled.set()

    def cancel(self, key: str) -> None:
        """End the attempt of one task."""
        with self._lock:
            for task in self._under_way:
                if task.key == key:
                    task.cancelled.set()

    def give_back(self, *, running: bool) -> None:
        """Give back attempts, and those that still come.

        Parameters
        ----------
        running
            Whether those, too, whose CellProfiler runs.
        """
        with self._lock:
            self._leaving = True
            for task in self._under_way:
                if running or not task.running:
                    task.give_back()

    def run(self, job: Job, attempt: int, number: int, key: str) -> None:
        """Run a job; what happens is told with the number of the attempt."""
        with self._attempt(key, number) as task:

            def listen(event: Event) -> None:
                task.running = task.running or event == PhaseBegun(job, "running")
                if not isinstance(event, LogBegun):  # a file of this machine
                    self._tell([number, *format_event(event)])

            outcome = run_job(
                job,
                self.machine,
                attempt=attempt,
                listen=listen,
                cancelled=task.cancelled,
            )
            took = outcome.wall_s - outcome.phase_s.get("waiting", 0.0)
            self.longest_s = max(self.longest_s, took)
            if task.given_back and not outcome.done:
                self._tell([number, LEFT, self.worker])
            else:
                self._tell([number, ENDED, packed(outcome)])

    @contextlib.contextmanager
    def _attempt(self, key: str, number: int) -> Iterator[_TaskAttempt]:
        task = _TaskAttempt(key, number)
        with self._lock:
            self._under_way.add(task)
            if number < self._stopped:
                task.cancelled.set()
            elif self._leaving:
                task.give_back()
        try:
            yield task
        finally:
            with self._lock:
                self._under_way.discard(task)


def attempt(name: str, job: str, number: int, attempt: int) -> None:
    """The task: run a job of a run in this worker."""
    worker = get_worker()
    plugin, key = worker.plugins[name], str(worker.get_current_task())
    assert isinstance(plugin, Node)
    if not hasattr(plugin, "worker_run"):  # it has refused, and is about to end
        worker.log_event(name, [number, LEFT, str(worker.name)])
        return
    plugin.worker_run.run(Job.from_json(json.loads(job)), attempt, number, key)


async def stop(name: str, before: int, dask_worker: Worker) -> None:
    """End the attempts of a run in this worker with numbers before one.

    For `Client.run`.
    """
    plugin = dask_worker.plugins.get(name)
    if isinstance(plugin, Node):
        await plugin.stop(before)


def packed(outcome: Outcome) -> str:
    """An outcome as a worker sends it: the driver has the job."""
    return json.dumps(outcome.to_json() | {"job": None})


def unpacked(text: str, job: Job) -> Outcome:
    """Read what `packed` gave."""
    return Outcome.from_json(json.loads(text) | {"job": job.to_json()})


def format_event(event: Event) -> list[Any]:
    """An event as a worker tells it: its kind and what the driver lacks."""
    match event:
        case JobStarted(_, attempt):
            return ["started", attempt]
        case PhaseBegun(_, phase):
            return ["phase", phase]
        case ModuleDone(_, image_number, module, module_num, wall_s):
            return ["module", image_number, module, module_num, wall_s]
        case ProcessEachJob(why):
            return ["process_each", why]
    raise TypeError(f"{event} is not told by workers")


_EVENTS: dict[str, Callable[..., Event]] = {
    "started": JobStarted,
    "phase": PhaseBegun,
    "module": ModuleDone,
    "process_each": lambda job, why: ProcessEachJob(why),
}


def heard(message: list[Any], job: Job, listen: Listener) -> None:
    """Pass on what `format_event` gave of a job."""
    kind, *details = message
    listen(_EVENTS[kind](job, *details))
