"""The page of a step: one HTML file with all that it needs inside."""

from collections.abc import Mapping, Sequence
from typing import Any

from cpengine.job.image_measures import COUNT
from cpengine.results.html.links import PageLink
from cpengine.results.html.measures import MeasureLabel, label_of
from cpengine.results.html.render import render, time_text
from cpengine.results.report import model as models
from cpengine.results.report import timeline
from cpengine.results.report.facts import Facts
from cpengine.results.report.timeline import Axis, Lanes

_PARTS = ("jobs", "plates", "axis", "links")
_LANE_PX = ((4, 26), (12, 16), (40, 10))
_SHORT_S = 600
_MOST_MARKS = 300
_MOST_ROWS = 500
_MOST_COLUMNS = 6
_MOST_NAMED = 200


def html(facts: Facts, model: Mapping[str, Any], pages: Sequence[PageLink] = ()) -> str:
    """The page of what `model.of` made of the facts.

    Parameters
    ----------
    pages
        The project's other pages.
    """
    labels = {m["name"]: label_of(m["name"], m["unit"]) for m in model["measures"]}
    return render(
        "report/page.html",
        {
            **model,
            "pages": pages,
            "span": _span(model["summary"]),
            "units": {name: label.unit for name, label in labels.items()},
            "data": _data(model, labels),
            "ids": models.ids(dict(model)),
            "cells": [_cells(plate) for plate in model["plates"]],
            "chart": _chart(facts),
            "rows": _rows(model),
            "most_named": _MOST_NAMED,
        },
    )


def _data(
    model: Mapping[str, Any], labels: Mapping[str, MeasureLabel]
) -> dict[str, Any]:
    """What the script on the page needs of the model."""
    measures = [m | labels[m["name"]]._asdict() for m in model["measures"]]
    return {name: model[name] for name in _PARTS} | {"measures": measures}


def _span(summary: Mapping[str, Any]) -> str:
    """From when to when, in UTC, the day once if it is one; empty if nothing ran."""
    if summary["first"] is None:
        return ""
    short = summary["last"] - summary["first"] < _SHORT_S
    clock = "%H:%M:%S" if short else "%H:%M"
    first, last = (
        time_text(summary[name], f"%-d %b %Y, {clock}") for name in ("first", "last")
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
