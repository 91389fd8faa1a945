"""TIFFs that end before their data, by the files' own tables.

Compressed images differ in size, so that sizes alone do not tell which are cut off; and
CellProfiler reads what is there of one, and takes the rest for black.
"""

import logging
import struct
from collections.abc import Iterable
from pathlib import Path

from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

_AT_ONCE = 1000
"""Files that wait in memory to be opened."""


def cut_off(storage: Storage, images: Iterable[str]) -> frozenset[str]:
    """Which of some files are TIFFs that end before their data, by key.

    Those on this machine are opened; in a bucket that would take a request or two a
    file, and none is named.
    """
    tiffs = [
        key
        for key in dict.fromkeys(images)
        if key.lower().endswith((".tif", ".tiff")) and storage.is_local(key)
    ]
    found: set[str] = set()
    for first in range(0, len(tiffs), _AT_ONCE):
        some = tiffs[first : first + _AT_ONCE]
        ends = each(_ends_early, map(storage.path, some))
        found.update(key for key, early in zip(some, ends, strict=True) if early)
    return frozenset(found)


def _ends_early(path: Path) -> bool:
    """Whether a TIFF ends before the last of its data; False of what is none."""
    import tifffile  # slow to import

    logging.getLogger("tifffile").addHandler(_NO_HANDLER)
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = list(tiff.pages)
            ends = (
                start + count
                for page in pages
                for start, count in zip(
                    page.dataoffsets, page.databytecounts, strict=True
                )
            )
            return not pages or max(ends, default=0) > tiff.filehandle.size
    except struct.error:  # it ends in the first table
        return True
    except (OSError, ValueError):
        return False


_NO_HANDLER = logging.NullHandler()
"""What tifffile would say of such files on the terminal is said in a table's words."""
