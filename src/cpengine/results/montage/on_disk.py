"""Arrays in files, so that a plate of any size needs little memory."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_CANNOT = (errno.EOPNOTSUPP, errno.EINVAL)
"""So a file system answers that allocates nothing beforehand."""


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of zeros in a new file, whose room on the disk is there already.

    Without that a full disk would end the process with SIGBUS as the array is filled.

    Raises
    ------
    OSError
        There is not so much room.
    """
    array: NDArray[Any] = np.lib.format.open_memmap(
        path, mode="w+", dtype=dtype, shape=shape
    )
    if hasattr(os, "posix_fallocate"):  # not on macOS
        _allocate(path)
    return array


def _allocate(path: Path) -> None:
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
