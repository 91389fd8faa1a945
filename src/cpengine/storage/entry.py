"""What listings say of files."""

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

_COARSE_S = 2.0
"""So far apart are the times that the coarsest file systems tell apart."""
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified")


class Entry(NamedTuple):
    """What a listing says of a file."""

    size: int
    """Bytes."""
    time: float
    """When it was last changed, in seconds since 1970; 0 if that is not said."""
    version: str = ""
    """Changes when it is replaced: its content's digest, where a store tells that, so
    that a copy is the same; else its time."""
    placed: float = 0.0
    """When a local file was put there or changed, which nobody can set back: what is
    copied or moved into its place with its size and time differs in this. 0 elsewhere.
    """

    def is_settled(self, now: float) -> bool:
        """Whether a file that is changed from now on will have another entry."""
        if self.version != f"{self.time}:{self.size}":  # a digest, by the store
            return True
        return self.time > 0 and max(self.time, self.placed) < now - _COARSE_S

    @classmethod
    def read(cls, info: Mapping[str, Any]) -> "Entry":
        """An entry as fsspec gives it; file systems have words of their own."""
        if info.get("islink"):
            info = {**info, **_behind_link(info["name"])}
        named = (info.get(name) for name in _TIMES)
        time = next(filter(None, named), 0.0)
        if isinstance(time, datetime):  # of a store, whose head says whole seconds
            time = time.timestamp() // 1
        known = isinstance(time, (int, float))
        size, seconds = int(info["size"] or 0), float(time) if known else 0.0
        digest = info.get("ETag") or info.get("etag") or seconds
        placed = float(info["created"]) if "ino" in info else 0.0
        return cls(size, seconds, f"{digest}:{size}", placed)


def _behind_link(path: str) -> dict[str, Any]:
    """What is so of the file that a link leads to: listings tell of the link."""
    with contextlib.suppress(OSError):
        seen = os.stat(path)
        return {
            "size": seen.st_size,
            "mtime": seen.st_mtime,
            "created": max(seen.st_ctime, os.lstat(path).st_ctime),
        }
    return {}
