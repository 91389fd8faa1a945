"""What one variant of the chaos test has come to, and the line that tells it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """Counts of one variant, over all its rounds."""

    name: str
    seed: int
    rounds: int = 0
    resumes: int = 0
    """Runs that went on with what an earlier one had left."""
    kills: "Counter[str]" = field(default_factory=Counter)
    """By victim: `cpengine` or `CellProfiler`."""
    met: dict[str, "Counter[str]"] = field(default_factory=dict)
    """By victim, in which phase its jobs were; a kill of cpengine meets several."""
    checks: int = 0
    """How often the promises were checked while all went on."""
    faults: "Counter[str]" = field(default_factory=Counter)
    jobs: int = 0
    files: int = 0
    """Published files that were compared with the undisturbed run's."""
    parts: int = 0
    """Hidden `.part` files that killed runs left."""
    failures: "Counter[str]" = field(default_factory=Counter)
    """Markers of failures that stand beside a done one, by ending."""
    seconds: float = 0

    def killed(self, victim: str, phases: list[str]) -> None:
        self.kills[victim] += 1
        self.met.setdefault(victim, Counter()).update(phases)

    def __str__(self) -> str:
        met = "; ".join(f"{who} met {_list(what)}" for who, what in self.met.items())
        return (
            f"chaos, {self.name} (seed {self.seed}): "
            f"{self.kills.total()} kills ({_list(self.kills)}) in {self.rounds} "
            f"rounds, {self.resumes} resumes, {self.seconds:.0f} s; "
            f"kills of {met}; faults: {_list(self.faults)}; "
            f"{self.jobs} jobs done once, 0 lost; {self.files} files compared, "
            f"{self.checks} checks meanwhile; left over: {self.parts} .part, "
            f"failed markers beside done ones: {_list(self.failures)}"
        )


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"
