"""What people read of a measure: its group in a list, its name, its unit. Pure."""

import re
from typing import NamedTuple

_UNITS = (
    (r"Percent(Maximal|Minimal)", "% of pixels"),
    (r"(Mean|Median|Min|Max|Std|MAD)Intensity|ThresholdOtsu.*", "of full scale"),
    (r"TotalIntensity", "of full scale, summed"),
    (r"TotalArea", "px"),
)
"""Of features of MeasureImageQuality. CellProfiler has intensities from 0 to 1, the
full scale of the image's type; slopes, scores and correlations have no unit."""
_IMAGE_QUALITY = re.compile(r"ImageQuality_([A-Za-z]+)(?:_(.+))?")
_COUNT = "Count_"


class MeasureLabel(NamedTuple):
    """A measure as pages show it."""

    group: str
    label: str
    unit: str
    """`s`, `bytes`, `count`, or what stands behind the number; empty if it has none."""


def label_of(column: str, unit: str = "") -> MeasureLabel:
    """What to call a measure, by the name of its column in `Image.csv`.

    Parameters
    ----------
    unit
        Its unit, if it is known by more than its name.
    """
    if found := _IMAGE_QUALITY.fullmatch(column):
        feature, channel = found[1], found[2] or ""
        return MeasureLabel(feature, f"{feature} {channel}".strip(), _unit(feature))
    if column.startswith(_COUNT):
        return MeasureLabel("Counts", column.removeprefix(_COUNT), "count")
    if column == "ModuleErrors":
        return MeasureLabel("Counts", "Image sets with module errors", "count")
    if unit:
        return MeasureLabel("Jobs", column, unit)
    group, _, name = column.partition("_")
    return MeasureLabel(group, name.replace("_", " ") or column, "")


def _unit(feature: str) -> str:
    known = (unit for form, unit in _UNITS if re.fullmatch(form, feature))
    return next(known, "")
