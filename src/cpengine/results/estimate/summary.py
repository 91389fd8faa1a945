"""An estimate in a table: a row a step. Pure."""

from collections.abc import Sequence

from cpengine.results.estimate import text
from cpengine.results.estimate.model import Interval
from cpengine.results.estimate.step_estimate import Estimate, StepEstimate
from cpengine.text_table import TextTable

_COLUMNS = ("step", "jobs", "image sets", "a job", "wall (80 %)", "CPU", "memory")


def table(found: Estimate) -> TextTable:
    """What steps will take, and all of them together."""
    paid = any(known.drawn_usd for known in found.known)
    rows = [_row(step, paid) for step in found.steps]
    if len(found.steps) > 1 and (wall := found.wall_s):
        cost = [text.dollars(found.usd)] if found.usd else []
        rows.append(["all", *[""] * 3, text.between(wall), "", "", *cost])
    columns = (*_COLUMNS, *(["dollars (80 %)"] if paid else []))
    lines = [line for step in found.steps for line in text.describe(step)]
    lines += [text.why(step) for step in found.unknown]
    return TextTable(columns, rows, words=len(columns), lines=lines)


def _row(step: StepEstimate, paid: bool) -> Sequence[str]:
    counts = [_number(step.left), _number(step.image_sets)]
    known = step.known
    if known is None:
        blank = "" if step.why else "-"
        return [step.step, *counts, *[blank] * (5 if paid else 4)]
    usd = known.drawn_usd
    return [
        step.step,
        *counts,
        text.a_job(known.fit),
        text.between(known.wall_s),
        text.rounded_time(known.cpu_s),
        text.memory(known.fit),
        *([text.dollars(Interval.of(usd)) if usd else ""] if paid else []),
    ]


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
