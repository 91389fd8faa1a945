"""When jobs ran, and on which machine: time without idle stretches, lanes, bars. Pure.

Places on the time axis are whole numbers from 0 to `WIDTH`; each lane is `LANE` high.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from cpengine.results.report.facts import PHASES, RUNNING, Ran

WIDTH = 100_000
LANE = 10
FAILED = "failed"
_TO_RUN = PHASES.index("checking")
"""The first phase in which a job holds a slot."""
_IDLE_S = 120.0
"""A stretch without jobs that is longer, and longer than a twentieth of what jobs took,
is cut out."""
_IDLE_PART = 0.05
_CUT_PART = 0.02
"""How wide a cut is, of what jobs took."""
_SECOND = 1.0
"""Jobs of one lane may overlap so much where starts are known to the second."""


class Segment(NamedTuple):
    """A stretch of the axis without a cut."""

    begin: float
    end: float
    """Both seconds since 1970, UTC."""
    at: int
    """Where it begins on the axis."""
    width: int


@dataclass(frozen=True, slots=True)
class Axis:
    """Time, without the stretches in which no job ran."""

    segments: Sequence[Segment]
    busy_s: float
    """Seconds in which at least one job ran."""

    @classmethod
    def of(cls, ran: Sequence[Ran]) -> "Axis":
        """The axis of jobs that are sorted by their start."""
        busy = _union((job.started, job.ended) for job in ran)
        busy_s = sum(end - begin for begin, end in busy)
        parts = _joined(busy, max(_IDLE_S, _IDLE_PART * busy_s))
        cut = _CUT_PART * busy_s
        shown = sum(end - begin for begin, end in parts) + cut * (len(parts) - 1)
        scale = WIDTH / (shown or 1.0)
        segments, at = [], 0.0
        for begin, end in parts:
            width = (end - begin) * scale
            segments.append(Segment(begin, end, round(at), round(width)))
            at += width + cut * scale
        return cls(segments, busy_s)

    def at(self, time: float) -> int:
        """Where a time is on the axis."""
        segment = next((s for s in self.segments if time <= s.end), self.segments[-1])
        passed = min(max(time - segment.begin, 0.0), segment.end - segment.begin)
        part = passed / (segment.end - segment.begin or 1.0)
        return segment.at + round(part * segment.width)


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that are sorted by their begin, those that touch made one."""
    found: list[tuple[float, float]] = []
    for begin, end in spans:
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def _joined(
    spans: Sequence[tuple[float, float]], longest: float
) -> list[tuple[float, float]]:
    """Spans made one where no more than so much lies between them."""
    found: list[tuple[float, float]] = []
    for begin, end in spans:
        if found and begin - found[-1][1] <= longest:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


def slots(ran: Iterable[Ran]) -> dict[str, int]:
    """How many CellProfilers ran at a time at the most, by host."""
    spans: dict[str, list[tuple[float, float, bool]]] = {}
    for job in ran:
        begin = job.started + sum(job.phase_s[:_TO_RUN])
        if any(job.phase_s[_TO_RUN : RUNNING + 1]):
            end = begin + sum(job.phase_s[_TO_RUN : RUNNING + 1])
            spans.setdefault(job.host, []).append((begin, end, job.precise))
    return {host: max(_lanes(sorted(some))) + 1 for host, some in spans.items()}


@dataclass(frozen=True, slots=True)
class Lanes:
    """A lane for each job, so that jobs of one lane follow each other."""

    hosts: Mapping[str, int]
    """How many lanes each host has, in the order in which they lie."""
    numbers: Sequence[int]
    """The lane of each job, through all hosts from 0."""

    @classmethod
    def of(cls, ran: Sequence[Ran]) -> "Lanes":
        """The lanes of jobs that are sorted by their start."""
        spans: dict[str, list[tuple[float, float, bool]]] = {}
        for job in ran:
            spans.setdefault(job.host, []).append((job.started, job.ended, job.precise))
        by_host = {host: _lanes(some) for host, some in sorted(spans.items())}
        hosts = {host: max(found) + 1 for host, found in by_host.items()}
        starts = accumulate(hosts.values(), initial=0)
        first = dict(zip(hosts, starts, strict=False))
        left = {host: iter(found) for host, found in by_host.items()}
        return cls(hosts, [first[job.host] + next(left[job.host]) for job in ran])


def _lanes(spans: Sequence[tuple[float, float, bool]]) -> list[int]:
    """The first lane that is free, for each span."""
    found: list[int] = []
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    for begin, end, precise in spans:
        until = begin + (0.01 if precise else _SECOND)
        while taken and taken[0][0] <= until:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end, lane))
        found.append(lane)
    return found


def paths(ran: Sequence[Ran], lanes: Lanes, axis: Axis) -> Mapping[str, str]:
    """Bars of all jobs as one SVG path a phase, and one for those that failed.

    A phase that is too short to be seen is left out.
    """
    drawn: dict[str, list[str]] = {name: [] for name in (*PHASES, FAILED)}
    for job, lane in zip(ran, lanes.numbers, strict=True):
        top = lane * LANE
        if job.failed:
            begin, end = axis.at(job.started), axis.at(job.ended)
            drawn[FAILED].append(_bar(begin, max(end, begin + 40), top, LANE))
            continue
        time = job.started
        for name, seconds in zip(PHASES, job.phase_s, strict=True):
            begin, end = axis.at(time), axis.at(time + seconds)
            time += seconds
            if end - begin > 15 or name == "running":
                drawn[name].append(_bar(begin, max(end, begin + 10), top + 1, LANE - 2))
    return {name: "".join(bars) for name, bars in drawn.items() if bars}


def _bar(begin: int, end: int, top: int, height: int) -> str:
    width = end - begin
    return f"M{begin} {top}h{width}v{height}h-{width}z"
