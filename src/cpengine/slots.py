"""How many CellProfilers run at a time on one machine."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Flag

from cpengine.model import AttemptError, FailureKind

_LOOK_S = 0.2


@dataclass
class Slots:
    """Room for jobs, given in the order of asking; a large job takes several.

    Jobs that fetch or publish hold none, so that CellProfiler need not wait for them.
    """

    count: int
    _free: int = field(init=False)
    _waiting: deque[object] = field(default_factory=deque, init=False)
    _changed: threading.Condition = field(
        default_factory=threading.Condition, init=False
    )

    def __post_init__(self) -> None:
        self._free = self.count

    @contextmanager
    def take(self, share: int, cancelled: Flag) -> Iterator[None]:
        """Hold `share` slots, all of them at the most.

        Raises
        ------
        AttemptError
            It was cancelled meanwhile.
        """
        share = min(share, self.count)
        self._acquire(share, cancelled)
        try:
            yield
        finally:
            self._give_back(share)

    def _acquire(self, share: int, cancelled: Flag) -> None:
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                while self._waiting[0] is not me or self._free < share:
                    if cancelled.is_set():
                        raise AttemptError(FailureKind.CANCELLED, "cancelled")
                    self._changed.wait(_LOOK_S)
                self._free -= share
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()

    def _give_back(self, share: int) -> None:
        with self._changed:
            self._free += share
            self._changed.notify_all()
