"""What is checked just before a step runs: that its images are there."""

from collections.abc import Iterable, Iterator
from functools import cache

from cpengine.errors import InputError
from cpengine.loaddata import Table, image_files
from cpengine.places import Places


def images(places: Places, table: Table, rows: Iterable[int]) -> None:
    """Refuse image sets with missing or empty files, from one listing a folder.

    Raises
    ------
    InputError
        A line for missing files, one for empty files, each with the first place.
    """
    locate, sizes = cache(places.locate), cache(places.images.sizes)
    missing: list[str] = []
    empty: list[str] = []
    for row in rows:
        for image in image_files(table, row):
            folder = locate(image.folder)
            size = sizes(folder).get(image.name)
            if not size:
                place = f"{table.where(row, image.column)}: {folder}/{image.name}"
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
