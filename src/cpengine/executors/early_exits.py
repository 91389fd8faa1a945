"""Workers that end at once, again and again: first told, then the end of a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cpengine.wording import counted


@dataclass
class EarlyExits:
    """Workers in a row that ended before a job had begun.

    Parameters
    ----------
    whose
        What those who read of it know the workers as.
    """

    patience_s: ClassVar[float] = 300.0
    """From the third to the end: machines may differ, and faults pass."""
    most: ClassVar[int] = 3
    """So many are no chance."""

    whose: str = "workers"
    clock: Callable[[], float] = time.monotonic
    count: int = 0
    _why: str = ""
    _since: float = float("inf")

    def begins(self) -> None:
        """Take note that a job has begun."""
        self.count, self._since = 0, float("inf")

    def add(self, why: str) -> str:
        """Take note of another one; give what the user should know, with the third."""
        self.count += 1
        self._why = why
        if self.count != self.most:
            return ""
        self._since = self.clock()
        return f"{self._what}: the run ends in {self._patience} if none begins: {why}"

    @property
    def verdict(self) -> str:
        """Why a run is not to go on; empty as long as it may."""
        if self.clock() < self._since + self.patience_s:
            return ""
        return f"{self._what} for {self._patience}: {self._why}"

    @property
    def _what(self) -> str:
        return (
            f"{self.count} {self.whose} in a row have ended at once, and no job has "
            "begun"
        )

    @property
    def _patience(self) -> str:
        return counted(max(1, round(self.patience_s / 60)), "minute")
