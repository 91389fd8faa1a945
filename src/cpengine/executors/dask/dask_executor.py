"""The `dask` executor: jobs on the workers of any Dask scheduler.

Dask finds a worker for each job and says when one is lost. What a job came to is told
in an event, so nothing that matters is kept on a worker. Tries, limits and the ledger
are cpengine's own.
"""

import contextlib
import itertools
import json
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from distributed import Client, Future, KilledWorker

from cpengine.errors import ExecutorError
from cpengine.events import Noted
from cpengine.executors.base import Executor
from cpengine.executors.dask import node
from cpengine.executors.dask.node import Node
from cpengine.executors.early_exits import EarlyExits
from cpengine.job.run_job import Machine
from cpengine.ledger.run_record import now
from cpengine.model import Failure, FailureKind, Job, Outcome

_TEND_S = 0.5
"""How often workers are looked at while jobs run."""
_UNTOLD_S = 10.0
"""A task that ended and told nothing for so long has come to nothing."""
_OF_WORKERS = "all"
"""Dask's name for the topic in which a scheduler tells of workers."""
_STOP_S = 60.0
"""How long all workers are waited for when a run ends."""


@dataclass(eq=False)
class _SubmittedTask:
    """An attempt that was submitted and has not come to an outcome."""

    job: Job
    attempt: int
    future: Future[None]
    begun: bool = False
    """Whether its CellProfiler has been at work."""
    submitted: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class _EndedTask:
    """An attempt has come to an outcome."""

    number: int
    outcome: str
    """As `node.packed` gives it."""


@dataclass(eq=False)
class _Lost:
    """A task ended, and perhaps no outcome will be told."""

    number: int
    worker: str
    """The name of the worker that was lost with it; empty if none was."""
    error: BaseException | None = None
    ready: bool = True
    """Whether that worker took jobs at all."""
    since: float = field(default_factory=time.monotonic)


