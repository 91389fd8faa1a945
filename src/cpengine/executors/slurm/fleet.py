"""The workers of one run on a cluster: jobs of its scheduler, watched and replaced.

dask-jobqueue's own watch is not used: it does not replace workers whose jobs have died,
does not notice jobs that were refused, and cancels those that SLURM has put back into
the queue (its issues #122, #611, #620).
"""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cpengine.errors import ExecutorError
from cpengine.executors.early_exits import EarlyExits
from cpengine.executors.slurm import schedulers
from cpengine.executors.slurm.jobqueue import QueueJob
from cpengine.executors.slurm.schedulers import (
    ALIVE,
    BatchScheduler,
    MakeWorkerJob,
    RefusedError,
    SchedulerState,
)
from cpengine.model import Failure, FailureKind

_SOON_S, _LATE_S = 1.0, 30.0
"""Seconds between two looks at the scheduler: when something happens, and at rest."""
_SETTLE_S = 15.0
"""A job in a passing state may come back to the queue for so long."""
_FIND_OUT_S = 30.0
"""How long the cause of a loss is asked for."""
_AGAIN_S = 60.0
"""At the most so long after a refusal the next job is submitted."""
_LONG_S = 300.0
"""No worker for so long is told of schedulers that cannot be asked."""
_AT_ONCE = 10
"""So many jobs are submitted in one go: schedulers refuse bursts."""
_FAULTS = 3
"""A node where so many workers died is not used any more."""

_LAST_LINES = 3
_PASSING = frozenset(
    {"PREEMPTED", "COMPLETING", "REQUEUED", "NODE_FAIL", "STAGE_OUT", "SIGNALING"}
)
"""After these a job is over or back in the queue."""
_NODE_FAULTS = frozenset({"NODE_FAIL", "FAILED", "BOOT_FAIL"})

_CURES: Mapping[str, str] = {
    "PartitionTimeLimit": "lower walltime, or use another partition",
    "PartitionNodeLimit": "use another partition",
    "PartitionConfig": "lower cores or memory_gb, or use another partition",
    "BadConstraints": "lower cores or memory_gb, or change the directives",
    "InvalidAccount": "name another account",
    "InvalidQOS": "name another qos",
    "AccountNotAllowed": "name another account or partition",
    "QOSNotAllowed": "name another qos or partition",
    "QOSNotFound": "name another qos",
    "DependencyNeverSatisfied": "change the directives",
}
"""Reasons for which a job waits for ever, and what a user can do."""
_ENDS: Mapping[str, str] = {
    "TIMEOUT": "it reached its walltime: raise walltime if jobs take that long",
    "DEADLINE": "it reached its deadline",
    "NODE_FAIL": "the node failed",
    "BOOT_FAIL": "the node did not boot",
    "PREEMPTED": "it was preempted",
    "CANCELLED": "it was cancelled",
    "OUT_OF_MEMORY": "it needed more than its memory_gb",
    "PENDING": "it was put back into the queue",
}
_SMALLER = "lower memory_gb or cores, or name another partition"
_OTHER_SETTINGS = "change the executor's settings in cpengine.toml"
_MEMORY = re.compile(r"exceeded .*memory|oom.?kill|out of memory", re.IGNORECASE)


@dataclass(eq=False)
class WorkerJob:
    """A job of the scheduler that is, or becomes, a Dask worker."""

    name: str
    job: QueueJob
    number: str
    standing: SchedulerState
    since: float
    """When that was first seen."""
    polled: float = float("-inf")
    listed: float = float("-inf")
    """When the scheduler named it last."""
    joined: bool = False
    """Whether its worker has come, at some time, and could be used."""
    refusal: str = ""
    """Why it could not be used."""
    present: bool = False
    draining: bool = False
    gone_since: float | None = None
    """Since when its worker is gone, after it had come."""


