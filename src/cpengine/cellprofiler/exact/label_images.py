"""The label image of an object set as kernels take it, made once a segmentation."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy
import scipy.ndimage


@dataclass(frozen=True)
class Labels:
    """A label image of two dimensions."""

    image: Any
    """int32, rows x columns, contiguous; 0 is no object."""
    boxes: list[Any]
    """The slices that hold label 1, 2, ...; None for a label that is not there."""


_known: weakref.WeakKeyDictionary[Any, Labels] = weakref.WeakKeyDictionary()


def labels_of(objects: Any) -> Labels | None:
    """The labels of an object set; None where they are not of two dimensions.

    They are compared with what the objects hold now, byte for byte, at each call: a
    module may have changed the array in place.
    """
    segmented = objects.segmented
    if segmented.ndim != 2 or segmented.dtype.kind not in "iu":
        return None
    known = _known.get(objects)
    if known is None or not numpy.array_equal(known.image, segmented):
        image = numpy.array(segmented, dtype=numpy.int32, order="C")
        if not numpy.array_equal(image, segmented):  # too large for 32 bits
            return None
        known = _known[objects] = Labels(image, scipy.ndimage.find_objects(image))
    return known