class DaskExecutor(Executor):
    """Runs jobs on the workers that a client's scheduler has.

    Parameters
    ----------
    client
        Closed with the executor.
    machine
        The driver's own: where the ledger is, and which CellProfiler is wanted.
    make, spec, ahead, life_s, ends_workers
        See `Node`.
    run
        Tells the run from others; one is made if it is empty.

    Raises
    ------
    ExecutorError
        A worker that is there already cannot be used.
    """

    def __init__(
        self,
        client: Client,
        machine: Machine,
        make: str,
        spec: str,
        *,
        ahead: int = 0,
        life_s: float | None = None,
        ends_workers: bool = False,
        run: str = "",
    ) -> None:
        super().__init__(machine)
        self.name = f"cpengine-{run or secrets.token_hex(3)}"
        self.window = 1
        self._client = client
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._under_way: dict[int, _SubmittedTask] = {}
        self._endings: queue.SimpleQueue[_EndedTask | _Lost] = queue.SimpleQueue()
        self._lost: list[_Lost] = []
        self.drained: set[str] = set()
        """Workers that give back what they have not begun."""
        self._ready: set[str] = set()
        """The addresses of workers that take jobs."""
        self._never_ready: set[str] = set()
        """Those of workers that were lost before they did."""
        self._exits = EarlyExits("Dask workers")
        self._refusal = ""
        self._polled = float("-inf")
        client.subscribe_topic(self.name, self._hear)
        plugin = Node(
            self.name,
            make,
            spec,
            ahead=ahead,
            life_s=life_s,
            ends_worker=ends_workers,
        )
        try:
            client.register_plugin(plugin, name=self.name)
        except RuntimeError as error:
            client.close()
            raise ExecutorError(f"a Dask worker cannot be used: {error}") from error
        client.subscribe_topic(_OF_WORKERS, self._see)

    # --- the seam -------------------------------------------------------------------

    def submit(self, job: Job, attempt: int) -> None:
        number = next(self._numbers)
        future = self._client.submit(
            node.attempt,
            self.name,
            json.dumps(job.to_json()),
            number,
            attempt,
            key=f"{job.id}-{self.name}-{number}",
            pure=False,
        )
        with self._lock:
            self._under_way[number] = _SubmittedTask(job, attempt, future)
        future.add_done_callback(partial(self._done, number))

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        due = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        while True:
            window = self.window
            if time.monotonic() >= self._polled + _TEND_S:
                self.tend()
                self._polled = time.monotonic()
            room = max(0.0, due - time.monotonic())
            outcomes = [*self._outcomes(min(_TEND_S, room)), *self._settled()]
            if outcomes or self.window > window or time.monotonic() >= due:
                return outcomes

    def cancel(self) -> None:
        super().cancel()
        with self._lock:
            futures = [task.future for task in self._under_way.values()]
            self._under_way.clear()
        with contextlib.suppress(TimeoutError, OSError):
            self._client.cancel(futures, force=True)
            before = next(self._numbers)
            self._within(
                self._client.run, node.stop, self.name, before, on_error="ignore"
            )

    def close(self) -> None:
        super().close()
        with contextlib.suppress(TimeoutError, OSError, RuntimeError, ValueError):
            # Else the scheduler would tell us that we are gone.
            self._client.unsubscribe_topic(_OF_WORKERS)
            self._within(self._client.unregister_worker_plugin, self.name)
        self._client.close()

    def _within(self, call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        """Ask all workers, and do not wait for ever for one that is silent."""
        self._client.sync(call, *arguments, callback_timeout=_STOP_S, **more)

    # --- what executors that start workers of their own add ---------------------------

    def tend(self) -> None:
        """Look after the workers; called about twice a second while jobs run.

        Raises
        ------
        ExecutorError
            No job can run any more.
        """
        if self._refusal:
            raise ExecutorError(self._refusal)
        if self._exits.verdict and not self._ready:
            raise ExecutorError(self._exits.verdict)
        workers = self.workers()
        self.window = max(1, 2 * sum(w["nthreads"] for w in workers.values()))
        if not workers:
            self.listen(Noted("the Dask scheduler has no workers yet"))

    def cause(self, worker: str, since: float) -> Failure | None:
        """Why a worker was lost; None as long as that is to be found out.

        Parameters
        ----------
        since
            When it was noticed, as of `time.monotonic`.
        """
        return Failure(FailureKind.NODE_LOST, f"its Dask worker {worker} was lost")

    def joins(self, worker: str) -> None:
        """Take note that a worker takes jobs."""

    def leaves(self, address: str) -> None:
        """Take note that a worker was lost before it took a job."""
        note = self._exits.add(f"the last was {address}: see what it has printed")
        if note:
            self.listen(Noted(note))

    def refuses(self, worker: str, why: str) -> None:
        """Take note that a worker cannot be used."""
        self._refusal = f"a Dask worker cannot be used: {why}"

    def drains(self, worker: str) -> None:
        """Take note that a worker takes no more jobs."""

    def workers(self) -> dict[str, dict[str, Any]]:
        """What the scheduler says of each worker, by address.

        Raises
        ------
        ExecutorError
            The scheduler does not answer.
        """
        try:
            found: dict[str, dict[str, Any]] = self._client.scheduler_info()["workers"]
        except (OSError, TimeoutError) as error:
            raise ExecutorError(
                "the Dask scheduler does not answer any more: what is done is "
                "recorded; start it and run again"
            ) from error
        return found

    @property
    def under_way(self) -> int:
        """How many attempts have been submitted and not yet come to an outcome."""
        return len(self._under_way)

    # --- from tasks to outcomes -------------------------------------------------------

    def _hear(self, event: tuple[float, Any]) -> None:
        """Take in what a worker tells; called in the client's own thread."""
        number, *message = event[1]
        match message:
            case [node.READY, worker, address]:
                self._ready.add(address)
                self._exits.begins()
                self.joins(worker)
            case [node.REFUSES, worker, why]:
                self.drained.add(worker)
                self.refuses(worker, why)
            case [node.DRAINING, worker]:
                self.drained.add(worker)
                self.drains(worker)
            case [node.ENDED, outcome]:
                self._endings.put(_EndedTask(number, outcome))
            case [node.LEFT, worker]:
                self._endings.put(_Lost(number, worker))
            case _:
                with self._lock:  # not after its end: views would see it run again
                    if task := self._under_way.get(number):
                        task.begun |= message == node.RUNNING
                        node.heard(message, task.job, self.listen)

    def _see(self, event: tuple[float, Any]) -> None:
        """Take in what the scheduler tells of workers; called as `_hear`."""
        match event[1]:
            case {"action": "remove-worker", "worker": address, "expected": expected}:
                if address not in self._ready and not expected:
                    self._never_ready.add(address)
                    self.leaves(address)
                self._ready.discard(address)

    def _done(self, number: int, future: Future[None]) -> None:
        """Take note that Dask is through with a task; called in a thread of its own.

        What a task that ended well came to is told by its worker, now or soon.
        """
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            worker = error.last_worker
            ready = worker.address not in self._never_ready
            self._endings.put(_Lost(number, str(worker.name), ready=ready))
        else:
            self._endings.put(_Lost(number, "", error))

    def _outcomes(self, timeout_s: float) -> Iterator[Outcome]:
        """The outcomes that have been told; wait for the first."""
        with contextlib.suppress(queue.Empty):
            while True:
                ending = self._endings.get(timeout=timeout_s)
                timeout_s = 0.0
                if isinstance(ending, _Lost):
                    self._lost.append(ending)
                elif task := self._taken(ending.number):
                    yield self._unpacked(task, ending.outcome)

    def _unpacked(self, task: _SubmittedTask, text: str) -> Outcome:
        """Read what a worker told; one of another version may tell otherwise."""
        try:
            return node.unpacked(text, task.job)
        except Exception as error:
            return self._broken(task, error)

    def _broken(self, task: _SubmittedTask, error: BaseException) -> Outcome:
        return self.failed_by(task.job, task.attempt, error, task.submitted)

    def _taken(self, number: int) -> _SubmittedTask | None:
        """An attempt that is under way no more, if it still was."""
        with self._lock:
            return self._under_way.pop(number, None)

    def _settled(self) -> Iterator[Outcome]:
        """The outcomes of lost attempts whose cause is known."""
        for lost in self._lost.copy():
            yield from self._settle(lost)
            if lost.number not in self._under_way:
                self._lost.remove(lost)

    def _settle(self, lost: _Lost) -> Iterator[Outcome]:
        task = self._under_way.get(lost.number)
        if task is None:  # its outcome has been told
            return
        if lost.worker:
            task.future.release()  # lest Dask runs it again meanwhile
        given_back = lost.worker in self.drained and not task.begun
        if given_back or not lost.ready:
            self._taken(lost.number)
            self.submit(task.job, task.attempt)  # nothing has failed
        elif lost.error is not None:
            self._taken(lost.number)
            yield self._broken(task, lost.error)
        elif failure := self._failure(lost):
            self._taken(lost.number)
            yield self.lost(task.job, task.attempt, failure, task.submitted)

    def _failure(self, lost: _Lost) -> Failure | None:
        if lost.worker:
            return self.cause(lost.worker, lost.since)
        if time.monotonic() < lost.since + _UNTOLD_S:
            return None
        return Failure(FailureKind.NODE_LOST, "its worker ended without a word of it")
