"""Whether a worker on this machine still turns: a file that it touches."""

import tempfile
import time
from pathlib import Path

_SILENT_S = 180.0


def _file() -> Path:
    return Path(tempfile.gettempdir()) / "cpengine-worker.alive"


def tell() -> None:
    """Say that the worker turns."""
    _file().touch()


def is_well() -> bool:
    """Whether it has said so lately."""
    try:
        return time.time() - _file().stat().st_mtime < _SILENT_S
    except FileNotFoundError:
        return False
