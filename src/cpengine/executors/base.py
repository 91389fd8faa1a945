"""The seam: an executor takes jobs and yields outcomes as they end."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Self

from cpengine.events import JobEnded, JobRetried, Listener, ignore
from cpengine.model import ATTEMPTS, Job, Outcome


class Executor(ABC):
    """Runs jobs somewhere.

    A backend fills in `submit`, `wait`, `cancel` and `window`; the flow is here:
    how many jobs are under way, which failures are tried again, what is told.
    """

    window: int
    """How many jobs may be submitted and not yet ended."""

    def __init__(self) -> None:
        self.listen: Listener = ignore

    @abstractmethod
    def submit(self, job: Job, attempt: int) -> None:
        """Start an attempt at a job; return at once."""

    @abstractmethod
    def wait(self) -> list[Outcome]:
        """Wait until attempts have ended; give their outcomes."""

    @abstractmethod
    def cancel(self) -> None:
        """End the attempts under way, leave nothing half-published, wait for that."""

    def close(self) -> None:  # noqa: B027 (most backends have nothing to give back)
        """Give back what the executor holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, jobs: Iterable[Job], listen: Listener = ignore) -> Generator[Outcome]:
        """Run jobs and yield each one's outcome as it ends.

        Attempts under way are cancelled when the caller stops early, by Ctrl-C too.
        """
        self.listen = listen
        waiting = deque((job, 1) for job in jobs)
        under_way = 0
        try:
            while waiting or under_way:
                while waiting and under_way < self.window:
                    self.submit(*waiting.popleft())
                    under_way += 1
                for outcome in self.wait():
                    under_way -= 1
                    if _try_again(outcome):
                        listen(JobRetried(outcome))
                        waiting.append((outcome.job, outcome.attempt + 1))
                    else:
                        listen(JobEnded(outcome))
                        yield outcome
        finally:
            if under_way:
                self.cancel()


def _try_again(outcome: Outcome) -> bool:
    failure = outcome.failure
    return failure is not None and outcome.attempt < ATTEMPTS.get(failure.kind, 1)