@dataclass
class WorkerFleet:
    """Worker jobs, as many as are wanted.

    Parameters
    ----------
    name
        What all its jobs are called, so that one call tells of all.
    make
        Makes the job of a worker.
    logs
        Where the scheduler keeps what workers print.
    """

    queue: BatchScheduler
    name: str
    make: MakeWorkerJob
    logs: Path
    clock: Callable[[], float] = time.monotonic
    jobs: dict[str, WorkerJob] = field(default_factory=dict)
    """Those that are not over, by name."""
    over: dict[str, WorkerJob] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)
    """Nodes that are not used any more."""
    troubled: bool = False
    """Whether a worker did not start, or died by a fault of its own or its node's."""
    _count: int = 0
    _every_s: float = _SOON_S
    _next_poll: float = float("-inf")
    _next_submit: float = float("-inf")
    _refused_s: float = _SOON_S
    _silent: bool = False
    """Whether the scheduler did not answer when it was asked last."""
    _exits: EarlyExits = field(init=False)
    _waits_since: float = float("inf")
    """Since when there is no worker."""
    _faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._exits = EarlyExits("workers", self.clock)

    def tend(self, wanted: int, present: Mapping[str, str]) -> Iterator[str]:
        """See who is there, replace who is not; give what the user should know.

        Parameters
        ----------
        wanted
            So many workers should be there, or on their way.
        present
            The workers that Dask has, by name, and where they are.

        Raises
        ------
        ExecutorError
            No worker comes, and none will.
        """
        self._compare(present)
        if self.queue.poll and self.jobs and self.clock() >= self._next_poll:
            yield from self._take_poll(self.queue.poll)
        over = [job for job in self.jobs.values() if self._is_over(job)]
        for job in over:
            yield from self._drop(job)
        if over and self._exits.count >= self._exits.most:
            self._pause()
        if self.queue.poll is None and self.clock() > self._waits_since + _LONG_S:
            yield f"no worker has come yet: see what {self.queue.name} says of them"
        yield from self._fill(wanted)

    def joins(self, worker: str) -> None:
        """Take note that a worker takes jobs."""
        if job := self._of(worker):
            job.joined = True
            self._exits.begins()

    def refuses(self, worker: str, why: str) -> None:
        """Take note that a worker cannot be used, and will end."""
        if job := self._of(worker):
            job.refusal = why

    def drains(self, worker: str) -> None:
        """Take note that a worker takes no more jobs, so that another one comes."""
        if job := self._of(worker):
            job.draining = True

    @property
    def waiting(self) -> list[WorkerJob]:
        """Jobs whose workers have not come."""
        return [job for job in self.jobs.values() if not job.present]

    def drop(self, count: int) -> None:
        """Cancel so many of the jobs that wait; the youngest first."""
        never = [job for job in self.waiting if not job.joined]
        dropped = never[-count:] if count else []
        for job in dropped:
            del self.jobs[job.name]
        schedulers.cancel([job.job for job in dropped])

    def close(self) -> None:
        """Cancel every job, and those that may come back to the queue."""
        back = [job for job in self.over.values() if job.standing.state in _PASSING]
        schedulers.cancel([job.job for job in (*self.jobs.values(), *back)])
        self.over |= self.jobs
        self.jobs.clear()

    def cause(self, worker: str, since: float) -> Failure | None:
        """Why a worker was lost at a time; None as long as that is to be found out."""
        job = self._of(worker)
        if job is None or job.draining:
            return Failure(FailureKind.NODE_LOST, "its worker came to its end")
        lasts = self.clock() - since
        unknown = self.queue.poll is None or lasts > _FIND_OUT_S
        state = job.standing.state
        if job.polled < since and job.name in self.jobs and not unknown:
            if not self._silent:
                self._next_poll = min(self._next_poll, self.clock())
            return None
        if not unknown and (
            state in ("RUNNING", "COMPLETING") or not self._end_is_written(job)
        ):
            return None
        return self._failure(job)

    def _end_is_written(self, job: WorkerJob) -> bool:
        """Whether all that its node writes of a job's end can be expected."""
        ended = job.standing.state not in ALIVE
        return not ended or self.clock() >= job.since + _SOON_S

    def _failure(self, job: WorkerJob) -> Failure:
        standing = job.standing
        if standing.state == "PENDING":  # it is in the queue again
            ended = schedulers.account_of(job.number) if self.queue.poll else None
            standing = ended or standing
        where = f"{self.queue.name} job {job.number}"
        where += f" on {standing.node}" if standing.node else ""
        if standing.state == "OUT_OF_MEMORY" or self._log_says(job, _MEMORY):
            kind, why = FailureKind.OUT_OF_MEMORY, _ENDS["OUT_OF_MEMORY"]
        else:
            ending = f"it ended as {standing.state} {standing.reason}".rstrip()
            preempted = standing.state == "PREEMPTED"
            kind = FailureKind.SPOT_LOST if preempted else FailureKind.NODE_LOST
            why = _ENDS.get(standing.state, ending)
            if self.queue.poll is None or standing.state == "RUNNING":
                why = "nothing is heard of it any more"
        return Failure(kind, f"its worker was lost ({where}): {why}")

    def _log_says(self, job: WorkerJob, what: re.Pattern[str]) -> bool:
        lines = schedulers.last_lines(self.logs, job.number)
        return any(what.search(line) for line in lines)

    def _of(self, worker: str) -> WorkerJob | None:
        """The job of a Dask worker, whose name ends in how often it was started."""
        name = worker.rpartition("-")[0]
        return self.jobs.get(name) or self.over.get(name)

    # --- who is there -----------------------------------------------------------------

    def _compare(self, present: Mapping[str, str]) -> None:
        if present or not self.jobs:
            self._waits_since = self.clock()
        there = {worker.rpartition("-")[0]: host for worker, host in present.items()}
        for job in self.jobs.values():
            was, job.present = job.present, job.name in there
            if job.present and not was:
                job.gone_since = None
            if was and not job.present:
                job.gone_since = self.clock()
            if was is not job.present:
                self._poll_soon()

    def _poll_soon(self) -> None:
        self._every_s = _SOON_S
        self._next_poll = min(self._next_poll, self.clock() + _SOON_S)

    def _take_poll(self, poll: schedulers.Poll) -> Iterator[str]:
        now = self.clock()
        try:
            found = poll(self.name)
        except OSError as error:
            self._silent = True
            self._every_s = min(2 * self._every_s, _LATE_S)
            self._next_poll = now + self._every_s
            yield f"{self.queue.name} does not answer, jobs go on: {error}"
            return
        self._silent = False
        self._take_back(found)
        before = {name: job.standing for name, job in self.jobs.items()}
        for job in self.jobs.values():
            if job.number in found:
                job.listed = now
            current = found.get(job.number) or self._vanished(job)
            node = current.node or job.standing.node
            standing = SchedulerState(current.state, current.reason, node)
            if standing != job.standing:
                job.standing, job.since = standing, now
            job.polled = now
        same = before == {name: job.standing for name, job in self.jobs.items()}
        self._every_s = min(1.5 * self._every_s, _LATE_S) if same else _SOON_S
        self._next_poll = self.clock() + self._every_s
        yield from self._explain()

    def _take_back(self, found: Mapping[str, SchedulerState]) -> None:
        """Count jobs that were taken for over and are in the queue again."""
        for job in [*self.over.values()]:
            standing = found.get(job.number)
            if standing and standing.state in ALIVE and not job.draining:
                self.jobs[job.name] = self.over.pop(job.name)

    def _vanished(self, job: WorkerJob) -> SchedulerState:
        """Where a job stands that SLURM does not list, as it does for a while only."""
        long_ago = self.clock() > max(job.since, job.listed) + _LATE_S
        gone = SchedulerState("GONE") if long_ago and not job.present else None
        return schedulers.account_of(job.number) or gone or job.standing

    def _explain(self) -> Iterator[str]:
        """Say why workers wait; give up if all that there are wait for ever."""
        reasons = Counter(
            job.standing.reason
            for job in self.waiting
            if job.standing.state == "PENDING" and job.standing.reason
        )
        words = [reason.strip("()").partition(",")[0] for reason in reasons]
        for_ever = words and all(word in _CURES for word in words)
        if for_ever and reasons.total() == len(self.jobs):
            job = self.waiting[0].job
            sizes = self.queue.sizes(words[0], job.job_script())
            raise ExecutorError(
                f"{self.queue.name} will never start the workers ({words[0]}{sizes}): "
                f"{_CURES[words[0]]}"
            )
        if reasons and self.clock() > self._waits_since + _LATE_S:
            why = ", ".join(reasons)
            yield f"workers wait in {self.queue.name}'s queue: {why}"

    def _is_over(self, job: WorkerJob) -> bool:
        if job.present:
            return False
        now, state = self.clock(), job.standing.state
        if self.queue.poll is None:
            return job.gone_since is not None and now > job.gone_since + _SETTLE_S
        if state in ALIVE:
            return False
        return state not in _PASSING or now > job.since + _SETTLE_S

    def _drop(self, job: WorkerJob) -> Iterator[str]:
        del self.jobs[job.name]
        self.over[job.name] = job
        node = job.standing.node
        if job.draining or (job.joined and job.standing.state not in _NODE_FAULTS):
            return
        self.troubled = True
        if not job.joined:
            yield from self._never_came(job)
        if node:
            self._faults[node] += 1
            if self._faults[node] >= _FAULTS and node not in self.excluded:
                self.excluded.append(node)
                yield f"{node} is not used any more: {_FAULTS} workers died there"

    def _never_came(self, job: WorkerJob) -> Iterator[str]:
        """Say why a worker did not start; end the run if none does, again and again."""
        where = f" on {job.standing.node}" if job.standing.node else ""
        why = self._why_never(job)
        note = self._exits.add(f"the last{where}: {why}")
        if self._exits.count <= self._exits.most:
            yield note or f"a worker did not start{where}: {why}"
        if self._exits.verdict and not any(job.present for job in self.jobs.values()):
            raise ExecutorError(self._exits.verdict)

    def _why_never(self, job: WorkerJob) -> str:
        if job.refusal:
            return job.refusal
        lines = schedulers.last_lines(self.logs, job.number)[-_LAST_LINES:]
        standing = job.standing
        text = f"{self.queue.name} says {standing.state} {standing.reason}".rstrip()
        ended = schedulers.account_of(job.number) if self.queue.poll else None
        if ended and ended.ending:
            text += f", {ended.ending}"
        return f"{', '.join(lines)} ({text})" if lines else text

    # --- who is to come ---------------------------------------------------------------

    def _fill(self, wanted: int) -> Iterator[str]:
        there = sum(not job.draining for job in self.jobs.values())
        for _ in range(min(wanted - there, _AT_ONCE)):
            if self.clock() < self._next_submit:
                return
            self._count += 1
            name = f"{self.name}-{self._count}"
            job = self.make(name, self.excluded)
            try:
                self._submit(name, job)
            except RefusedError as error:
                yield self._refused(error, job)

    def _submit(self, name: str, job: QueueJob) -> None:
        number = schedulers.submit(job)
        self.jobs[name] = WorkerJob(
            name, job, number, SchedulerState("PENDING"), self.clock()
        )
        if not self._exits.count:
            self._refused_s = _SOON_S
        self._poll_soon()

    def _refused(self, error: RefusedError, job: QueueJob) -> str:
        sizes = self.queue.sizes(str(error), job.job_script())
        if not error.passing and not self.jobs:
            cure = _SMALLER if sizes else _OTHER_SETTINGS
            raise ExecutorError(
                f"{self.queue.name} refuses the workers: {error}{sizes}: "
                f"{error.cure or cure}"
            )
        self._pause()
        return f"{self.queue.name} takes no more workers now: {error}"

    def _pause(self) -> None:
        """Submit nothing for a while, and for longer the next time."""
        self._next_submit = self.clock() + self._refused_s
        self._refused_s = min(2 * self._refused_s, _AGAIN_S)


def needed(under_way: int, slots: int, least: int, most: int) -> int:
    """How many workers of so many slots are to be there for jobs under way."""
    return min(most, max(least, math.ceil(under_way / slots)))
