"""The tables that are kept: of sites, of flagged sites, and of variation. Pure."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from cpengine.errors import InputError
from cpengine.plates import PLATE, SITE, WELL
from cpengine.results.csv_rows import rows_of
from cpengine.results.qc.assess import Assessment
from cpengine.results.qc.images import SiteKey
from cpengine.storage.store import as_text

FLAGGED_HEADER = (
    PLATE,
    WELL,
    SITE,
    "measure",
    "reason",
    "value",
    "median",
    "score",
    "why",
)


def image_quality(found: Assessment, plate: str) -> str:
    """All measures of a plate, one row an image set."""
    sites = found.sites
    columns = list(sites.values.values())
    rows = (
        (*sites.keys[row], *(_text(float(values[row])) for values in columns))
        for row in sites.rows_of[plate]
    )
    return _csv((*FLAGGED_HEADER[:3], *sites.measures), rows)


def flagged_sites(found: Assessment) -> str:
    """All flags, one row a site and measure, worst first."""
    rows = (
        (
            *flag.key,
            flag.measure,
            flag.reason,
            _text(flag.value),
            _text(flag.median),
            _text(flag.score),
            flag.why,
        )
        for flag in found.flags
    )
    return _csv(FLAGGED_HEADER, rows)


def cv(found: Assessment) -> str:
    """How measures vary over wells, one row a plate, control and measure."""
    header = (
        PLATE,
        "control",
        "measure",
        "wells",
        "mean",
        "sd",
        "cv_percent",
    )
    rows = (
        (
            entry.plate,
            entry.control,
            entry.measure,
            str(entry.variation.wells),
            _text(entry.variation.mean),
            _text(entry.variation.sd),
            _text(entry.variation.cv_percent),
        )
        for entry in found.cvs
    )
    return _csv(header, rows)


def keys_of(data: bytes, place: str) -> frozenset[SiteKey]:
    """The sites that a table of flagged sites names.

    Raises
    ------
    InputError
        It is damaged, or lacks a column.
    """
    cure = "run `cpengine qc` again"
    header, *rows = rows_of(as_text(data, place), place, cure) or [[]]
    for name in FLAGGED_HEADER[:3]:
        if name not in header:
            raise InputError(f"{place}: has no column {name}: {cure}")
    at = list(map(header.index, FLAGGED_HEADER[:3]))
    return frozenset(SiteKey(*(row[i] for i in at)) for row in rows)


def _text(value: float | None) -> str:
    """A number that reads back the same; empty for none."""
    return "" if value is None or math.isnan(value) else repr(value)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
