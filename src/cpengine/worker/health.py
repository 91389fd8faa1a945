"""Whether a worker on this machine still turns: a file that its main loop touches.

No other thread does so: it would speak for a worker that hangs.
"""

import contextlib
import os
import tempfile
import time
from pathlib import Path

from cpengine.system import namespace
from cpengine.system.private import is_own, no_link

_SILENT_S = 180.0


def _file() -> Path:
    # Of this container alone, where several share a folder for such files.
    name = f"cpengine-worker-{os.geteuid()}-{namespace.own()}.alive"
    return Path(tempfile.gettempdir()) / name


def tell() -> None:
    """Say that the worker turns."""
    with (
        contextlib.suppress(OSError),  # a full disk: who looks will see no word of us
        open(_file(), "ab", opener=no_link) as file,
    ):
        os.utime(file.fileno())


def is_well() -> bool:
    """Whether it has said so lately."""
    file = _file()
    try:
        return is_own(file) and time.time() - file.lstat().st_mtime < _SILENT_S
    except OSError:
        return False
