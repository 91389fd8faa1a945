"""TIFFs that end before their data, by the files' own tables.

Sizes alone do not tell, where images are compressed or all are cut; and CellProfiler
reads what is there of one, and takes the rest for black.
"""

import logging
import operator
import struct
from collections.abc import Iterable
from pathlib import Path

from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFFs begin, those of more than 4 GB, too."""
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
        ends = each(ends_early, map(storage.path, some))
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
        size, pages = tiff.filehandle.size, list(tiff.pages)
        places = [(page.dataoffsets, page.databytecounts) for page in pages]
    # Where tables lie at the end, those of the strips may be gone.
    return not places or any(
        not starts
        or len(starts) != len(counts)
        or max(map(operator.add, starts, counts)) > size
        for starts, counts in places
    )


_NO_HANDLER = logging.NullHandler()
"""What tifffile would say of such files on the terminal is said in a table's words."""
