"""Machines that fit a step, by what its jobs took in earlier runs. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cpengine.model import Outcome
from cpengine.wording import GB, gigabytes

_VCPUS = 4
_TYPES = (("c6i.xlarge", 8), ("m6i.xlarge", 16), ("r6i.xlarge", 32))
"""Machines of four vCPUs and their GB, cheapest first. Source: EC2's instance types."""
_FOR_CONTAINERS = 0.9
"""What the system leaves of a machine's memory to containers."""
_QUANTILE = 0.95


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A machine, and how many jobs it can run at a time."""

    jobs: int
    """So many outcomes it stands on."""
    wall_s: float
    """What 95 of 100 jobs do not take longer than, waiting for a slot left out."""
    memory: int
    """What 95 of 100 jobs do not need more than, in bytes."""
    machine_type: str
    slots: int

    @property
    def memory_mb(self) -> int:
        """What a container may use on that machine, in MB."""
        gb = dict(_TYPES)[self.machine_type]
        return int(gb * 1024 * _FOR_CONTAINERS)

    def __str__(self) -> str:
        minutes = self.wall_s / 60
        return (
            f"took {minutes:.1f} min and {gigabytes(self.memory)} at the 95th "
            f"percentile of {self.jobs} jobs: {self.machine_type}, {self.slots} "
            f"{'slot' if self.slots == 1 else 'slots'}; visibility is kept alive by "
            "heartbeat"
        )


def suggest(outcomes: Sequence[Outcome]) -> Suggestion | None:
    """The cheapest machine a job's core; None if nothing was measured yet."""
    done = [outcome for outcome in outcomes if outcome.done and outcome.peak_memory]
    if not done:
        return None
    wall_s = _quantile(list(map(_own_s, done)))
    memory = int(_quantile([float(o.peak_memory) for o in done]))
    kind, slots = _fitting(memory)
    return Suggestion(len(done), wall_s, memory, kind, slots)


def _fitting(memory: int) -> tuple[str, int]:
    """The first type on which more than half of the cores can work, else the largest.

    A type with twice the memory costs about a quarter more.
    """
    for kind, gb in _TYPES:
        slots = min(_VCPUS, int(gb * GB * _FOR_CONTAINERS // memory))
        if 2 * slots > _VCPUS:
            return kind, slots
    kind, gb = _TYPES[-1]
    return kind, max(1, int(gb * GB * _FOR_CONTAINERS // memory))


def _own_s(outcome: Outcome) -> float:
    """What a job took, without what it waited for and what only comparing took."""
    others = ("waiting", "checking")
    return outcome.wall_s - sum(outcome.phase_s.get(name, 0.0) for name in others)


def _quantile(values: Sequence[float]) -> float:
    """The smallest value that 95 of 100 do not exceed."""
    return sorted(values)[math.ceil(_QUANTILE * len(values)) - 1]
