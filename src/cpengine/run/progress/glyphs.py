"""The characters that stand for states: no state is told by its colour alone."""

from dataclasses import dataclass
from typing import Literal

LEFT, RUNNING, DONE, FAILED, PART = "dim", "yellow", "green", "bold red", "green"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of characters, each as wide as a letter."""

    left: str
    running: str
    done: str
    failed: str
    shades: str
    """For a well of which some jobs are done, from few to many."""
    bar: str
    rest: str
    cut: Literal["ellipsis", "crop"]
    """How a line that is too long ends."""

    def well(self, jobs: int, running: int, done: int, failed: int) -> tuple[str, str]:
        """The character of a well, or of a plate, and its style."""
        if not jobs:
            return " ", ""
        if failed:
            return self.failed, FAILED
        if running:
            return self.running, RUNNING
        if done >= jobs:
            return self.done, DONE
        if done:
            return self.shades[len(self.shades) * done // jobs], PART
        return self.left, LEFT


UNICODE = Glyphs("·", "◐", "■", "✗", "░▒▓", "━", "─", "ellipsis")
ASCII = Glyphs(".", "o", "#", "x", "-=+", "=", "-", "crop")
