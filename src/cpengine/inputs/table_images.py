"""Where the images of a LoadData table are, and the columns that say so.

Source: `cellprofiler_core/modules/loaddata.py` 4.2.8.
"""

import ntpath
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from cpengine.storage.roots import without_file_scheme

if TYPE_CHECKING:
    from cpengine.inputs.loaddata import Table

FILE, PATH, URL = "FileName_", "PathName_", "URL_"
PAGES = ("Series_", "Frame_")
"""How the names of columns begin that say which image of a file is meant."""
_OBJECTS = "Objects"
IMAGE_PREFIXES = tuple(o + kind for o in ("", _OBJECTS) for kind in (FILE, PATH, URL))
"""How the names of columns begin that say where an image is."""
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_WHOLE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\|[A-Za-z][\w+.-]*:/")


@dataclass(frozen=True, slots=True)
class ImageColumns:
    """The columns that say where one image is."""

    file: str | None
    path: str | None
    url: str | None


@lru_cache(maxsize=8)  # each job asks for those of its plate
def image_columns(
    header: tuple[str, ...],
) -> tuple[dict[str, ImageColumns], dict[str, ImageColumns]]:
    """The columns of each image that is loaded, and of each that is read as objects."""
    found: dict[str, dict[str, dict[str, str]]] = {"": {}, _OBJECTS: {}}
    for name in header:
        kind = _OBJECTS if name.startswith(_OBJECTS) else ""
        for start in (FILE, PATH, URL):
            if name.startswith(kind + start):
                image = name.removeprefix(kind + start)
                found[kind].setdefault(image, defaultdict(str))[start] = name
    images, objects = (
        {
            image: ImageColumns(c.get(FILE), c.get(PATH), c.get(URL))
            for image, c in found[kind].items()
        }
        for kind in ("", _OBJECTS)
    )
    return images, objects


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where a table says that one image of a row is."""

    column: str
    """The column that says so."""
    folder: str
    name: str
    """Empty where the row has no such image."""


def image_files(table: "Table", row: int) -> Iterator[ImageFile]:
    """Give each image of a row, from where LoadData opens it."""
    for image in table.image_columns:
        if image.url or image.file:
            yield image_file(table, row, image)


def image_file(table: "Table", row: int, image: ImageColumns) -> ImageFile:
    """One image of a row: its URL if it has one.

    A file's name may lead into other folders, so it is split after it is joined.
    """
    values, index = table.rows[row], table.index
    if image.url:
        place = without_file_scheme(values[index[image.url]])
        return ImageFile(image.url, *_split(place))
    path = values[index[image.path]] if image.path else ""
    name = values[index[image.file]] if image.file else ""
    # An address is none in the name of a file, but a folder called `file:`.
    is_address = ":/" in name and not _WINDOWS.match(name)
    join = posixpath.join if is_address else in_base
    place = join(in_base(table.base, path), name)
    return ImageFile(image.file or "", *_split(place))


def _split(place: str) -> tuple[str, str]:
    """The folder and the name of a file, of Windows, too."""
    split = ntpath.split if _WINDOWS.match(place) else posixpath.split
    return split(place)


def in_base(base: str, place: str) -> str:
    """A place that may be relative to a folder."""
    return place if is_whole(place) else posixpath.join(base, place)


def is_whole(place: str) -> bool:
    """Whether a place is not relative: on this system or Windows, or an address."""
    return _WHOLE.match(place) is not None


def with_urls(table: "Table", paths: Mapping[int, Sequence[str]]) -> "Table":
    """Give the table with the local files that LoadData shall open for some rows.

    LoadData opens the `URL_` column and measures `PathName_` and `FileName_` as they
    stand, so results go on naming the place that the table names. Rows and their order
    stay, so image numbers do too.

    Parameters
    ----------
    paths
        By row, the local path of each image, in the order of `image_files`.
    """
    named = _columns_of_urls(table) | _folders_in_base(table)
    urls = [
        image.url or (image.file or "").replace(FILE, URL, 1)
        for image in table.image_columns
    ]
    replaced = {*named, *urls}
    remaining = [i for i, name in enumerate(table.header) if name not in replaced]
    return replace(
        table,
        header=(*(table.header[i] for i in remaining), *named, *urls),
        rows=tuple(
            (
                *(row[i] for i in remaining),
                *(values[number] for values in named.values()),
                *_urls(paths.get(number), len(urls)),
            )
            for number, row in enumerate(table.rows)
        ),
    )


def _columns_of_urls(table: "Table") -> dict[str, list[str]]:
    """The columns that LoadData itself makes of a URL that stands alone."""
    found: dict[str, list[str]] = {}
    for image in table.image_columns:
        if image.url and not image.file and not image.path:
            folders, names = zip(
                *map(posixpath.split, table.column(image.url)), strict=True
            )
            found[image.url.replace(URL, PATH, 1)] = list(folders)
            found[image.url.replace(URL, FILE, 1)] = list(names)
    return found


def _folders_in_base(table: "Table") -> dict[str, list[str]]:
    """The folders that LoadData measures, where it takes them from its base."""
    found: dict[str, list[str]] = {}
    for image in table.image_columns:
        if image.file and not image.url and (table.base or not image.path):
            name = image.path or image.file.replace(FILE, PATH, 1)
            found[name] = (
                [in_base(table.base, place) for place in table.column(image.path)]
                if image.path
                else [table.base] * len(table.rows)
            )
    return found


def _urls(paths: Sequence[str] | None, count: int) -> list[str]:
    """Addresses as LoadData writes them; of rows that it leaves out, none."""
    if not paths:
        return [""] * count
    return [f"file:{quote(path)}" if path else "" for path in paths]
