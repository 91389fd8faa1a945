"""What variants of the chaos test have come to, and the lines that tell it.

`python -m tests.chaos.figures LOG` sums up a log, in which each line is one variant.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any


@dataclass(slots=True)
class Figures:
    """Counts of one variant, over all its rounds."""

    name: str
    seed: int
    counts: "Counter[str]" = field(default_factory=Counter)
    """Rounds, resumes, edits, checks meanwhile, jobs done once, files compared with an
    undisturbed run's, `.part` files left over."""
    kills: "Counter[str]" = field(default_factory=Counter)
    """By victim: `cpengine` or `CellProfiler`."""
    met: dict[str, "Counter[str]"] = field(default_factory=dict)
    """By victim, in which phase its jobs were; a kill of cpengine meets several."""
    faults: "Counter[str]" = field(default_factory=Counter)
    """Of the storage, by kind."""
    failed: "Counter[str]" = field(default_factory=Counter)
    """Jobs that failed in a run that went on, by kind of failure."""
    failures: "Counter[str]" = field(default_factory=Counter)
    """Markers of failures that stand beside a done one, by ending."""
    seconds: float = 0
    wrong: str = ""
    """What was not as it is promised."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, what: str, times: int = 1) -> int:
        """Count something; how often it was until now."""
        with self._lock:
            self.counts[what] += times
            return self.counts[what]

    def killed(self, victim: str, phases: list[str]) -> None:
        with self._lock:
            self.kills[victim] += 1
            self.met.setdefault(victim, Counter()).update(phases)

    def to_json(self) -> dict[str, Any]:
        """The figures as a log has them."""
        names = set(self.__dataclass_fields__) - {"_lock"}
        return {name: getattr(self, name) for name in sorted(names)}

    @classmethod
    def total(cls, figures: "Iterable[Figures]") -> "Figures":
        """The sum of several."""
        total = cls("all", 0)
        for each in figures:
            for name in ("counts", "kills", "faults", "failed", "failures"):
                getattr(total, name).update(getattr(each, name))
            for victim, phases in each.met.items():
                total.met.setdefault(victim, Counter()).update(phases)
            total.seconds += each.seconds
            total.wrong = total.wrong or each.wrong
        return total

    def __str__(self) -> str:
        met = "; ".join(f"{who} met {_list(what)}" for who, what in self.met.items())
        wrong = f"WRONG: {self.wrong}; " if self.wrong else ""
        return (
            f"chaos, {self.name} (seed {self.seed}): {wrong}"
            f"{self.kills.total()} kills ({_list(self.kills)}), {self.seconds:.0f} s; "
            f"{_list(self.counts)}; kills of {met}; faults: {_list(self.faults)}; "
            f"failed in runs that went on: {_list(self.failed)}; "
            f"failed markers beside done ones: {_list(self.failures)}"
        )


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"


def read(log: Path) -> list[Figures]:
    """The figures that a log has; none if there is no such file."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [_figures(json.loads(line)) for line in lines]


def write(log: Path, figures: Figures) -> None:
    """Add figures to a log."""
    with log.open("a") as file:
        file.write(json.dumps(figures.to_json()) + "\n")


def _figures(data: Mapping[str, Any]) -> Figures:
    counters = ("counts", "kills", "faults", "failed", "failures")
    met = {victim: Counter(phases) for victim, phases in data["met"].items()}
    read = {name: Counter(data[name]) for name in counters}
    return Figures(**{**data, **read, "met": met})


if __name__ == "__main__":
    found = read(Path(sys.argv[1]))
    print(*found, Figures.total(found), sep="\n")
