"""Jobs as wells of plates: where each is, and what it came to. Pure.

Wells are numbered through all plates, plate by plate; a plate's jobs, and a well's,
follow each other.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cpengine.group_names import Group
from cpengine.job import image_measures
from cpengine.ledger.standing import JobState
from cpengine.plates import PLATE, WELL, Place, place_of, plate_shape
from cpengine.results.html.numbers import Spread
from cpengine.results.report.facts import Facts, Ran

_STATES = (
    JobState.FAILED,
    JobState.LEFT,
    JobState.MISSING,
    JobState.STALE,
    JobState.DONE,
)
"""The state of a well is the first that one of its jobs has."""


@dataclass(frozen=True, slots=True)
class Well:
    """A well and its jobs; what stands for one where groups know no wells."""

    name: str
    at: Place | None
    """Row and column from 0; None if the name does not tell."""
    jobs: Sequence[int]
    """Numbers of its jobs in the plan."""
    state: JobState


@dataclass(frozen=True, slots=True)
class ReportedPlate:
    """A plate and its wells."""

    name: str
    wells: Sequence[Well]
    shape: Place | None
    """Rows and columns; None if it cannot be drawn."""

    @property
    def jobs(self) -> list[int]:
        """Numbers of its jobs in the plan."""
        return [number for well in self.wells for number in well.jobs]


@dataclass(frozen=True, slots=True)
class WellMeasure:
    """One number of each well."""

    name: str
    unit: str
    """`s`, `bytes`, `count`, or empty for one without a unit."""
    how: str
    """How a well's comes from its jobs: `sum`, `mean` or `largest`."""
    jobs: Sequence[float]
    """By job; NaN where there is none."""
    wells: Sequence[float] = field(default_factory=list)
    """By well; NaN where there is none."""
    spread: Spread | None = None
    """Of the wells."""


def plates_of(facts: Facts) -> list[ReportedPlate]:
    """The plates of a step, in the plan's order."""
    by_plate: dict[str, dict[str, list[int]]] = {}
    for number, group in enumerate(facts.groups):
        values = dict(group)
        wells = by_plate.setdefault(values.get(PLATE, ""), {})
        wells.setdefault(values.get(WELL, ""), []).append(number)
    return [_plate(name, wells, facts) for name, wells in by_plate.items()]


def _plate(name: str, found: dict[str, list[int]], facts: Facts) -> ReportedPlate:
    wells = [
        Well(well, place_of(well), jobs, _state(facts, jobs))
        for well, jobs in found.items()
    ]
    places = [well.at for well in wells if well.at]
    drawn = len(set(places)) == len(wells)
    shape = plate_shape(places, facts.plate_format) if drawn else None
    if shape:
        wells.sort(key=lambda well: well.at or (0, 0))
    return ReportedPlate(name, wells, shape)


def _state(facts: Facts, jobs: Iterable[int]) -> JobState:
    found = {facts.verdicts[number].state for number in jobs}
    return next(state for state in _STATES if state in found)


def site_of(group: Group) -> str:
    """What tells the jobs of a well apart: mostly the site."""
    return "-".join(value for key, value in group if key not in (PLATE, WELL))


def measures_of(facts: Facts, plates: Sequence[ReportedPlate]) -> list[WellMeasure]:
    """What can be shown of wells: times and memory of jobs, then what they measured."""
    found = [
        WellMeasure("Time a job", "s", "mean", _of_jobs(facts, lambda job: job.wall_s)),
        WellMeasure("Peak memory", "bytes", "largest", _of_jobs(facts, _memory)),
        WellMeasure(
            "Attempts", "count", "largest", _of_jobs(facts, lambda r: r.attempt)
        ),
    ]
    for name, values in facts.measures.items():
        add = image_measures.is_sum(name)
        found.append(
            WellMeasure(name, "count" if add else "", "sum" if add else "mean", values)
        )
    return [_of_wells(measure, facts, plates) for measure in found]


def _memory(ran: Ran) -> float:
    return ran.peak_memory or math.nan


def _of_jobs(facts: Facts, value: Callable[[Ran], float]) -> list[float]:
    values = [math.nan] * len(facts.groups)
    for job in facts.ran:
        values[job.number] = value(job)
    return values


def _of_wells(
    measure: WellMeasure, facts: Facts, plates: Sequence[ReportedPlate]
) -> WellMeasure:
    # A job's mean of an image measure stands for all of its image sets.
    weigh = not measure.unit
    values = [
        _together(
            measure.how,
            [
                (measure.jobs[number], facts.image_sets[number] if weigh else 1)
                for number in well.jobs
            ],
        )
        for plate in plates
        for well in plate.wells
    ]
    spread = Spread.of(value for value in values if not math.isnan(value))
    return WellMeasure(
        measure.name, measure.unit, measure.how, measure.jobs, values, spread
    )


def _together(how: str, found: Sequence[tuple[float, int]]) -> float:
    """One value of several jobs', each with its weight; of those that have one."""
    known = [(value, weight or 1) for value, weight in found if not math.isnan(value)]
    if not known:
        return math.nan
    if how == "sum":
        return sum(value for value, _ in known)
    if how == "largest":
        return max(value for value, _ in known)
    return sum(v * w for v, w in known) / sum(w for _, w in known)


def outliers(
    measure: WellMeasure, plates: Sequence[ReportedPlate]
) -> tuple[tuple[str, float], tuple[str, float]] | None:
    """The wells with the lowest and the highest value, if they differ."""
    names = [(plate.name, well.name) for plate in plates for well in plate.wells]
    known = [(v, at) for at, v in enumerate(measure.wells) if not math.isnan(v)]
    if not known or min(known)[0] == max(known)[0]:
        return None
    several = len(plates) > 1

    def named(value: float, at: int) -> tuple[str, float]:
        plate, well = names[at]
        return " ".join(filter(None, (plate if several else "", well))), value

    return named(*min(known)), named(*max(known))
