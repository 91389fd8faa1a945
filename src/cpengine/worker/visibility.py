"""The heartbeat of messages: each stays hidden from other workers while its job lives.

SQS shows a message again when its visibility timeout is over. The timeout is short, and
is extended at three times the pace at which it ends: a worker that is lost holds its
jobs up for no longer than that.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event as Flag

from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.queue import Message, Queue
from cpengine.model import Job

AGAIN_S = 60
"""After so long a message whose outcome could not be recorded is seen again."""
_MOST_HIDDEN_S = 43_200
"""SQS hides a message for so long in all."""
HANGS_S = 1800.0
"""A job that for so long neither tells nor asks anything hangs."""


class StopFlag(Flag):
    """Whether a job is to stop; knows when its thread has last asked that.

    All that waits in a job asks it: for a slot, for CellProfiler, which has limits of
    its own, for another run that publishes, and before each file that it fetches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = time.monotonic()

    def is_set(self) -> bool:
        self.asked = time.monotonic()
        return super().is_set()


@dataclass(eq=False)
class Held:
    """A message whose job is under way."""

    message: Message
    job: Job
    attempt: int
    cancelled: StopFlag = field(default_factory=StopFlag)
    given_back: bool = False
    since: float = field(default_factory=time.monotonic)


class HeldMessages:
    """The messages of a worker's jobs, hidden from the other workers.

    Parameters
    ----------
    visibility_s
        For how long they are hidden at a time.
    """

    def __init__(self, queue: Queue, visibility_s: float) -> None:
        self._queue = queue
        self._visibility_s = visibility_s
        self._lock = threading.Lock()
        self._held: set[Held] = set()
        self._over = threading.Event()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def hanging(self) -> list[Held]:
        """Those whose jobs hang."""
        since = time.monotonic() - HANGS_S
        with self._lock:
            return [entry for entry in self._held if entry.cancelled.asked < since]

    def add(self, held: Held) -> None:
        """Keep a message hidden from now on."""
        with self._lock:
            self._held.add(held)

    def discard(self, held: Held) -> None:
        """Let a message be: it was answered or given back."""
        with self._lock:
            self._held.discard(held)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Extend the messages' time in a thread, until the block ends."""
        heartbeat = threading.Thread(target=self._beat, name="visibility")
        heartbeat.start()
        try:
            yield
        finally:
            self._over.set()
            heartbeat.join()

    def give_back(self) -> None:
        """End all jobs; other workers see their messages at once."""
        with self._lock:
            held = list(self._held)
            for entry in held:
                entry.given_back = True
                entry.cancelled.set()
        self.hide([entry.message for entry in held], 0)

    def hide(self, messages: Sequence[Message], seconds: int) -> None:
        """Hide messages for so long from now on; 0 shows them at once."""
        with contextlib.suppress(AwsError):  # they are seen again after their time
            self._queue.hide(list(messages), seconds)

    def _beat(self) -> None:
        while not self._over.wait(self._visibility_s / 3):
            with self._lock:
                held = [entry for entry in self._held if not entry.given_back]
            by_time: dict[int, list[Message]] = {}
            for entry in held:
                left = _MOST_HIDDEN_S - (time.monotonic() - entry.since) - AGAIN_S
                seconds = int(min(self._visibility_s, left))
                if seconds > 0:
                    by_time.setdefault(seconds, []).append(entry.message)
            for seconds, some in by_time.items():
                self.hide(some, seconds)
