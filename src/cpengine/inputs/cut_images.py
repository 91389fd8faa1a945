"""TIFFs that end before their data, by the files' own tables.

Sizes alone do not tell, where images are compressed or all are cut; and CellProfiler
reads what is there of one, and takes the rest for black.
"""

import logging
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cpengine.storage.store import Storage

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffFrame, TiffPage

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFFs begin, those of more than 4 GB, too."""
_UNCOMPRESSED = 1
_NO_HANDLER = logging.NullHandler()


def cut_off(storage: Storage, images: Iterable[str]) -> frozenset[str]:
    """Which of some files are TIFFs that end before their data, by key.

    Those on this machine are opened; in a bucket that would take a request or two a
    file, and none is named.
    """
    tiffs = (k for k in dict.fromkeys(images) if is_tiff(k) and storage.is_local(k))
    # One after the other: threads would wait for Python, and take twice as long.
    return frozenset(key for key in tiffs if ends_early(storage.path(key)))


def is_tiff(name: str) -> bool:
    """Whether a file is a TIFF, by its name."""
    return name.lower().endswith((".tif", ".tiff"))


def ends_early(path: str | Path) -> bool:
    """Whether a file is a TIFF that ends before its data; False of what is none.

    Of a damaged one, whose tables make no sense, CellProfiler itself says so.
    """
    try:
        with open(path, "rb") as file:
            if file.read(4) not in _TIFF:
                return False
        return _is_short(path)
    except (struct.error, ValueError):  # it ends in its tables
        return True
    except Exception:  # what tifffile raises of damaged tables is of many kinds
        return False


def full_size_pages(tiff: "TiffFile") -> "list[TiffPage | TiffFrame]":
    """The images of a TIFF, without smaller copies and tables that have no image."""
    found: dict[int, TiffPage | TiffFrame] = {}
    for page in tiff.pages:
        if page.offset in found:  # a table that leads back to an earlier one
            break
        found[page.offset] = page
    return [
        page
        for page in found.values()
        if not (page.keyframe is page and (page.is_reduced or not page.imagewidth))
    ]


def opened(path: str | Path) -> "TiffFile":
    """A TIFF, of which nothing is said on the terminal. Raises all that tifffile does.

    What is wrong with it is said in a table's words.
    """
    import tifffile  # slow to import

    logging.getLogger("tifffile").addHandler(_NO_HANDLER)
    return tifffile.TiffFile(path)


def _is_short(path: str | Path) -> bool:
    with opened(path) as tiff:
        size, pages = tiff.filehandle.size, full_size_pages(tiff)
        are_whole = [_is_whole(page, size) for page in pages]
        return not (are_whole and all(are_whole)) or _lacks_pages(tiff, pages)


def _is_whole(page: "TiffPage | TiffFrame", size: int) -> bool:
    """Whether the data of a page lie in a file of so many bytes."""
    starts, counts = page.dataoffsets, page.databytecounts
    if not starts or len(starts) != len(counts):  # the tables of strips are gone
        return False
    there = sum(min(max(size - s, 0), c) for s, c in zip(starts, counts, strict=True))
    wanted, key = sum(counts), page.keyframe
    if key and key.compression == _UNCOMPRESSED:  # some count more than there is
        wanted = min(wanted, key.nbytes)
    return there >= wanted


def _lacks_pages(tiff: "TiffFile", pages: "Sequence[TiffPage | TiffFrame]") -> bool:
    """Whether the last page names a next one behind the file's end.

    Of a file of one page, what writers leave there may mean nothing.
    """
    form, file, table = tiff.tiff, tiff.filehandle, pages[-1].offset
    order: Literal["little", "big"] = "little" if tiff.byteorder == "<" else "big"
    file.seek(table)
    tags = int.from_bytes(file.read(form.tagnosize), order)
    file.seek(table + form.tagnosize + tags * form.tagsize)
    following = int.from_bytes(file.read(form.offsetsize), order)
    key = pages[-1].keyframe
    is_stack = tiff.is_imagej or tiff.is_shaped or tiff.is_ome or len(pages) > 1
    lacks_values = key is not None and len(key.tags) < tags  # perhaps what tells that
    return following >= file.size and bool(is_stack or lacks_values)
