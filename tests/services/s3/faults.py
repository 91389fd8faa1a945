"""The faults that the server injects, drawn from a seeded generator."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tests.services.s3.calls import OPERATIONS, Answer, Call, error

SLOW_DOWN = error(503, "SlowDown", "Please reduce your request rate.")
ERROR_500 = error(
    500, "InternalError", "We encountered an internal error. Please try again."
)
REFUSALS: dict[str, Answer] = {"slow_down": SLOW_DOWN, "error_500": ERROR_500}

# In the order in which they are drawn: the first that strikes is injected.
KINDS = ("reset", "lost", "slow_down", "error_500", "truncate")


class Reset(Exception):  # noqa: N818 - it is what happens, not an error of the server
    """The connection shall be reset instead of answered."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How probable each fault is, and which requests it can strike."""

    latency_s: float = 0  # every answer waits for between 0 and this long
    reset: float = 0  # the connection is reset; the request is not carried out
    lost: float = 0  # the connection is reset after the request was carried out
    slow_down: float = 0  # 503 SlowDown
    error_500: float = 0  # 500 InternalError
    truncate: float = 0  # half of an object's body, then the connection closes
    only: Sequence[str] = ()  # operations; none named means all
    bucket: str = ""  # none named means all
    times: int | None = None  # after so many injected faults there are no more
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := set(self.only) - OPERATIONS:
            raise ValueError(f"no such operations: {sorted(unknown)}")

    def concerns(self, call: Call) -> bool:
        if self.bucket and self.bucket != call.bucket:
            return False
        return not self.only or call.operation in self.only


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request: a delay, and one of `KINDS` or nothing."""

    delay: float = 0
    kind: str = ""


class Faults:
    """Draws the fault of each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.set(Spec())

    def set(self, spec: Spec) -> None:
        """Start over with other faults."""
        with self._lock:
            self._spec = spec
            self._left = spec.times
            self._random = random.Random(spec.seed)

    def draw(self, call: Call) -> Fault:
        with self._lock:
            if not self._spec.concerns(call):
                return Fault()
            delay = self._random.uniform(0, self._spec.latency_s)
            return Fault(delay, self._kind(call))

    def _kind(self, call: Call) -> str:
        # All are drawn every time, so that one fault's rate leaves the others alone.
        drawn = {kind: self._random.random() for kind in KINDS}
        struck = [k for k in KINDS if drawn[k] < getattr(self._spec, k)]
        if call.operation != "get":
            struck = [kind for kind in struck if kind != "truncate"]
        if not struck or self._left == 0:
            return ""
        if self._left is not None:
            self._left -= 1
        return struck[0]
