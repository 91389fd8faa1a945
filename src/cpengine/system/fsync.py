"""Have what was written on the disk itself, so that it outlasts a power cut."""

import errno
import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

_UNABLE = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM}
"""What file systems and folders say that cannot be asked for it."""


def flush(file: BinaryIO) -> None:
    """Have on the disk what was written to a file. Raises OSError if it is lost."""
    file.flush()
    _sync(file.fileno())


def sync(paths: Iterable[Path], top: Path) -> None:
    """Have files on the disk, and the folders by which they are found there.

    Parameters
    ----------
    top
        The uppermost folder; that of the whole system for what is not below it.

    Raises
    ------
    OSError
        A file is gone, or the disk does not take it.
    """
    files = list(paths)
    above = dict.fromkeys(up for file in files for up in _folders(file, top))
    for path in (*files, *above):
        sync_path(path)


def _folders(file: Path, top: Path) -> Iterable[Path]:
    yield from takewhile(lambda folder: folder != top, file.parents)
    yield top


def sync_path(path: Path) -> None:
    """Have one file, or the names that a folder has, on the disk; as `sync`."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else a pipe would wait
    except PermissionError:
        return
    try:
        _sync(opened)
    finally:
        os.close(opened)


def _sync(opened: int) -> None:
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
