"""The page of a batch: heatmaps, flagged sites, variation; one file, no network."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpengine.config.qc import ThresholdSection
from cpengine.plates import Place, place_of
from cpengine.results.html.links import PageLink
from cpengine.results.html.measures import label_of
from cpengine.results.html.render import render
from cpengine.results.qc.assess import ALL_WELLS, Assessment
from cpengine.results.qc.flags import Flag
from cpengine.results.qc.images import SiteKey
from cpengine.results.qc.names import ImageMeasure
from cpengine.results.qc.numbers import mean

_MOST_SITES = 1000
"""So many flagged sites are listed; the table of all of them is beside the page."""


@dataclass(frozen=True, slots=True)
class ListedSite:
    """A flagged site as the page lists it."""

    key: SiteKey
    worst: Flag
    whys: Sequence[str]


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """A threshold and the measures that it holds for."""

    measures: str
    limits: str
    flagged: int
    """Sites."""


def page(
    found: Assessment, project: str, batch: str, pages: Sequence[PageLink] = ()
) -> str:
    """The page as HTML.

    Parameters
    ----------
    pages
        The project's other pages.
    """
    sites = [ListedSite(key, f[0], _whys(f)) for key, f in found.by_site.items()]
    values = {
        "found": found,
        "project": project,
        "batch": batch,
        "pages": pages,
        "total": sum(map(found.count, found.plates)),
        "sites": sites[:_MOST_SITES],
        "more": max(0, len(sites) - _MOST_SITES),
        "rules": list(_rules(found)),
        "cells": [_cells(found, plate) for plate in found.plates],
        "data": _data(found),
    }
    return render("qc/page.html", values)


def _whys(flags: Sequence[Flag]) -> list[str]:
    return [flag.why for flag in flags]


def _rules(found: Assessment) -> Iterator[ThresholdRow]:
    """The thresholds, each with all measures of its kind that it holds for."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for measure, limits in found.thresholds.items():
        key = (_kind(measure), _limits(measure, limits))
        kinds.setdefault(key, []).append(measure)
    for (kind, words), measures in kinds.items():
        channels = [ImageMeasure.parse(measure).channel for measure in measures]
        of = f" of {', '.join(channels)}" if any(channels) else ""
        flagged = {flag.key for flag in found.flags if flag.measure in measures}
        yield ThresholdRow(kind + of, words, len(flagged))


def limits_in_words(limits: ThresholdSection, unit: str = "") -> str:
    """What flags a site, as a phrase; fixed limits with their unit."""
    phrases = (
        (limits.low_mad, "more than {:g} robust deviations below the median"),
        (limits.high_mad, "more than {:g} robust deviations above the median"),
        (limits.min, f"below {{:g}} {unit}".rstrip()),
        (limits.max, f"above {{:g}} {unit}".rstrip()),
    )
    words = [text.format(value) for value, text in phrases if value is not None]
    least = limits.least_deviation if limits.relative else None
    floor = f" (a deviation is at least {least:g})" if least else ""
    return (", or ".join(words) or "never") + floor


def _limits(name: str, limits: ThresholdSection) -> str:
    unit = label_of(name).unit
    return limits_in_words(limits, "" if unit == "count" else unit)


def _data(found: Assessment) -> dict[str, Any]:
    """What the page's script draws."""
    measures = _shown(found)
    worst = found.flags[0] if found.flags else None
    return {
        "first": [
            found.plates.index(worst.key.plate) if worst else 0,
            measures.index(worst.measure) if worst else 0,
        ],
        "measures": [_measure(name, found.thresholds) for name in measures],
        "plates": [_plate(found, plate, measures) for plate in found.plates],
    }


def _measure(name: str, thresholds: Mapping[str, ThresholdSection]) -> dict[str, str]:
    limits = thresholds.get(name)
    return label_of(name)._asdict() | {
        "name": name,
        "limits": _limits(name, limits) if limits else "",
    }


def _shown(found: Assessment) -> list[str]:
    """The measures that are not the same everywhere; first those that flag most."""
    values = found.sites.values
    flags = Counter(_kind(flag.measure) for flag in found.flags)
    vary = [name for name, v in values.items() if len(np.unique(v[~np.isnan(v)])) > 1]
    return sorted(
        {*vary, *found.thresholds},
        key=lambda name: (name not in found.thresholds, -flags[_kind(name)], name),
    )


def _kind(name: str) -> str:
    parts = ImageMeasure.parse(name)
    return f"{parts.category} {parts.feature}"


def _plate(found: Assessment, plate: str, measures: Sequence[str]) -> dict[str, Any]:
    wells = found.sites.wells_of[plate]
    shape = found.shape_of(plate)
    return {
        "name": plate,
        "columns": shape[1] if shape else 0,
        "wells": [
            {"name": well, "at": _at(well, shape), "sets": len(rows)}
            for well, rows in wells.items()
        ],
        "values": [
            [_number(mean(found.sites.values[m][rows])) for rows in wells.values()]
            for m in measures
        ],
        "flags": [
            [f.key.well, f.key.site, measures.index(f.measure), f.why]
            for f in found.flags
            if f.key.plate == plate
        ],
        "cv": _cv(found, plate),
        "unscored": found.unscored.get(plate, ""),
    }


def _at(well: str, shape: Place | None) -> int:
    """Where a well is, row by row; -1 if that is not known, or cannot be drawn."""
    place = place_of(well)
    return place[0] * shape[1] + place[1] if shape and place else -1


def _cells(found: Assessment, plate: str) -> list[list[str | None]]:
    """What each place of a plate shows without a script, row by row."""
    rows, columns = found.shape_of(plate) or (0, 0)
    cells: list[str | None] = [None] * (rows * columns)
    flagged = {key.well for key in found.flagged(plate)}
    shown = dict.fromkeys(found.planned.get(plate, ()), "unknown")
    for well in found.sites.wells_of[plate]:
        shown[well] = "flagged" if well in flagged else "passed"
    for well, state in shown.items():
        if (at := _at(well, (rows, columns) if rows else None)) >= 0:
            cells[at] = state
    return [cells[row * columns : (row + 1) * columns] for row in range(rows)]


def _cv(found: Assessment, plate: str) -> dict[str, Any]:
    mine = [cv for cv in found.cvs if cv.plate == plate]
    controls = dict.fromkeys(cv.control for cv in mine if cv.control != ALL_WELLS)
    by_measure: dict[str, dict[str, list[float | None]]] = {}
    for cv in mine:
        percent = cv.variation.cv_percent
        cell = [_number(percent), cv.variation.wells]
        by_measure.setdefault(cv.measure, {})[cv.control] = cell
    return {"controls": [*controls, ALL_WELLS], "measures": by_measure}


def _number(value: float | None) -> float | None:
    """Four digits, which is what the page shows."""
    return None if value is None or math.isnan(value) else float(f"{value:.4g}")
