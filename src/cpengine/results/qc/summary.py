"""A judged batch in a table: a row a plate. Pure."""

from collections.abc import Sequence
from statistics import median

from cpengine.results.qc.assess import ALL_WELLS, Assessment
from cpengine.text_table import TextTable

_HEADLINES = ("Count_", "ImageQuality_MeanIntensity_", "")
"""Of these kinds of measure the first that is there tells how controls vary."""


def table(found: Assessment, plates: Sequence[str]) -> TextTable:
    """How many sites of plates are flagged, why, and how their controls vary (CV)."""
    controls = list(dict.fromkeys(cv.control for cv in found.cvs))
    controls.sort(key=lambda control: control == ALL_WELLS)
    kind = _headline(found)
    columns = ("plate", "why", "sites", "flagged", *(f"CV {name}" for name in controls))
    rows = [
        (
            plate,
            _why(found, plate),
            str(found.count(plate)),
            str(len(found.flagged(plate))),
            *(_percent(found, plate, control, kind) for control in controls),
        )
        for plate in plates
    ]
    lines = [f"CV: median over {kind}*; all of them are in cv.csv"] if controls else []
    title = f"image quality by {found.step}"
    return TextTable(columns, rows, title, words=2, lines=lines)


def _why(found: Assessment, plate: str) -> str:
    reasons = [f"{n} {reason}" for reason, n in found.reasons(plate).most_common()]
    unscored = [found.unscored[plate]] if plate in found.unscored else []
    return ", ".join([*reasons, *unscored])


def _headline(found: Assessment) -> str:
    names = found.sites.measures
    return next(k for k in _HEADLINES if any(n.startswith(k) for n in names))


def _percent(found: Assessment, plate: str, control: str, kind: str) -> str:
    values = [
        percent
        for cv in found.cvs
        if (cv.plate, cv.control) == (plate, control) and cv.measure.startswith(kind)
        if (percent := cv.variation.cv_percent) is not None
    ]
    return f"{median(values):.1f} %" if values else ""
