"""How fast image sets are worked through, over the last minutes."""

from collections import deque
from collections.abc import Callable

_WINDOW_S = 300.0
_MARK_EVERY_S = 10.0

Clock = Callable[[], float]


class Pace:
    """Marks what was worked through when, no further back than it needs.

    Parameters
    ----------
    clock
        Gives seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock()
        self._marks = deque([(self._begun, 0)])

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._begun

    @property
    def due(self) -> bool:
        """Whether it is time for another mark."""
        return self._clock() - self._marks[-1][0] >= _MARK_EVERY_S

    def mark(self, worked: int) -> None:
        """Note how many image sets have been worked through by now."""
        now = self._clock()
        self._marks.append((now, worked))
        while self._marks[1][0] <= now - _WINDOW_S:
            self._marks.popleft()

    def per_minute(self, worked: int) -> float:
        """Image sets a minute over the last five, or since the start if none came."""
        now = self._clock()
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= now - _WINDOW_S:
            marks.popleft()
        then, before = marks[0]
        if worked == before:
            then, before = self._begun, 0
        return 60 * (worked - before) / (now - then) if now > then else 0.0
