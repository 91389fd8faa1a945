"""The compiled kernels, if this process has them."""

from __future__ import annotations

import ctypes
import glob
import hashlib
import os
from typing import Any

import numpy

library: Any = None
"""The kernels; None where there are none."""


def load(path: str, sha256: str) -> None:
    """Load the kernels from a file, if it is the one that was built.

    Raises
    ------
    OSError
        It cannot be read or loaded, or it is another file.
    """
    global library

    with open(path, "rb") as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(path + ": is not the library that was built")
    library = ctypes.CDLL(path)


def pointer(array: Any) -> int:
    """The address of an array's first item, for a kernel.

    Raises ValueError where the items do not follow one another in memory.
    """
    if not array.flags.c_contiguous:
        raise ValueError("an array is not contiguous")
    address: int = array.ctypes.data
    return address


def blas_function(name: str) -> Any:
    """A function of the OpenBLAS that numpy itself calls; None where it has another."""
    folder = os.path.join(os.path.dirname(numpy.__file__), "..", "numpy.libs")
    for path in glob.glob(os.path.join(folder, "libopenblas*")):
        found = getattr(ctypes.CDLL(path), name, None)
        if found is not None:
            return found
    return None
