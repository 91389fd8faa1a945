"""What CellProfiler's own numbers depend on: the processor and how numpy uses it."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

from .compiled import blas_function


def processor() -> dict[str, Any]:
    """The processor's name, and the code and the threads that numpy's BLAS uses."""
    return {
        "cpu": _cpu(),
        "blas_kernel": _blas_kernel(),
        "blas_threads": _blas_threads(),
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _blas_kernel() -> str:
    ask = blas_function("openblas_get_corename64_")
    if ask is None:
        return ""
    ask.restype = ctypes.c_char_p
    name: bytes = ask()
    return name.decode()


def _blas_threads() -> int:
    ask = blas_function("openblas_get_num_threads64_")
    return 0 if ask is None else int(ask())
