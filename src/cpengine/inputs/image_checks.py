"""Whether the images of a step are there, from one listing a folder."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter

from cpengine import rules
from cpengine.inputs.loaddata import Table
from cpengine.inputs.table_images import image_files
from cpengine.rules import Finding
from cpengine.storage.roots import Places

_OF_ONE_SIZE = 0.9
"""Where so large a part of a channel's files has one size, they are not compressed."""


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of a row."""

    where: str
    url: str
    column: str
    size: int | None
    """Bytes; None if it is not there."""


def findings(
    places: Places, table: Table, rows: Iterable[int], made: Sequence[str] = ()
) -> Iterator[Finding]:
    """A finding for missing files, for empty and for short ones, with the first place.

    Parameters
    ----------
    rows
        The rows (from 0) that are looked at.
    made
        Folders whose files need not be there yet.

    Raises
    ------
    StorageError
        A folder cannot be listed.
    """
    found = list(_find_images(places, table, rows))
    missing = [i for i in found if i.size is None and not _is_below(i.url, made)]
    empty = [image for image in found if image.size == 0]
    if missing:
        yield _finding(rules.IMAGE_MISSING, missing, "is not there", _cure(missing[0]))
    if empty:
        yield _finding(rules.IMAGE_EMPTY, empty, "is empty (0 bytes)", _cure(empty[0]))
    yield from _short(found)


def _is_below(url: str, folders: Sequence[str]) -> bool:
    return any(url.startswith(f"{folder}/") for folder in folders)


def _find_images(places: Places, table: Table, rows: Iterable[int]) -> Iterator[_Image]:
    locate: Callable[[str], str] = cache(places.locate)
    sizes: Callable[[str], dict[str, int]] = cache(places.images.sizes)
    for row in rows:
        for image in filter(attrgetter("name"), image_files(table, row)):
            folder = locate(image.folder)
            yield _Image(
                table.where(row, image.column),
                f"{folder}/{image.name}",
                image.column,
                sizes(folder).get(image.name),
            )


def _finding(rule: rules.Rule, images: list[_Image], what: str, cure: str) -> Finding:
    more = f" (and {len(images) - 1} files more)" if len(images) > 1 else ""
    return rule.found(images[0].where, f"{images[0].url} {what}{more}", cure)


def _cure(image: _Image) -> str:
    if image.column.startswith(("FileName_Illum", "URL_Illum")):
        return "run the illum step first"
    if "/images_projected/" in image.url:
        return "run the zproj step first"
    return "put it there or drop the row"


def _short(found: Iterable[_Image]) -> Iterator[Finding]:
    """Files that are smaller than those of their channel, which all have one size."""
    by_column: dict[str, list[_Image]] = defaultdict(list)
    for image in found:
        if image.size:
            by_column[image.column].append(image)
    for images in by_column.values():
        sizes = Counter(image.size for image in images)
        usual, count = sizes.most_common(1)[0]
        short = [i for i in images if i.size and usual and i.size < usual]
        if short and count >= _OF_ONE_SIZE * len(images):
            what = f"has {short[0].size} bytes, most of its channel {usual}"
            cure = "compare it with the microscope's, and copy it again"
            yield _finding(rules.IMAGE_SMALL, short, what, cure)
