"""In which order a step's jobs run: those that are known to take longest come first."""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cpengine.model import Job, Outcome
from cpengine.planning.job_list import Lazy
from cpengine.planning.plan import plate_of


def longest_first(jobs: Sequence[Job], plate_s: Mapping[str, float]) -> Sequence[Job]:
    """Jobs of plates with the longest jobs first, so that none is left for the end.

    Jobs of plates without a known time come before them, because they may be long.
    Otherwise, jobs keep their order. Each is looked at once, and none is kept.

    Parameters
    ----------
    plate_s
        Seconds that a job takes, by plate, as far as known.
    """
    if not plate_s:
        return jobs
    seconds = array("d", (plate_s.get(plate_of(job), math.inf) for job in jobs))
    # Reversed, a sort keeps the order of equals, too.
    longest = sorted(range(len(seconds)), key=seconds.__getitem__, reverse=True)
    return Lazy(jobs.__getitem__, array("L", longest))


@dataclass
class PlateTimes:
    """Sums up how long CellProfiler took for a job, by plate.

    Accelerated modules are another CellProfiler: where jobs used them, only those count
    that did.
    """

    exact: bool = False
    """Whether it is accelerated modules that took so long."""
    _total_s: dict[str, float] = field(default_factory=dict)
    _jobs: dict[str, int] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Take in a job; one that has failed or did not run tells nothing."""
        seconds, exact = outcome.phase_s.get("running"), bool(outcome.exact)
        if not outcome.done or seconds is None or (self.exact and not exact):
            return
        if exact and not self.exact:
            self.exact = True
            self._total_s.clear()
            self._jobs.clear()
        plate = plate_of(outcome.job)
        self._total_s[plate] = self._total_s.get(plate, 0.0) + seconds
        self._jobs[plate] = self._jobs.get(plate, 0) + 1

    @property
    def mean_s(self) -> dict[str, float]:
        """Wall seconds a job, by plate, to a hundredth."""
        return {
            plate: round(total / self._jobs[plate], 2)
            for plate, total in self._total_s.items()
        }
