"""When a worker must take no more jobs, so that it ends before its walltime. Pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

_MARGIN = 0.05
_MOST_MARGIN_S = 120.0
_STAGGER = 0.05
_LONGER = 1.2
"""The next job may take so many times as long as the longest one so far."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The time that a scheduler gives to a worker."""

    end: float
    """When it ends the worker, in seconds as of `time.time`."""
    margin_s: float
    """How long before that the worker must be gone."""

    @classmethod
    def of(
        cls,
        life_s: float,
        environ: Mapping[str, str],
        now: float,
        chance: float | None = None,
    ) -> "Lifetime":
        """That of a worker which starts now.

        Workers that start together do not end together: a margin has a part by chance.

        Parameters
        ----------
        life_s
            The walltime asked for. SLURM's own word counts where it gives one.
        chance
            From 0 to 1; random if None.
        """
        end_time = environ.get("SLURM_JOB_END_TIME", "")
        end = float(end_time) if end_time.isdigit() else now + life_s
        life_s = max(0.0, end - now)
        some = random.random() if chance is None else chance
        margin_s = min(_MARGIN * life_s, _MOST_MARGIN_S) + some * _STAGGER * life_s
        return cls(end, margin_s)

    def over(self, now: float, longest_s: float) -> bool:
        """Whether another job as long as the longest so far might not end in time."""
        return now + _LONGER * longest_s + self.margin_s >= self.end
