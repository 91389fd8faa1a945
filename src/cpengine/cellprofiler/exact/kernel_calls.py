"""Calls of compiled kernels with arrays of numpy."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy

from . import compiled


def call(name: str, *arguments: Any) -> int:
    """Call a kernel; give the whole number that it returns.

    An array becomes the address of its first item, a float a double, an int a number of
    64 bits, and None a null pointer.

    Raises ValueError where an array's items do not follow one another in memory.
    """
    function = getattr(compiled.library, "cpengine_" + name)
    function.restype = ctypes.c_int64
    result: int = function(*[_converted(argument) for argument in arguments])
    return result


def suffix(pixels: Any) -> str:
    """What the name of a kernel for these pixels ends with; KeyError if none is."""
    return _SUFFIXES[pixels.dtype.name]


def item_type(pixels: Any) -> Any:
    """The type of what `sorting.h` sorts for these pixels: a key and an index."""
    size = pixels.dtype.itemsize
    return numpy.dtype(f"u{size}, u{size}")


def is_measurable(pixels: Any) -> bool:
    """Whether kernels take an array: its type, its size, and that all is finite."""
    return (
        type(pixels) is numpy.ndarray
        and pixels.dtype in TYPES
        and 0 < pixels.size <= _MOST_PIXELS
        and bool(numpy.isfinite(pixels).all())
    )


TYPES = (numpy.dtype("float32"), numpy.dtype("float64"))
"""Of pixels, in the byte order of this machine."""
_SUFFIXES = {"float32": "f32", "float64": "f64"}
_MOST_PIXELS = 2**31 - 1


def _converted(argument: Any) -> Any:
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, numpy.ndarray):
        return ctypes.c_void_p(compiled.pointer(argument))
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return ctypes.c_int64(argument)
