"""The page of a batch: heatmaps, flagged sites, variation; one file, no network."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np

from cpengine.config.qc import ThresholdSection
from cpengine.plates import Place, place_of, smallest_shape
from cpengine.results.qc.assess import ALL_WELLS, Assessment
from cpengine.results.qc.flags import Flag
from cpengine.results.qc.images import SiteKey
from cpengine.results.qc.names import ImageMeasure
from cpengine.results.qc.numbers import mean
from cpengine.wording import counted

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


def render(found: Assessment, project: str, batch: str) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cpengine.results.qc"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counted"] = counted
    sites = [ListedSite(key, f[0], _whys(f)) for key, f in found.by_site.items()]
    return environment.get_template("quality.html").render(
        found=found,
        project=project,
        batch=batch,
        total=sum(map(found.count, found.plates)),
        sites=sites[:_MOST_SITES],
        more=max(0, len(sites) - _MOST_SITES),
        rules=list(_rules(found)),
        data=_embedded(_data(found)),
    )


def _whys(flags: Sequence[Flag]) -> list[str]:
    return [flag.why for flag in flags]


def _rules(found: Assessment) -> Iterator[ThresholdRow]:
    """The thresholds, each with all measures of its kind that it holds for."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for measure, limits in found.thresholds.items():
        key = (_kind(measure), limits_in_words(limits))
        kinds.setdefault(key, []).append(measure)
    for (kind, words), measures in kinds.items():
        channels = [ImageMeasure.parse(measure).channel for measure in measures]
        of = f" of {', '.join(channels)}" if any(channels) else ""
        flagged = {flag.key for flag in found.flags if flag.measure in measures}
        yield ThresholdRow(kind + of, words, len(flagged))


def limits_in_words(limits: ThresholdSection) -> str:
    """What flags a site, as a phrase."""
    phrases = (
        (limits.low_mad, "more than {:g} robust deviations below the median"),
        (limits.high_mad, "more than {:g} robust deviations above the median"),
        (limits.min, "below {:g}"),
        (limits.max, "above {:g}"),
    )
    words = [text.format(value) for value, text in phrases if value is not None]
    least = limits.least_deviation if limits.relative else None
    floor = f" (a deviation is at least {least:g})" if least else ""
    return (", or ".join(words) or "never") + floor


def _embedded(data: object) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


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
    parts = ImageMeasure.parse(name)
    limits = thresholds.get(name)
    return {
        "name": name,
        "group": _kind(name),
        "label": parts.channel or parts.feature,
        "limits": limits_in_words(limits) if limits else "",
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
    places = [place_of(well) for well in wells]
    return {
        "name": plate,
        "shape": _shape([place for place in places if place]),
        "wells": [
            [well, *_cell(place), len(rows)]
            for (well, rows), place in zip(wells.items(), places, strict=True)
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


def _cell(place: Place | None) -> tuple[int, int]:
    """A well's row and column as the page has them: from 1, 0 if they are not known."""
    return (place[0] + 1, place[1] + 1) if place else (0, 0)


def _shape(places: Sequence[Place]) -> Place:
    """Rows and columns of the smallest usual plate that has all these wells."""
    rows, columns = (max((place[i] for place in places), default=-1) for i in (0, 1))
    return smallest_shape(places, least=96) or (rows + 1, columns + 1)


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
