"""How many CellProfilers run at a time on one machine, as far as memory reaches."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Flag

from cpengine.job.memory_forecast import Needs
from cpengine.model import AttemptError, FailureKind, Job
from cpengine.wording import GB, gigabytes

_CHECK_EVERY_S = 0.2
_SETTLE_S = 5.0
"""How long the memory of a job that was stopped may take to come back."""
_LEAST_RESERVE = GB // 2


@dataclass(frozen=True, slots=True)
class MemoryRule:
    """How memory bounds what runs at a time; sizes in bytes."""

    left: Callable[[], int]
    """Says how much can be had at present; negative above a limit that only we keep."""
    reserve: int
    """When less is left, the largest job is stopped and no other one is started."""
    budget: int
    """What all jobs together may be expected to need."""
    expected: int
    """What a job is expected to need until jobs of its step have ended."""
    admits: bool = True
    """Whether the budget decides if a job can start. If not, it does so only for jobs
    that ran out of memory before."""
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(
        cls, left: Callable[[], int], expected: int, *, admits: bool
    ) -> "MemoryRule":
        """The rule for what is left now, before anything of ours runs.

        A twentieth of that is kept back, or half a GB if that is more, but never above
        a quarter: on a machine that is full already that would stop every job.

        Parameters
        ----------
        expected, admits
            As the fields.
        """
        now = left()
        reserve = min(max(now // 20, _LEAST_RESERVE), now // 4)
        return cls(left, reserve, now - reserve, expected, admits)


@dataclass(eq=False)
class Lease:
    """An attempt's place among those that run."""

    job: Job
    _slots: "Slots"
    memory: int = 0
    """Bytes it held when it was last looked at."""
    peak: int = 0
    why: str = ""
    """Why it is to be stopped, if it is."""

    def check(self, memory_bytes: int) -> str | None:
        """Take note of what the attempt holds; say why to stop it, if it must be.

        To be called about once a second with the resident memory of its processes: the
        largest is told when its own turn to be looked at comes. Once told, it is told
        again.
        """
        return self._slots._check(self, memory_bytes)

    def ended(self, peak_memory: int, *, out_of_memory: bool = False) -> None:
        """Take note of the most that the attempt held, so that others can be placed.

        Parameters
        ----------
        peak_memory
            Bytes of all its processes together; 0 if not known.
        out_of_memory
            Whether it was ended for want of memory, so that it needed more. Not needed
            for one that `look` has stopped.
        """
        self._slots._learn(self, peak_memory, out_of_memory or bool(self.why))


@dataclass
class Slots:
    """Room for jobs, given in the order of asking; a large job takes several.

    Jobs that fetch or publish hold none, so that CellProfiler need not wait for them.

    A job gets in when there are slots for it, and, if memory matters, when what it and
    all that run are expected to need is within the budget. That begins with few and
    grows: each job that ends makes room for one more than before, at the most. A job
    always gets in where no other one is.

    Parameters
    ----------
    count
        So many slots there are.
    memory
        How memory bounds them; not at all if None.
    """

    count: int
    memory: MemoryRule | None = None
    _free: int = field(init=False)
    _waiting: deque[Lease] = field(default_factory=deque, init=False)
    _leases: list[Lease] = field(default_factory=list, init=False)
    _changed: threading.Condition = field(
        default_factory=threading.Condition, init=False
    )
    _needs: Needs = field(init=False)
    _most: int = field(init=False)
    """How many may run at a time, by how many have ended."""
    _stopped_at: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._free = self._most = self.count
        self._needs = Needs(self.memory.expected if self.memory else 0)
        if self.memory and self.memory.admits:
            self._most = max(1, self.memory.budget // max(1, self.memory.expected))

    def fitting(self, step: str) -> int:
        """How many jobs of a step could run at a time, by what is known now."""
        if self.memory is None or not self.memory.admits:
            return self.count
        with self._changed:
            room = self.memory.budget - self._needs.spare(step)
            fitting = room // max(1, self._needs.typical(step))
            return max(1, min(self.count, self._most, fitting))

    @contextmanager
    def take(self, job: Job, cancelled: Flag) -> Iterator[Lease]:
        """Hold as many slots as the job's share, all of them at the most.

        Raises
        ------
        AttemptError
            It was cancelled meanwhile.
        """
        share = min(job.share, self.count)
        lease = Lease(job, self)
        self._acquire(lease, share, cancelled)
        try:
            yield lease
        finally:
            self._give_back(lease, share)

    def _acquire(self, lease: Lease, share: int, cancelled: Flag) -> None:
        with self._changed:
            self._waiting.append(lease)
            try:
                while self._waiting[0] is not lease or not self._fits(lease.job, share):
                    _check(cancelled)
                    self._changed.wait(_CHECK_EVERY_S)
                _check(cancelled)  # room may come from one that was cancelled itself
                self._free -= share
                self._leases.append(lease)
            finally:
                self._waiting.remove(lease)
                self._changed.notify_all()

    def _fits(self, job: Job, share: int) -> bool:
        if not self._leases or self.memory is None:
            return self._free >= share
        return (
            self._free >= share
            and len(self._leases) < self._most
            and self._within_budget(job, self.memory)
            and not self._settling(self.memory)
            and self.memory.left() >= self.memory.reserve
        )

    def _within_budget(self, job: Job, memory: MemoryRule) -> bool:
        if not memory.admits and job.share == 1:
            return True
        needs = self._needs
        needed = sum(max(needs.of(lease.job), lease.peak) for lease in self._leases)
        return needed + needs.of(job) + needs.spare(job.step) <= memory.budget

    def _settling(self, memory: MemoryRule) -> bool:
        """Whether the memory of a job that was stopped may still come back."""
        return memory.clock() < self._stopped_at + _SETTLE_S

    def _give_back(self, lease: Lease, share: int) -> None:
        with self._changed:
            self._leases.remove(lease)
            self._free += share
            self._changed.notify_all()

    def _check(self, lease: Lease, held: int) -> str | None:
        with self._changed:
            lease.memory, lease.peak = held, max(held, lease.peak)
            if self.memory and not lease.why:
                lease.why = self._reason_to_stop(lease, self.memory)
                if lease.why:
                    self._stopped_at = self.memory.clock()
            return lease.why or None

    def _reason_to_stop(self, lease: Lease, memory: MemoryRule) -> str:
        """Say so if memory is short, and it is this job that has most of it.

        What is left is asked for in that job's turn only: once a second for all jobs.
        """
        running = [other for other in self._leases if not other.why]
        largest = max(running, key=lambda other: other.memory, default=None)
        if lease is not largest or not lease.memory or self._settling(memory):
            return ""
        left = memory.left()
        if len(running) < 2:
            return "stopped, because it needs all memory there is" if left < 0 else ""
        if left >= memory.reserve:
            return ""
        return (
            f"stopped, because only {gigabytes(left)} of memory was left; "
            f"it had {gigabytes(lease.memory)}, the most of {len(running)} jobs"
        )

    def _learn(self, lease: Lease, peak: int, out_of_memory: bool) -> None:
        peak = max(peak, lease.peak)
        with self._changed:
            if peak:
                self._needs.learn(lease.job, peak, out_of_memory=out_of_memory)
                self._most += not out_of_memory
            self._changed.notify_all()


def _check(cancelled: Flag) -> None:
    if cancelled.is_set():
        raise AttemptError(FailureKind.CANCELLED, "cancelled")
