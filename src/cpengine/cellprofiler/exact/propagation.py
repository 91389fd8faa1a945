"""Labels that spread from seeds over an image, as centrosome.propagate computes them.

What it replaces keeps five numbers for each pixel to be visited, compares them one by
one, and reads 18 pixels for each step even of a black image. It is most of
IdentifySecondaryObjects by propagation, and of MeasureObjectIntensityDistribution with
other objects as centers. Ours visits the same pixels in the same order (`visits.h`) and
computes each distance with the same operations. Pixels that are not finite: the
original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import centrosome.propagate
import numpy

from .acceleration import Acceleration
from .kernel_calls import call

if TYPE_CHECKING:
    from collections.abc import Callable

_PROPAGATE = "centrosome.propagate:propagate"


def propagate(
    original: Callable[..., Any], image: Any, labels: Any, mask: Any, weight: Any
) -> Any:
    """The labels and the distances from their seeds."""
    found = None
    are_arrays = all(type(a) is numpy.ndarray for a in (image, labels, mask))
    if are_arrays and isinstance(weight, (int, float)):
        found = _propagated(image, labels, mask, weight)
    return original(image, labels, mask, weight) if found is None else found


def _propagated(image: Any, labels: Any, mask: Any, weight: Any) -> Any:
    """None where the original has to."""
    if not (image.ndim == 2 and image.shape == labels.shape == mask.shape):
        return None
    if image.dtype.kind not in "fiu" or labels.dtype.kind not in "iu":
        return None
    if mask.dtype != bool or not 0 < image.size < 2**31:
        return None
    pixels = numpy.ascontiguousarray(image, numpy.float64)
    seeds = numpy.ascontiguousarray(labels, numpy.int32)
    if not numpy.isfinite(pixels).all() or not numpy.isfinite(weight):
        return None
    if labels.min() < 0 or labels.max() >= 2**31:
        return None
    found = numpy.zeros(labels.shape, numpy.int32)
    distances = -numpy.ones(labels.shape, numpy.float64)
    distances[labels > 0] = 0
    arguments = (pixels if pixels.any() else None, *labels.shape, float(weight))
    allowed = numpy.ascontiguousarray(mask).view(numpy.uint8)
    if call("propagate", *arguments, seeds, allowed, found, distances):
        return None
    found[labels > 0] = labels[labels > 0]
    return found, distances


def self_test() -> None:
    """Three seeds on noise with many equal pixels."""
    rng = numpy.random.default_rng(4)
    labels = numpy.zeros((21, 25), int)
    labels[3, 4], labels[10:12, 20], labels[18, 2] = 2, 1, 3
    mask = rng.random(labels.shape) < 0.9
    for image in (numpy.round(rng.random(labels.shape) * 3), numpy.zeros(labels.shape)):
        plain = centrosome.propagate.propagate(image, labels, mask, 0.3)
        ours = _propagated(image, labels, mask, 0.3)
        for expected, values in zip(plain, ours):
            assert expected.dtype == values.dtype
            assert expected.tobytes() == values.tobytes()


ACCELERATION = Acceleration(
    name="propagation",
    replaces={_PROPAGATE: propagate},
    sources={
        _PROPAGATE: "728f2e0476e7fe47f9a3175a23747d6c57a13657e6a7afb6cb9e2354d8a640ea",
    },
    versions={"centrosome": "1.2.3"},
    needs_kernels=True,
    self_test=self_test,
)
