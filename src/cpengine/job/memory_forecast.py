"""How much memory jobs are expected to need, learned from those that ended. Pure."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TypeAlias

from cpengine.model import Job
from cpengine.wording import GB

_RECENT = 30
"""So many ended jobs of a step are remembered: a plate may differ from the last one."""
_MARGIN = 1.1
"""Peaks are seen once a second only, and the next jobs may need a bit more."""
_Group: TypeAlias = tuple[tuple[str, str], ...]


@dataclass
class _OfStep:
    """What jobs of one step have held at the most, in bytes."""

    recent: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT))
    ran_out: dict[_Group, int] = field(default_factory=dict)
    """Of those that were ended for want of memory, so that they needed more."""


@dataclass
class Needs:
    """What is expected of each job, in bytes.

    That is what jobs need on average, and beside it room for one that is as large as
    the largest. To expect the largest of each job would leave half of the memory unused
    where jobs differ, and one far larger job would take away most slots.

    Parameters
    ----------
    first
        What is expected until jobs of the step have ended.
    """

    first: int
    _steps: defaultdict[str, _OfStep] = field(
        default_factory=lambda: defaultdict(_OfStep), init=False
    )

    def learn(self, job: Job, peak: int, *, out_of_memory: bool) -> None:
        """Take in the most that an attempt held.

        One that ran out of memory, and its next tries, tell of that job alone.
        """
        known = self._steps[job.step]
        if out_of_memory:
            known.ran_out[job.group] = max(peak, known.ran_out.get(job.group, 0))
        elif job.share == 1:
            known.recent.append(peak)

    def of(self, job: Job) -> int:
        """What a job is expected to hold at the most.

        One that ran out of memory: twice what it had then. None more than its own
        limit, at which it is ended.
        """
        expected = self.typical(job.step)
        if job.share > 1:
            had = self._steps[job.step].ran_out.get(job.group)
            expected = max(expected, 2 * had) if had else expected * job.share
        return min(expected, int(job.memory_gb * GB)) if job.memory_gb else expected

    def typical(self, step: str) -> int:
        """What a job of that step is expected to hold that never ran out of memory."""
        known = self._steps[step]
        if known.recent:
            return int(_MARGIN * sum(known.recent) / len(known.recent))
        # They needed more than that, and so may the others.
        return max(self.first, int(_MARGIN * max(known.ran_out.values(), default=0)))

    def spare(self, step: str) -> int:
        """Room to keep beside what is expected, for one that is as large as any."""
        recent = self._steps[step].recent
        return int(_MARGIN * max(recent)) - self.typical(step) if recent else 0
