"""What is known of steps before they run, in numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cpengine.executors.room import Room
from cpengine.results.estimate.model import Fit, Interval
from cpengine.text_table import Tabular, TextTable

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Known:
    """What the jobs left of a step will take."""

    fit: Fit
    room: Room
    drawn_s: Sequence[float] = field(repr=False)
    """Wall seconds of the step, as drawn."""
    cpu_s: float
    """CPU seconds of all jobs left."""
    path: str
    """What decides how long it takes."""
    hosts: tuple[str, ...]
    """Machines on which jobs were measured."""
    notes: tuple[str, ...] = ()

    @property
    def wall_s(self) -> Interval:
        """Seconds from the start of the step until its last job is done."""
        return Interval.of(self.drawn_s)

    @property
    def drawn_usd(self) -> list[float]:
        """Dollars, as drawn; empty where no price is known."""
        if self.room.price is None:
            return []
        a_second = self.room.machines * self.room.price / HOUR_S
        return [a_second * seconds for seconds in self.drawn_s]

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        fit, room, usd = self.fit, self.room, self.drawn_usd
        return {
            "wall_s": asdict(self.wall_s),
            "cpu_s": self.cpu_s,
            "usd": asdict(Interval.of(usd)) if usd else None,
            "fixed_s": fit.seconds.fixed,
            "per_image_set_s": fit.seconds.per_image_set,
            "start_s": fit.start_s,
            "spread": fit.spread,
            "peak_memory_95": fit.peak_95 or None,
            "peak_memory_max": fit.peak_max or None,
            "slots": room.slots,
            "machines": room.machines,
            "fits": room.fits,
            "path": self.path,
            "measured_jobs": fit.jobs,
            "hosts": self.hosts,
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """A step, what is left of it, and what that will take, as far as known."""

    step: str
    jobs: int | None = None
    """Of the plan; None where it cannot be planned yet."""
    left: int | None = None
    """That would run."""
    image_sets: int | None = None
    """Of those that would run."""
    known: Known | None = None
    why: str = ""
    """Why it is not known what they will take, if they are any."""

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "step": self.step,
            "jobs": self.jobs,
            "left": self.left,
            "image_sets": self.image_sets,
            "estimate": self.known and self.known.to_json(),
            "why": self.why or None,
        }


@dataclass(frozen=True, slots=True)
class Estimate(Tabular):
    """Steps that run one after another."""

    on: str
    steps: Sequence[StepEstimate]

    def table(self) -> TextTable:
        """A row a step."""
        from cpengine.results.estimate import summary  # which is made of this one

        return summary.table(self)

    @property
    def known(self) -> list[Known]:
        """What is known of those of which something is."""
        return [step.known for step in self.steps if step.known]

    @property
    def unknown(self) -> list[StepEstimate]:
        """Those of which nothing is known though jobs are left, or may be."""
        return [step for step in self.steps if step.why]

    @property
    def wall_s(self) -> Interval | None:
        """Seconds of all together; None if nothing is known of one that has to run."""
        drawn = [known.drawn_s for known in self.known]
        return None if self.unknown else _sum(drawn)

    @property
    def usd(self) -> Interval | None:
        """Dollars of all together; None as for `wall_s`, or where nothing is paid."""
        drawn = [usd for known in self.known if (usd := known.drawn_usd)]
        return None if self.unknown else _sum(drawn)

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        wall, usd = self.wall_s, self.usd
        return {
            "on": self.on,
            "steps": [step.to_json() for step in self.steps],
            "wall_s": asdict(wall) if wall else None,
            "usd": asdict(usd) if usd else None,
        }


def _sum(drawn: Sequence[Sequence[float]]) -> Interval | None:
    """Of several steps, draw by draw."""
    if not drawn:
        return None
    return Interval.of([sum(draw) for draw in zip(*drawn, strict=True)])
