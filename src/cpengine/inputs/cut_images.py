"""TIFFs that end before their data, by the files' own tables.

Sizes alone do not tell, where images are compressed or all are cut; and CellProfiler
reads what is there of one, and takes the rest for black.
"""

import logging
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

if TYPE_CHECKING:
    from tifffile import TiffFrame, TiffPage

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFFs begin, those of more than 4 GB, too."""
_THREADS = 4
"""More of them would wait for Python, where the disk is near."""
_UNCOMPRESSED = 1
_AT_ONCE = 1000
"""Files that wait in memory to be opened."""


def cut_off(storage: Storage, images: Iterable[str]) -> frozenset[str]:
    """Which of some files are TIFFs that end before their data, by key.

    Those on this machine are opened; in a bucket that would take a request or two a
    file, and none is named.
    """
    tiffs = [k for k in dict.fromkeys(images) if is_tiff(k) and storage.is_local(k)]
    found: set[str] = set()
    for first in range(0, len(tiffs), _AT_ONCE):
        some = tiffs[first : first + _AT_ONCE]
        ends = each(ends_early, map(storage.path, some), _THREADS)
        found.update(key for key, early in zip(some, ends, strict=True) if early)
    return frozenset(found)


def is_tiff(name: str) -> bool:
    """Whether a file is a TIFF, by its name."""
    return name.lower().endswith((".tif", ".tiff"))


def ends_early(path: str | Path) -> bool:
    """Whether a file is a TIFF that ends before its data; what is none is not said."""
    try:
        with open(path, "rb") as file:
            if file.read(4) not in _TIFF:
                return False
        return _is_short(path)
    except (struct.error, ValueError):  # it ends in its tables
        return True
    except OSError:
        return False


def _is_short(path: str | Path) -> bool:
    import tifffile  # slow to import

    logging.getLogger("tifffile").addHandler(_NO_HANDLER)
    with tifffile.TiffFile(path) as tiff:
        size = tiff.filehandle.size
        are_whole = [_is_whole(page, size) for page in tiff.pages]
    return not (are_whole and all(are_whole))


def _is_whole(page: "TiffPage | TiffFrame", size: int) -> bool:
    """Whether the data of a page lie in a file of so many bytes."""
    starts, counts = page.dataoffsets, page.databytecounts
    if not starts or len(starts) != len(counts):  # the tables of strips are gone
        return False
    there = sum(min(max(size - s, 0), c) for s, c in zip(starts, counts, strict=True))
    wanted, key = sum(counts), page.keyframe
    if (
        key and key.compression == _UNCOMPRESSED
    ):  # some count more than there is in a strip
        wanted = min(wanted, key.nbytes)
    return there >= wanted


_NO_HANDLER = logging.NullHandler()
"""What tifffile would say of such files on the terminal is said in a table's words."""
