"""MeasureImageIntensity sorts an image's pixels once.

It asks numpy for two medians and two kinds of percentiles, each of which partitions all
pixels anew. Here all of them are read from pixels that are sorted once; see
`sorted_values.py` for why they are the same. Sums, means and deviations are numpy's own
of the pixels in their own order. Pixels that are not all finite are left to the
original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy
from cellprofiler.modules import measureimageintensity as module_file

from .acceleration import Acceleration
from .sorted_values import median, median_deviation, percentiles, sorted_values

if TYPE_CHECKING:
    from collections.abc import Callable


def _values(pixels: Any, ordered: Any, wanted: Any) -> tuple[dict[str, Any], Any]:
    """What is measured of pixels, by the name of the statistics table, in its order."""
    count = numpy.prod(pixels.shape)
    total = numpy.sum(pixels)
    middle = median(ordered)
    largest = numpy.max(pixels)
    share = 100.0 * float(numpy.sum(pixels == largest)) / float(count)
    quartiles = percentiles(ordered, [25, 75])
    values = {
        "Total intensity": total,
        "Mean intensity": total / float(count),
        "Median intensity": middle,
        "Std intensity": numpy.std(pixels),
        "MAD intensity": median_deviation(ordered, middle),
        "Min intensity": numpy.min(pixels),
        "Max intensity": largest,
        "Pct maximal": share,
        "Lower quartile": quartiles[0],
        "Upper quartile": quartiles[1],
        "Total area": count,
    }
    more = dict(zip(wanted, percentiles(ordered, wanted))) if wanted else {}
    return values, more


_FEATURES = {
    "Total intensity": module_file.F_TOTAL_INTENSITY,
    "Mean intensity": module_file.F_MEAN_INTENSITY,
    "Median intensity": module_file.F_MEDIAN_INTENSITY,
    "Std intensity": module_file.F_STD_INTENSITY,
    "MAD intensity": module_file.F_MAD_INTENSITY,
    "Max intensity": module_file.F_MAX_INTENSITY,
    "Min intensity": module_file.F_MIN_INTENSITY,
    "Total area": module_file.F_TOTAL_AREA,
    "Pct maximal": module_file.F_PERCENT_MAXIMAL,
    "Lower quartile": module_file.F_LOWER_QUARTILE,
    "Upper quartile": module_file.F_UPPER_QUARTILE,
}
"""The features in the order in which they are measured."""


def measure(
    original: Callable[..., Any],
    module: Any,
    pixels: Any,
    image_name: str,
    object_name: str | None,
    measurement_name: str,
    workspace: Any,
    percentiles: Any = None,
) -> Any:
    """Measure an array of pixels."""
    ordered = sorted_values(pixels)
    if ordered is None:
        return original(
            *(module, pixels, image_name, object_name, measurement_name, workspace),
            percentiles=percentiles,
        )
    values, more = _values(pixels.flatten(), ordered, percentiles)
    measurements = workspace.measurements
    for name, feature in _FEATURES.items():
        measurements.add_image_measurement(feature % measurement_name, values[name])
    for percentile, value in more.items():
        feature = f"Intensity_Percentile_{percentile}_{measurement_name}"
        measurements.add_image_measurement(feature, value)
        values[f"Percentile {percentile}"] = value
    objects = object_name if module.wants_objects.value else ""
    return [[image_name, objects, name, str(value)] for name, value in values.items()]


def _self_test() -> None:
    """The order statistics against numpy's."""
    for count in (1, 2, 999, 1000):
        pixels = numpy.random.default_rng(count).random(count).astype(numpy.float32)
        ordered, wanted = sorted_values(pixels), [0, 10, 25, 75, 99]
        middle = numpy.median(pixels)
        plain = numpy.median(numpy.abs(pixels - middle))
        assert median(ordered).tobytes() == middle.tobytes()
        assert median_deviation(ordered, middle).tobytes() == plain.tobytes()
        ours = [value.tobytes() for value in percentiles(ordered, wanted)]
        assert ours == [value.tobytes() for value in numpy.percentile(pixels, wanted)]


_MODULE = "cellprofiler.modules.measureimageintensity:MeasureImageIntensity"

ACCELERATION = Acceleration(
    name="image_intensity",
    replaces={_MODULE + ".measure": measure},
    sources={
        _MODULE + ".measure": (
            "dedbd39d578d519a9d9f7fb77f74c274b387f5c7bc1f7d9668ac11eaff608544"
        ),
        "numpy:median": (
            "f3e87d32c013fb67d36976d0ce2a55200a379ba6f96573476b2b1baed0ae72c5"
        ),
        "numpy:percentile": (
            "63ace5ed406c4839d0404dc9b3e0114e69adcbd3195c7402b2568333f81e5400"
        ),
        "numpy.lib.function_base:_median": (
            "ed179f6affdce866b33ed64b986f1a630e310eec342c36f23810d994bdb18f5b"
        ),
        "numpy.lib.function_base:_quantile": (
            "1abe62e79c253adcedec04f0b1af23e58d2dc285b3a4c9d95691c495c5d7e02d"
        ),
    },
    versions={"numpy": "1.24.4"},
    self_test=_self_test,
)
