"""The page of a step: one HTML file with all that it needs inside."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cpengine import wording
from cpengine.job.image_measures import COUNT
from cpengine.plates import row_name
from cpengine.results.report import model as models
from cpengine.results.report import numbers, timeline
from cpengine.results.report.facts import Facts
from cpengine.results.report.timeline import Axis, Lanes

_FOLDER = Path(__file__).parent
_PARTS = ("jobs", "plates", "measures", "axis", "links")
"""What the script on the page needs of the model."""
_LANE_PX = ((4, 26), (12, 16), (40, 10))
_SHORT_S = 600
_MOST_MARKS = 300
_MOST_ROWS = 500
_MOST_COLUMNS = 6
_MOST_NAMED = 200


def html(facts: Facts, model: Mapping[str, Any]) -> str:
    """The page of what `model.of` made of the facts."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters |= {
        "count": numbers.count,
        "counted": partial(wording.counted, thousands=","),
        "duration": wording.duration,
        "size": numbers.size,
        "percent": numbers.percent,
        "value": numbers.value,
        "shown": _shown,
        "span": _span,
        "time": _time,
        "quoted": quote,
        "row_name": row_name,
    }
    return environment.get_template("page.html").render(
        model,
        style=_text("page.css"),
        script=_text("page.js"),
        data={name: model[name] for name in _PARTS},
        ids=models.ids(dict(model)),
        cells=[_cells(plate) for plate in model["plates"]],
        chart=_chart(facts),
        rows=_rows(model),
        most_named=_MOST_NAMED,
    )


def _text(name: str) -> Markup:
    # Our own files, to be put into the page as they are.
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _shown(number: float | None, unit: str) -> str:
    """A measure's value with its unit."""
    if number is None:
        return "\N{EN DASH}"
    by_unit = {"s": wording.duration, "bytes": numbers.size, "count": numbers.count}
    return by_unit.get(unit, numbers.value)(number)


def _time(seconds: float, pattern: str = "%-d %b %Y, %H:%M") -> str:
    """A time in UTC, as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime(pattern)


def _span(summary: Mapping[str, Any]) -> str:
    """From when to when, in UTC; the day once if it is one."""
    short = summary["last"] - summary["first"] < _SHORT_S
    clock = "%H:%M:%S" if short else "%H:%M"
    first, last = (
        _time(summary[name], f"%-d %b %Y, {clock}") for name in ("first", "last")
    )
    day, _, time = last.partition(", ")
    return f"{first} to {time if first.startswith(day) else last}"


def _cells(plate: Mapping[str, Any]) -> list[list[str | None]]:
    """The state of each place of a plate that can be drawn, row by row."""
    rows, columns = plate["rows"], plate["columns"]
    found: list[str | None] = [None] * (rows * columns)
    for at, state in zip(plate["at"], plate["state"], strict=True):
        if rows:
            found[at] = models.STATES[state].value
    return [found[row * columns : (row + 1) * columns] for row in range(rows)]


def _chart(facts: Facts) -> dict[str, Any]:
    """The timeline as the template draws it."""
    axis, lanes = Axis.of(facts.ran), Lanes.of(facts.ran)
    total = sum(lanes.hosts.values())
    failed = [
        (axis.at(job.started), lane)
        for job, lane in zip(facts.ran, lanes.numbers, strict=True)
        if job.failed
    ]
    return {
        "paths": timeline.paths(facts.ran, lanes, axis),
        "lanes": total,
        "height": next((px for most, px in _LANE_PX if total <= most), 6),
        "width": timeline.WIDTH,
        "lane": timeline.LANE,
        "marks": failed[:_MOST_MARKS],
    }


def _rows(model: Mapping[str, Any]) -> dict[str, Any] | None:
    """A table of jobs for steps whose plates cannot be drawn."""
    if all(plate["rows"] for plate in model["plates"]):
        return None
    jobs = model["jobs"]
    counts = [name for name in jobs["measures"] if name.startswith(COUNT)]
    worst = sorted(range(len(jobs["state"])), key=lambda at: jobs["state"][at] != 1)
    return {
        "jobs": sorted(worst[:_MOST_ROWS]),
        "left_out": max(0, len(worst) - _MOST_ROWS),
        "counts": counts[:_MOST_COLUMNS],
    }
