"""How long jobs take, and all of them together, from those that were measured. Pure."""

import heapq
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from cpengine.model import Outcome

DRAWS = 200
"""So many runs are drawn for an interval."""
UNKNOWN = 0.3
"""How far apart jobs are taken to be when too few were measured: part of their time."""
_DRIFT = 0.05
"""How far the speed of one machine differs from run to run, whatever the jobs."""
_SIMULATED = 5_000
"""With more jobs than that, one schedule stands for those of all draws."""
_OWN_S = 0.5
"""What CellProfiler takes for a job besides its modules, once it has started."""
_START_S = 6.0
"""What its start takes, where nothing tells it apart from the job."""
_LONGEST_START_S = 60.0
_WAITED_S = 1.0
"""Who waits longer for a slot gets one that another job has had."""
_FEW = 8
"""Of more jobs than that, some are not the first of their CellProfiler."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one job took."""

    image_sets: int
    slot_s: float
    """Seconds for which it kept a slot busy, a start of CellProfiler included."""
    own_s: float
    """What of that its modules did not take."""
    waited_s: float = 0.0
    """Seconds that it waited for the slot."""
    cpu_s: float = 0.0
    peak_memory: int = 0
    """Bytes; 0 if not known."""

    @classmethod
    def of(cls, outcome: Outcome) -> "Measured":
        """What a done job's outcome tells.

        Jobs fetch and publish while others run. Where that takes longer than
        CellProfiler, it is what a slot waits for.
        """
        phases = outcome.phase_s
        running = phases.get("running", outcome.wall_s)
        moving = phases.get("fetching", 0.0) + phases.get("publishing", 0.0)
        return cls(
            image_sets=outcome.job.image_sets,
            slot_s=max(running, moving),
            own_s=max(0.0, running - sum(outcome.module_s.values())),
            waited_s=phases.get("waiting", 0.0),
            cpu_s=outcome.cpu_s,
            peak_memory=outcome.peak_memory,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A fixed part, and a part for each image set; neither is below 0."""

    fixed: float
    per_image_set: float

    def __call__(self, image_sets: int) -> float:
        return self.fixed + self.per_image_set * image_sets

    @classmethod
    def through(cls, points: Sequence[tuple[int, float]]) -> "Line":
        """The line of least squares; the mean alone where all have as many image sets.

        Parameters
        ----------
        points
            (image sets, value) of each job, at least one.
        """
        sets = [n for n, _ in points]
        values = [value for _, value in points]
        if len(set(sets)) == 1:
            return cls(statistics.fmean(values), 0.0)
        slope, fixed = statistics.linear_regression(sets, values)
        if slope < 0:
            return cls(statistics.fmean(values), 0.0)
        if fixed < 0:
            return cls(0.0, sum(values) / sum(sets))
        return cls(fixed, slope)


@dataclass(frozen=True, slots=True)
class Fit:
    """What the measured jobs of a step have in common."""

    jobs: int
    """How many were measured."""
    seconds: Line
    """Seconds of a slot, by image sets."""
    start_s: float
    """Seconds of the start of a CellProfiler: once a slot, not once a job."""
    ratios: tuple[float, ...]
    """Of each measured job: its seconds as part of those of the line."""
    free: int
    """How many of the ratios say something of the spread: some are used up by the line
    and by the start."""
    cpu: Line
    """CPU seconds of a job, by image sets."""
    peaks: tuple[int, ...]
    """Peak memory of each job in bytes, ascending, as far as known."""

    @property
    def spread(self) -> float:
        """How far jobs are from the line, as part of it: one standard deviation."""
        if self.free < 1:
            return UNKNOWN
        return math.sqrt(sum((r - 1) ** 2 for r in self.ratios) / self.free)

    @property
    def peak_95(self) -> int:
        """What 95 % of the jobs need no more than, in bytes; 0 if not known."""
        if not self.peaks:
            return 0
        return self.peaks[math.ceil(0.95 * len(self.peaks)) - 1]

    @property
    def peak_max(self) -> int:
        """The most that a job needed, in bytes; 0 if not known."""
        return max(self.peaks, default=0)


def fit(measured: Sequence[Measured], *, warm: bool = True) -> Fit:
    """Learn from measured jobs, of which there is at least one.

    Parameters
    ----------
    warm
        Whether a CellProfiler runs one job after another, so that its start is not
        each job's own.
    """
    jobs = (
        _MeasuredJobs.of(measured) if warm else _MeasuredJobs(0.0, measured, measured)
    )
    plain = jobs.plain
    seconds = Line.through([(job.image_sets, job.slot_s) for job in plain])
    parameters = 1 + bool(seconds.fixed and seconds.per_image_set)
    ratios = (
        job.slot_s / expected if (expected := seconds(job.image_sets)) else 1.0
        for job in plain
    )
    return Fit(
        jobs=len(plain),
        seconds=seconds,
        start_s=jobs.start_s,
        ratios=tuple(ratios),
        free=max(0, len(plain) - parameters - (len(jobs.later) < len(plain))),
        cpu=Line.through([(job.image_sets, job.cpu_s) for job in jobs.later]),
        peaks=tuple(sorted(job.peak_memory for job in plain if job.peak_memory)),
    )


@dataclass(frozen=True, slots=True)
class _MeasuredJobs:
    """Measured jobs, those without the start that came first in a CellProfiler.

    Time outside of modules tells which those are, and in a few jobs also that none of
    them waited for a slot: then all were. What was first used in them (Java, libraries)
    counts as start, too, where others show what a job takes.
    """

    start_s: float
    plain: Sequence[Measured]
    """All of them, less the start."""
    later: Sequence[Measured]
    """Those that were not the first; all, where all were."""

    @classmethod
    def of(cls, measured: Sequence[Measured]) -> "_MeasuredJobs":
        if len(measured) <= _FEW and all(map(_may_be_first, measured)):
            starts = [min(job.own_s - _OWN_S, _START_S) for job in measured]
            plain = list(map(_less, measured, starts))
            return cls(statistics.fmean(starts), plain, plain)
        firsts, later = _first_and_later(measured)
        if not firsts:
            return cls(0.0, measured, measured)
        alike = defaultdict(list)
        for job in later:
            alike[job.image_sets].append(job.slot_s)
        more = (job.slot_s - statistics.fmean(alike[job.image_sets]) for job in firsts)
        start_s = max(0.0, statistics.fmean(more))
        return cls(start_s, [*later, *(_less(job, start_s) for job in firsts)], later)


def _may_be_first(job: Measured) -> bool:
    return job.own_s > 2 * _OWN_S and job.waited_s < _WAITED_S


def _less(job: Measured, start_s: float) -> Measured:
    return replace(job, slot_s=max(0.0, job.slot_s - start_s))


def _first_and_later(
    measured: Sequence[Measured],
) -> tuple[list[Measured], list[Measured]]:
    """Those that came first in their CellProfiler, and the others."""
    alike = defaultdict(list)
    for job in measured:
        alike[job.image_sets].append(job.own_s)
    firsts: list[Measured] = []
    later: list[Measured] = []
    for job in measured:
        usual_s = min(alike[job.image_sets])
        longer = job.own_s - usual_s
        first = max(2 * _OWN_S, usual_s) < longer < _LONGEST_START_S
        (firsts if first else later).append(job)
    return firsts, later


def makespan(seconds: Sequence[float], slots: int) -> float:
    """When the last job ends, if each takes the slot that is free first.

    Parameters
    ----------
    seconds
        What each job takes, in the order in which they start.
    """
    if len(seconds) <= slots:
        return max(seconds, default=0.0)
    ends = list(seconds[:slots])
    heapq.heapify(ends)
    for job_s in seconds[slots:]:
        heapq.heapreplace(ends, ends[0] + job_s)
    return max(ends)


def walls(
    found: Fit, image_sets: Sequence[int], slots: int, seed: str = ""
) -> list[float]:
    """Draw how long a run takes, `DRAWS` times: in seconds, from its first job on.

    Jobs that are expected to take longest start first. Each draw has a mean of its own,
    as far as few measured jobs leave it open, and times of jobs as far apart as those
    of the measured ones. Draws with one seed are the same again.

    Parameters
    ----------
    image_sets
        Of each job to run.
    """
    if not image_sets:
        return [0.0] * DRAWS
    rng = Random(seed)
    expected = sorted(map(found.seconds, image_sets), reverse=True)
    usual = makespan(expected, slots) if len(expected) > _SIMULATED else None
    return [
        found.start_s
        + _level(found, rng)
        * (
            _drawn(found, expected, slots, rng)
            if usual is None
            else usual * rng.gauss(1, found.spread / math.sqrt(len(expected)))
        )
        for _ in range(DRAWS)
    ]


def _level(found: Fit, rng: Random) -> float:
    """By how much the mean of the jobs differs from that of the measured ones."""
    away = rng.gauss(0, 1)
    if found.free:  # Student's t: the spread itself comes from few
        away /= math.sqrt(rng.gammavariate(found.free / 2, 2) / found.free)
    level = 1 + away * found.spread / math.sqrt(found.jobs)
    return min(3.0, max(1 / 3, level)) * rng.gauss(1, _DRIFT)


def _drawn(found: Fit, expected: Sequence[float], slots: int, rng: Random) -> float:
    if not found.free:
        chosen = [max(0.1, rng.gauss(1, UNKNOWN)) for _ in expected]
    else:
        wider = math.sqrt(found.jobs / found.free)
        ratios = [max(0.1, 1 + (ratio - 1) * wider) for ratio in found.ratios]
        chosen = rng.choices(ratios, k=len(expected))
    return makespan([s * r for s, r in zip(expected, chosen, strict=True)], slots)


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle of what was drawn, and where 80 % of it is."""

    typical: float
    low: float
    high: float

    @classmethod
    def of(cls, drawn: Sequence[float]) -> "Interval":
        """That of at least two draws."""
        tenths = statistics.quantiles(drawn, n=10, method="inclusive")
        return cls(tenths[4], tenths[0], tenths[8])

    def times(self, factor: float) -> "Interval":
        """The same in another unit."""
        return Interval(self.typical * factor, self.low * factor, self.high * factor)
