"""What is known of steps before they run, in words. Pure."""

import math
from collections.abc import Iterator

from cpengine.results.estimate.model import Fit, Interval
from cpengine.results.estimate.step_estimate import Estimate, Known, StepEstimate
from cpengine.wording import counted, gigabytes

_UNITS = ((100.0, 1.0, "s"), (100.0 * 60, 60.0, "min"), (math.inf, 3600.0, "h"))
"""Below so many seconds, in units of so many, with that name."""


def rounded_time(seconds: float) -> str:
    """A time in one unit, as an interval has it: `9.4 s`, `38 s`, `14 min`, `3.2 h`."""
    unit, name = _unit(seconds)
    return f"{_short(seconds / unit)} {name}"


def _unit(seconds: float) -> tuple[float, str]:
    return next((unit, name) for below, unit, name in _UNITS if seconds < below)


def _short(number: float) -> str:
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"


def between(interval: Interval) -> str:
    """`14 min (12 to 17)`."""
    unit, _ = _unit(interval.typical)
    low, high = (_short(end / unit) for end in (interval.low, interval.high))
    return f"{rounded_time(interval.typical)} ({low} to {high})"


def dollars(interval: Interval) -> str:
    """`$1.20 (1.10 to 1.40)`."""
    ends = f"{interval.low:,.2f} to {interval.high:,.2f}"
    return f"${interval.typical:,.2f} ({ends})"


def a_job(fit: Fit) -> str:
    """What one job takes: `9.4 s`, `12 s + 3.1 s an image set`."""
    line = fit.seconds
    if not line.per_image_set:
        return rounded_time(line.fixed)
    each = f"{rounded_time(line.per_image_set)} an image set"
    return f"{rounded_time(line.fixed)} + {each}" if line.fixed else each


def memory(fit: Fit) -> str:
    """The most that a job needed: `0.4 GB`."""
    return gigabytes(fit.peak_max) if fit.peaks else "not known"


def why(step: StepEstimate) -> str:
    """Why nothing is known of a step."""
    return f"{step.step}: {step.why}"


def describe(step: StepEstimate) -> Iterator[str]:
    """What stands behind the numbers of a step, a line each."""
    known = step.known
    if known is None:
        if step.left == 0:
            yield f"{step.step}: nothing is left to run: --force estimates all of it"
        return
    fit = known.fit
    start = f", CellProfiler's start {rounded_time(fit.start_s)}" if fit.start_s else ""
    yield (
        f"{step.step}: measured: {counted(fit.jobs, 'job')} on "
        f"{', '.join(known.hosts)}: {a_job(fit)} a job, +/- {fit.spread:.0%}{start}"
    )
    yield f"{step.step}: {known.path}"
    yield from _memory(step.step, known)
    if known.room.at_most:
        yield known.room.at_most
    for note in known.notes:
        yield f"{step.step}: note: {note}"


def _memory(step: str, known: Known) -> Iterator[str]:
    fit, room = known.fit, known.room
    if fit.peaks and room.fits is not None:
        less = room.cores is not None and room.fits < room.cores
        cores = f", fewer than its {room.cores} cores" if less else ""
        yield (
            f"{step}: memory a job: {gigabytes(fit.peak_max, 2)} at the most, 95 % "
            f"need no more than {gigabytes(fit.peak_95, 2)}; one machine holds "
            f"{counted(room.fits, 'job')} at a time{cores}"
        )


def lines(found: Estimate) -> Iterator[str]:
    """What will be taken in all, a line a step, for those of which it is known."""
    for step in found.steps:
        if step.known and step.image_sets:
            yield f"{step.step}: {_line(step.known)}"
    if len(found.known) > 1 and (wall := found.wall_s):
        usd = f", {dollars(found.usd)}" if found.usd else ""
        yield f"all steps: {between(wall)}{usd}"


def _line(known: Known) -> str:
    usd = known.drawn_usd
    parts = [
        f"about {between(known.wall_s)} on {known.room.where}",
        f"{rounded_time(known.cpu_s)} of CPU",
        f"{memory(known.fit)} a job",
        *([dollars(Interval.of(usd))] if usd else []),
    ]
    return ", ".join(parts)
