"""Several runs of a step at once, each tormented, while its files are edited."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from tests.chaos.figures import Figures
from tests.chaos.monkey import Monkey
from tests.chaos.roots import Files, Root


@dataclass(slots=True)
class Editor:
    """Gives a step's files one content after another.

    Parameters
    ----------
    contents
        The first is what they have at the beginning; all have the same keys.
    """

    root: Root
    contents: Sequence[Files]
    chance: random.Random
    figures: Figures
    _now: int = 0
    _lock: Lock = field(default_factory=Lock)

    def edit(self) -> None:
        """Put another content in place."""
        with self._lock:
            others = [n for n in range(len(self.contents)) if n != self._now]
            self._put(self.chance.choice(others))

    def put_back(self) -> None:
        """Put the first content in place."""
        with self._lock:
            self._put(0)

    def _put(self, number: int) -> None:
        before, after = self.contents[self._now], self.contents[number]
        self.root.edit({key: after[key] for key in after if after[key] != before[key]})
        self._now = number
        self.figures.count("edits")


def pester(monkeys: Sequence[Monkey], kills: int) -> None:
    """Have monkeys torment runs of their own at the same time; all kills together."""
    shares = [kills // len(monkeys)] * len(monkeys)
    shares[0] += kills - sum(shares)

    def play(monkey: Monkey, share: int) -> None:
        monkey.pester(share)

    with ThreadPoolExecutor(len(monkeys)) as pool:
        list(pool.map(play, monkeys, shares))
