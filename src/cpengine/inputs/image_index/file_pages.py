"""Files of several pages whose names or index tell of one image each.

CellProfiler reads the first page of such a file, unless a table says which. So it is
asked what the pages are, wherever there are several.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from cpengine.errors import ConfigError
from cpengine.inputs.cut_images import full_size_pages, is_tiff, opened
from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    ImageProblem,
    IndexedImage,
    ProblemKind,
)
from cpengine.storage.store import Storage


class Pages(StrEnum):
    """What the pages of a file are."""

    FIRST = "first"
    """Nothing that is wanted, but for the first one."""
    PLANES = "planes"
    TIMEPOINTS = "timepoints"
    CHANNELS = "channels"


def split_pages(
    storage: Storage, top: str, images: Sequence[IndexedImage], pages: Pages
) -> list[IndexedImage]:
    """An image for each page of each file.

    Raises
    ------
    ConfigError
        The files are not on this machine: all are opened.
    """
    if pages is Pages.FIRST or _knows_pages(images):
        return list(images)
    if not storage.is_local(top):
        raise ConfigError(
            f"--pages {pages}: all files are opened for it: {top} is not on this "
            "machine: fetch it, or say --pages first"
        )
    channels = sorted({image.channel.label for image in images})
    if pages is Pages.CHANNELS and len(channels) > 1:
        raise ConfigError(
            f"--pages {pages}: names tell of channels already: {', '.join(channels)}"
        )
    paths = [
        posixpath.join(top, image.place) if image.there else "" for image in images
    ]
    return [
        _of_page(image, page, pages)
        for image, count in zip(images, map(_count, paths), strict=True)
        for page in range(count)
    ]


def several_pages(
    storage: Storage, top: str, images: Sequence[IndexedImage]
) -> Iterator[ImageProblem]:
    """A problem for each plate and channel whose first file has several pages.

    That file is opened where it is on this machine; none is in a bucket.
    """
    if _knows_pages(images) or not storage.is_local(top):
        return
    for image in _first_of_each(images):
        count = _count(posixpath.join(top, image.place))
        if count > 1:
            cause = (
                f"has {count} pages, and CellProfiler would read the first: say what "
                f"they are by --pages ({', '.join(Pages)})"
            )
            yield ImageProblem(ProblemKind.SEVERAL_PAGES, image.place, cause)


def _knows_pages(images: Iterable[IndexedImage]) -> bool:
    """Whether an index has said which page an image is."""
    return any(image.page for image in images)


def _first_of_each(images: Iterable[IndexedImage]) -> Iterable[IndexedImage]:
    """The first image that is there of each plate and channel."""
    found: dict[tuple[str, ImageChannel], IndexedImage] = {}
    for image in images:
        if image.there:
            found.setdefault((image.plate, image.channel), image)
    return found.values()


def _count(path: str) -> int:
    """How many pages a file has, without smaller copies; 1 of what is no TIFF."""
    if not is_tiff(path):
        return 1
    try:
        with opened(path) as tiff:
            return max(len(full_size_pages(tiff)), 1)
    except Exception:  # of many kinds where it is damaged, which is told elsewhere
        return 1


def _of_page(image: IndexedImage, page: int, pages: Pages) -> IndexedImage:
    match pages:
        case Pages.PLANES:
            return image._replace(page=page, plane=page + 1)
        case Pages.TIMEPOINTS:
            return image._replace(page=page, timepoint=page + 1)
        case _:
            return image._replace(page=page, channel=ImageChannel(str(page + 1)))
