"""What failed so far, by cause: few lines, however many jobs."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from cpengine.executors.retry import Cause, likeness
from cpengine.model import Outcome
from cpengine.wording import counted

AT_ONCE = 20


@dataclass
class Like:
    """Failures of one cause."""

    first: Outcome
    failed: int = 0
    """Jobs."""
    retried: int = 0
    """Attempts that were followed by another."""
    reported: int = 0
    """How many failed jobs a reader knows of."""

    def __str__(self) -> str:
        tries = "1 try" if self.retried == 1 else f"{self.retried} tries"
        count = counted(self.failed, "job") if self.failed else tries
        cause = Cause(self.first, self.failed)
        return f"{count}, first {self.first.job.id}: {cause}"


class Failing:
    """Takes in failures, and says which of them are news.

    Parameters
    ----------
    at_once
        So many causes are news when they first occur; of others counts are told.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._found: dict[object, Like] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, outcome: Outcome, *, again: bool = False) -> bool:
        """Take in a failure; tell whether it is worth a line of its own.

        It is if it is the first of its cause, or of the job that was that.

        Parameters
        ----------
        again
            Whether the job is tried again.
        """
        failure = outcome.failure
        if failure is None:
            return False
        key = likeness(failure, self._found)
        like = self._found.setdefault(key, Like(outcome))
        like.retried += again
        like.failed += not again
        first = like.first.job.id == outcome.job.id
        news = first or (not again and like.failed == 1)
        if not news or len(self._found) > self._at_once:
            return False
        like.reported = like.failed
        return True

    def commonest(self, most: int) -> list[Like]:
        """The causes of most failed jobs; those of attempts alone come last."""
        found = self._found.values()
        return heapq.nlargest(most, found, key=lambda like: (like.failed, like.retried))

    def news(self, most: int) -> Iterator[Like]:
        """The commonest causes of which jobs have failed since they were last told."""
        for like in self.commonest(most):
            if like.failed > like.reported:
                like.reported = like.failed
                yield like
