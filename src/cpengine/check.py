"""What is checked just before a step runs: that its images and places are usable."""

import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from cpengine.errors import InputError, StorageError
from cpengine.loaddata import Table, image_paths
from cpengine.storage import Storage


def images(storage: Storage, table: Table, rows: Iterable[int]) -> None:
    """Refuse image sets with missing or empty files, from one listing a folder.

    CellProfiler opens what a batch file names as it stands, so there no place is
    mapped.

    Raises
    ------
    InputError
        A line for missing files, one for empty files, each with the first place.
    """
    sizes = cache(storage.sizes)
    locate = str if table.typed else storage.locate
    missing: list[str] = []
    empty: list[str] = []
    for row in rows:
        for column, folder, name in image_paths(table, row):
            if "://" in folder:
                continue
            size = sizes(locate(folder.removeprefix("file:"))).get(name)
            if not size:
                place = f"{table.where(row, column)}: {locate(folder)}/{name}"
                (missing if size is None else empty).append(place)
    errors = [*_told(missing, "is not there"), *_told(empty, "is empty (0 bytes)")]
    if errors:
        raise InputError("\n".join(errors))


def _told(places: list[str], what: str) -> Iterator[str]:
    if places:
        more = f" (and {len(places) - 1} files more)" if len(places) > 1 else ""
        yield f"{places[0]} {what}{more}: {_cure(places[0])}"


def _cure(place: str) -> str:
    if ":FileName_Illum" in place:
        return "run the illum step first"
    if "/images_projected/" in place:
        return "run the zproj step first"
    return "put it there or drop the row"


def writable(storage: Storage, key: str) -> None:
    """Refuse a folder below which nothing can be written.

    Raises
    ------
    StorageError
        Its nearest existing parent is no folder, or takes no file.
    """
    place = storage.path(key)
    nearest = _nearest(place)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise StorageError(
            f"{place}: cannot be written ({error.strerror}): change the step's output "
            f"or the rights of {nearest}"
        ) from error


def _nearest(place: Path) -> Path:
    return next(p for p in (place, *place.parents) if p.exists())
