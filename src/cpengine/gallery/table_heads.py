"""The first rows of LoadData tables, held against the structure: a request a table."""

import csv
import io
import posixpath
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from cpengine import rules
from cpengine.errors import InputError
from cpengine.gallery.names import full_names
from cpengine.gallery.tree import IMAGES, GalleryBatch
from cpengine.inputs import loaddata, table_formats
from cpengine.inputs.table_images import URL, image_columns
from cpengine.plates import PLATE, SITE, WELL
from cpengine.rules import Finding
from cpengine.storage.store import Storage

BUCKET = "s3://cellpainting-gallery/"
_HEAD = 2**18
"""So many bytes of a table are read: some hundred rows."""
_GZIP_WINDOW = 31
_BEFORE = "Orig"
"""What the names of images begin with that get an illumination function."""


@dataclass(frozen=True)
class TableHead:
    """The columns of a table, and its first rows."""

    path: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, storage: Storage, key: str) -> "TableHead":
        """Read one. Raises InputError if that is not possible."""
        path = storage.url(key)
        whole = key.endswith(table_formats.PARQUET)
        data = storage.read(key) if whole else storage.head(key, _HEAD)
        if key.endswith(table_formats.GZIP):
            data = _first_unpacked(data, path)
        text = loaddata.decode(data if whole else _whole_lines(data), path)
        header, *rows = _rows(text, path)
        fit = tuple(tuple(row) for row in rows if len(row) == len(header))
        return cls(path, tuple(header), fit)

    @cached_property
    def channels(self) -> list[str]:
        """The channels that are to have an illumination function."""
        images, _ = image_columns(self.header)
        return [i.removeprefix(_BEFORE) for i in images if i.startswith(_BEFORE)]

    @cached_property
    def has_functions(self) -> bool:
        """Whether illumination functions are among its images."""
        return any(image.startswith("Illum") for image in image_columns(self.header)[0])

    def column(self, name: str) -> list[str]:
        """The first values of a column."""
        number = self.header.index(name)
        return [row[number] for row in self.rows]

    def addresses(self) -> Iterator[tuple[str, str]]:
        """The address of each image, each once, with its column."""
        for name in self.header:
            if name.startswith(URL):
                yield from ((name, place) for place in dict.fromkeys(self.column(name)))


def _first_unpacked(data: bytes, path: str) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(data, _HEAD)
    except zlib.error as error:
        cause = f"cannot be unpacked ({error})"
        finding = rules.GALLERY_TABLE_UNREADABLE.found(path, cause, "upload it again")
        raise InputError(finding) from error


def _rows(text: str, path: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text))) or [[]]
    except csv.Error as error:
        raise InputError(
            rules.CSV_QUOTES.found(path, f"is no CSV ({error})", "close the quotes")
        ) from error


def _whole_lines(data: bytes) -> bytes:
    """The lines of a table's first bytes, without one that is cut."""
    return data[: data.rfind(b"\n") + 1] if len(data) >= _HEAD else data


def of_head(head: TableHead, batch: GalleryBatch, plate: str) -> Iterator[Finding]:
    """What is wrong with the columns and first rows of a plate's table."""
    yield from _columns(head)
    yield from _addresses(head, batch, plate)
    others = {*head.column(PLATE)} - {plate, ""} if PLATE in head.header else set()
    if others:
        yield rules.GALLERY_TABLE_PLATE.found(
            f"{head.path}:{PLATE}",
            f"is {min(others)}, and its folder is {plate}",
            "correct one of the two",
        )


def _columns(head: TableHead) -> Iterator[Finding]:
    top = f"{head.path}:1"
    images, _ = image_columns(head.header)
    without = [name for name, columns in images.items() if not columns.url]
    if without or not images:
        named = f"has no URL_{without[0]}" if without else "has no URL_ column"
        yield rules.GALLERY_TABLE_URL.found(
            top, named, "write URL_ columns with addresses in the Gallery"
        )
    if WELL not in head.header:
        cure = "add it: all tables of the Gallery must have it"
        yield rules.GALLERY_TABLE_WELL.found(top, f"has no {WELL}", cure)
    for name in (PLATE, SITE):
        if name not in head.header:
            yield rules.GALLERY_TABLE_METADATA.found(top, f"has no {name}", "add it")
    stem = posixpath.basename(table_formats.csv_name(head.path))
    if stem == "load_data_with_illum.csv" and not head.has_functions:
        yield rules.GALLERY_TABLE_ILLUM.found(
            top, "names no illumination functions", "add URL_Illum columns"
        )


def _addresses(head: TableHead, batch: GalleryBatch, plate: str) -> Iterator[Finding]:
    """The first address outside of the Gallery, and the first of something else."""
    tree, places = batch.tree, list(head.addresses())
    outside = [pair for pair in places if not pair[1].startswith(BUCKET)]
    for column, place in outside[:1]:
        yield rules.GALLERY_TABLE_ADDRESS.found(
            f"{head.path}:{column}",
            f"{place!r} does not begin with {BUCKET}",
            "write the address that the file will have there",
        )
    own = posixpath.join(BUCKET, tree.project, tree.source, IMAGES, batch.name, "")
    inside = [pair for pair in places if pair not in outside]
    for column, place in inside:
        if not _is_of(place.removeprefix(own), batch, plate):
            yield rules.GALLERY_TABLE_ELSEWHERE.found(
                f"{head.path}:{column}",
                f"{place} is not below {own} in a folder of {plate}",
                "correct the address",
            )
            return


def _is_of(place: str, batch: GalleryBatch, plate: str) -> bool:
    """Whether a place below a batch's folder of images is of a plate.

    Below images that were made of raw ones, folders are named in any way.
    """
    kind, _, rest = place.partition("/")
    full = [plate, *full_names(plate, batch.full)]
    named = kind.startswith(f"{IMAGES}_") or rest.partition("/")[0] in full
    return kind in batch.kinds and named
