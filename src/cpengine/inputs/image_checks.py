"""Whether the images of a step are there, from one listing a folder."""

import os.path
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter

from cpengine import rules
from cpengine.inputs import missing_images
from cpengine.inputs.cut_images import cut_off
from cpengine.inputs.file_list import FileList
from cpengine.inputs.loaddata import Table
from cpengine.inputs.missing_images import (
    Image,
    cure_of_damage,
    cure_of_folder,
    of_all,
)
from cpengine.inputs.table_images import image_files
from cpengine.rules import Finding
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage

_LARGER = 0.1
"""Where most of a channel's files have one size, and at most so many, to these, are
larger, they are not compressed."""
_COMPRESSED = 20
"""No sound image compresses so many times better than the median of its channel."""


def findings(
    places: Places, table: Table, rows: Iterable[int], made: Sequence[str] = ()
) -> Iterator[Finding]:
    """A finding for missing files, for folders, for empty and for short ones.

    Parameters
    ----------
    rows
        The rows (from 0) that are looked at.
    made
        Keys of folders of the outputs whose files need not be there yet.

    Raises
    ------
    StorageError
        A folder cannot be listed.
    """
    found = list(_find_images(places, table, rows))
    absent = [image for image in found if image.size is None]
    urls = {image.url for image in absent}
    wrong = {url for url in urls if _is_folder(places.images, url)}
    folders = [image for image in absent if image.url in wrong]
    keys = ((i, places.key(i.folder)) for i in absent if i.url not in wrong)
    missing = [image for image, key in keys if not _is_below(key, made)]
    empty = [image for image in found if image.size == 0]
    if isinstance(table, FileList) and len(absent) + len(empty) < len(found):
        yield from _not_there([*absent, *empty])
        return
    yield from missing_images.findings(places, missing)
    if folders:
        what_to_do = cure_of_folder(folders[0])
        yield of_all(rules.IMAGE_MISSING, folders, "is a folder, no file", what_to_do)
    if empty:
        what_to_do = cure_of_damage(empty[0].column, empty[0].url)
        yield of_all(rules.IMAGE_EMPTY, empty, "is empty (0 bytes)", what_to_do)
    yield from _short(places.images, found)


def _not_there(images: Sequence[Image]) -> Iterator[Finding]:
    """Files that are listed in vain: only groups that need one of them fail."""
    if images:
        what_to_do = "put it there, or take it off the list"
        yield of_all(rules.FILE_LISTED, images, "is not there, or empty", what_to_do)


def _is_folder(images: Storage, url: str) -> bool:
    """Whether a folder lies where a file should be, be it still to be made."""
    return images.is_local(url) and os.path.isdir(images.path(url))


def _is_below(key: str, folders: Sequence[str]) -> bool:
    return any(f"{key}/".startswith(f"{folder}/") for folder in folders)


def _find_images(places: Places, table: Table, rows: Iterable[int]) -> Iterator[Image]:
    locate: Callable[[str], str] = cache(places.locate)
    sizes: Callable[[str], dict[str, int]] = cache(places.images.sizes)
    for row in rows:
        for image in filter(attrgetter("name"), image_files(table, row)):
            folder = locate(image.folder)
            yield Image(
                table.where(row, image.column),
                image.folder,
                image.name,
                f"{folder}/{image.name}",
                image.column,
                sizes(folder),
            )


def _short(storage: Storage, found: Iterable[Image]) -> Iterator[Finding]:
    """Files that are smaller than sound ones of their channel can be.

    Their sizes give them away; which of them are certainly cut off they say themselves.
    """
    by_column: dict[str, list[Image]] = defaultdict(list)
    for image in found:
        if image.size:
            by_column[image.column].append(image)
    for images in by_column.values():
        usual, least = usual_and_least([image.size or 0 for image in images])
        short = [image for image in images if (image.size or 0) < least]
        cut = cut_off(storage, (image.url for image in short))
        for rule, are_cut in ((rules.IMAGE_CUT, True), (rules.IMAGE_SMALL, False)):
            some = [image for image in short if (image.url in cut) is are_cut]
            if some:
                what = f"has {some[0].size} bytes, most of its channel {usual}"
                what_to_do = cure_of_damage(some[0].column, some[0].url)
                yield of_all(rule, some, what, what_to_do)


def usual_and_least(sizes: Sequence[int]) -> tuple[int, float]:
    """How many bytes images of a channel have, and a sound one at least."""
    size, count = Counter(sizes).most_common(1)[0]
    larger = sum(other > size for other in sizes)
    if 2 * count > len(sizes) and larger <= _LARGER * count:
        return size, size
    middle = statistics.median_high(sizes)
    return middle, middle / _COMPRESSED
