"""What an executor gives the jobs of a step: how many at a time, at what price."""

from collections.abc import Sequence
from dataclasses import dataclass

from cpengine.job.admission import MemoryRule
from cpengine.job.memory_forecast import Needs
from cpengine.model import Outcome
from cpengine.planning.project import ResolvedProject
from cpengine.wording import GB


@dataclass(frozen=True, slots=True)
class Room:
    """What an executor gives the jobs of one step."""

    slots: int
    """Jobs at a time."""
    where: str
    """The slots in words."""
    fits: int | None = None
    """Jobs that the memory of one machine holds at a time; None if not known."""
    cores: int | None = None
    """Jobs that one machine would run if memory did not matter."""
    extra_s: float = 0.0
    """Seconds that start and end of machines take besides the jobs."""
    machines: int = 1
    price: float | None = None
    """Dollars an hour that one of them costs at the most."""
    life_h: float | None = None
    """Hours after which they are ended."""
    at_most: str = ""
    """What the machines cost if they live as long as that, in words."""


@dataclass(frozen=True, slots=True)
class RoomRequest:
    """What the room is for."""

    project: ResolvedProject
    step: str
    jobs: int
    on: str
    """The executor's name."""
    workers: int | None
    """Jobs at a time, if that is said."""
    cellprofiler: str
    measured: Sequence[Outcome]

    def fits(self, rule: MemoryRule) -> int:
        """How many jobs fit into memory, by the measured ones, as slots reckon it."""
        needs = Needs(rule.expected)
        for outcome in self.measured:
            if outcome.peak_memory:
                needs.learn(outcome.job, outcome.peak_memory, out_of_memory=False)
        room = rule.budget - needs.spare(self.step)
        return max(1, room // max(1, needs.typical(self.step)))


def worker_memory(memory_gb: float, job_gb: float) -> MemoryRule:
    """The rule of a worker elsewhere that has its memory for itself."""
    return MemoryRule.of(lambda: int(memory_gb * GB), int(job_gb * GB), admits=True)
