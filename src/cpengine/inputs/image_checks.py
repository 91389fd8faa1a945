"""Whether the images of a step are there, from one listing a folder."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter

from cpengine import rules
from cpengine.inputs import missing_images
from cpengine.inputs.loaddata import Table
from cpengine.inputs.missing_images import Image, cure, of_all
from cpengine.inputs.table_images import image_files
from cpengine.rules import Finding
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage

_OF_ONE_SIZE = 0.9
"""Where so large a part of a channel's files has one size, they are not compressed."""


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
    yield from missing_images.findings(places, missing)
    if folders:
        what_to_do = f"remove it, then {cure(folders[0])}"
        yield of_all(rules.IMAGE_MISSING, folders, "is a folder, no file", what_to_do)
    if empty:
        yield of_all(rules.IMAGE_EMPTY, empty, "is empty (0 bytes)", cure(empty[0]))
    yield from _short(found)


def _is_folder(images: Storage, url: str) -> bool:
    """Whether a folder lies where a file should be, be it still to be made."""
    return images.is_local(url) and images.path(url).is_dir()


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


def _short(found: Iterable[Image]) -> Iterator[Finding]:
    """Files that are smaller than those of their channel, which all have one size."""
    by_column: dict[str, list[Image]] = defaultdict(list)
    for image in found:
        if image.size:
            by_column[image.column].append(image)
    for images in by_column.values():
        sizes = Counter(image.size for image in images)
        usual, count = sizes.most_common(1)[0]
        short = [i for i in images if i.size and usual and i.size < usual]
        if short and count >= _OF_ONE_SIZE * len(images):
            what = f"has {short[0].size} bytes, most of its channel {usual}"
            what_to_do = "compare it with the microscope's, and copy it again"
            yield of_all(rules.IMAGE_SMALL, short, what, what_to_do)
