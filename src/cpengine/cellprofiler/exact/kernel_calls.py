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


def _converted(argument: Any) -> Any:
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, numpy.ndarray):
        return ctypes.c_void_p(compiled.pointer(argument))
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return ctypes.c_int64(argument)
