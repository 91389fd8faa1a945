"""Sums of Zernike polynomials over objects, as centrosome.zernike computes them.

CellProfiler computes an image of each polynomial and has scipy sum it for each object.
The kernel computes all polynomials of a pixel, with the same operations in the same
order, and adds them to the sums of the pixel's object; pixels come in the same order.
"""

from __future__ import annotations

from typing import Any

import centrosome.zernike
import numpy

from .kernel_calls import call

SOURCES = {
    "centrosome.zernike:construct_zernike_lookuptable": (
        "073fe6f869763b4eb5f01a44ceb65165f20e32049f9d93c0124962d8b941601c"
    ),
    "centrosome.zernike:construct_zernike_polynomials": (
        "d220bc7becd81ff19d442927e517a22eba2833f2c41a5c7c222e998bee74479f"
    ),
    "scipy.ndimage._measurements:_stats": (
        "f1ec351a7844d6e9450565d7466e553926f538de29a8704e8f9bb6146c93f559"
    ),
}
"""What the sums mirror."""

HIGHEST = 50
"""The highest degree that is summed here; numpy has other powers from 100 on."""


def sums(
    indexes: Any, place: Any, y: Any, x: Any, objects: int, weights: Any = None
) -> Any:
    """Real and imaginary sums: objects x polynomials x 2.

    Parameters
    ----------
    indexes
        Degree and order of each polynomial.
    place
        int64, the object of each pixel, from 0.
    y, x
        float64, the position of each pixel in the circle around its object; none may
        be infinite.
    weights
        float64, what each pixel's polynomials are multiplied by; none for 1.
    """
    if not len(place) == len(y) == len(x):
        raise ValueError("pixels are not as many as their positions")
    terms = centrosome.zernike.construct_zernike_lookuptable(indexes)
    degree, order = numpy.array(indexes, dtype=numpy.int64).T.copy()
    counts = (degree - order) // 2 + 1
    found = numpy.zeros((objects, len(indexes), 2))
    failed = call(
        "zernike",
        *(len(place), place, y, x, weights),
        *(len(indexes), terms, terms.shape[1], counts, order, int(order.max())),
        found,
    )
    if failed:
        raise ValueError("an order is too high")
    return found
