"""Plain TIFF files are read, and hashed, without Bio-Formats.

CellProfiler opens a Bio-Formats reader in Java for each image file, and another one to
cache its MD5 digest: about 0.1 CPU seconds a file, most of it for metadata that nobody
asks for and for Java's garbage collection as readers are closed.

Ours answers only for a file of which Bio-Formats' TIFF reader gives the stored values
as they are: one page of 8 or 16 bits, black is zero, one sample a pixel, uncompressed
strips that are complete, and no other tag than those of `_TAGS`. That is Bio-Formats
5.7.1, which is in prokaryote 2.4.4:

- the first class that accepts a name is taken without opening the file, so that a name
  that ends with .tif or .tiff goes to TiffDelegateReader whatever the content is, but
  for three readers that come before it and search Java's own working directory
- that one parses the tags (any value of another type or tag may raise an error), reads
  an ImageJ comment and a tag MaxSampleValue, which change planes and scale, and copies
  strips where nothing is compressed, inverted or of another byte count

What follows is `bioformats.formatreader.ImageReader.read`, expression by expression.
Anything else, anything doubtful, any error: CellProfiler's own function decides. A
reader that is open for the same address is asked again, as it is by CellProfiler, and
the reader that would be closed for this one is closed.

A reader stays open, and sees what a file was when it was opened. So a file that is
written between two of its uses in a run, by a module that saves images for instance, is
an error of ours: the job is run again with Bio-Formats.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import struct
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.request import url2pathname

import javabridge
import numpy
from bioformats import formatreader
from cellprofiler_core.image import Image

from .acceleration import Acceleration

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_FILE = 64 * 1024 * 1024
"""Of a larger one Java may have no memory for the copies that it makes."""
_LONGEST_TEXT = 10_000

_NAME = re.compile(r"/{0,2}(/[\w .,+=@~()%#&'-]+)+\.tiff?", re.ASCII | re.IGNORECASE)
"""Paths whose bytes are the same in each encoding, and which are no web address."""

_WIDTH, _HEIGHT, _BITS, _DESCRIPTION = 256, 257, 258, 270
_OFFSETS, _ROWS, _COUNTS = 273, 278, 279


class NotPlainError(Exception):
    """A file that Bio-Formats has to read."""


class ChangedFileError(Exception):
    """A file that is not what it was when this run read it first."""


_seen: dict[str, tuple[int, int]] = {}
"""Files of this run, as they were when they were read first: size and time."""


def _is(*allowed: int) -> Callable[[Any], bool]:
    return lambda values: len(values) == 1 and values[0] in allowed


def _is_size(values: Any) -> bool:
    return len(values) == 1 and 0 < values[0] < 2**31


def _is_positive(values: Any) -> bool:
    return len(values) == 1 and values[0] > 0  # 2**32 - 1 is one strip of all rows


def _are_numbers(values: Any) -> bool:
    return len(values) > 0


def _is_ratio(values: Any) -> bool:
    return len(values) == 2 and min(values) > 0


def _is_text(values: Any) -> bool:
    """Whether a text has no meaning for Bio-Formats, nor bytes that it may not know."""
    text = values[0]
    return (
        len(text) <= _LONGEST_TEXT
        and text[-1:] == b"\0"
        and re.fullmatch(rb"[\t\r\n -~]*", text[:-1]) is not None
        and re.search(rb"ImageJ|OME|unit=|SampleValue", text) is None
    )


def _is_date(values: Any) -> bool:
    try:
        datetime.strptime(values[0].decode("ascii"), "%Y:%m:%d %H:%M:%S\0")
    except ValueError:
        return False
    return True


_SHORT, _INTEGER, _TEXT, _RATIO = (3,), (3, 4), (2,), (5,)
_TAGS = {
    254: ((4,), _is(0)),  # NewSubfileType
    _WIDTH: (_INTEGER, _is_size),
    _HEIGHT: (_INTEGER, _is_size),
    _BITS: (_SHORT, _is(8, 16)),
    259: (_SHORT, _is(1)),  # Compression
    262: (_SHORT, _is(1)),  # PhotometricInterpretation
    _DESCRIPTION: (_TEXT, _is_text),
    _OFFSETS: (_INTEGER, _are_numbers),
    274: (_SHORT, _is(1)),  # Orientation
    277: (_SHORT, _is(1)),  # SamplesPerPixel
    _ROWS: (_INTEGER, _is_positive),
    _COUNTS: (_INTEGER, _are_numbers),
    282: (_RATIO, _is_ratio),  # XResolution
    283: (_RATIO, _is_ratio),  # YResolution
    284: (_SHORT, _is(1)),  # PlanarConfiguration
    296: (_SHORT, _is(1, 2, 3)),  # ResolutionUnit
    305: (_TEXT, _is_text),  # Software
    306: (_TEXT, _is_date),  # DateTime
    339: (_SHORT, _is(1)),  # SampleFormat
}
"""What a page may have: the types of a tag's value, and whether a value is harmless."""
_REQUIRED = {_WIDTH, _HEIGHT, _BITS, 259, 262, _OFFSETS, _COUNTS}
_FORMATS = {3: ("H", 2), 4: ("I", 4), 5: ("2I", 8)}


def _need(condition: bool) -> None:
    if not condition:
        raise NotPlainError


def _value(content: bytes, order: str, entry: int) -> tuple[int, Any]:
    """The tag of a directory's entry and its values; of a text, its bytes."""
    tag, kind, count = struct.unpack_from(order + "HHI", content, entry)
    _need(tag in _TAGS and kind in _TAGS[tag][0] and 0 < count < len(content))
    size = count * (1 if kind == 2 else _FORMATS[kind][1])
    place = entry + 8
    if size > 4:
        (place,) = struct.unpack_from(order + "I", content, place)
    _need(place >= 8 and place + size <= len(content))
    if kind == 2:
        return tag, (content[place : place + size],)
    numbers = order + _FORMATS[kind][0] * count
    return tag, struct.unpack_from(numbers, content, place)


def _page(content: bytes) -> tuple[str, dict[int, Any]]:
    """The byte order and the tags of a file's only page."""
    _need(content[:4] in (b"II*\0", b"MM\0*"))
    order = "<" if content[:1] == b"I" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    end = start + 2 + 12 * count
    _need(start >= 8 and end + 4 <= len(content))
    _need(content[end : end + 4] == bytes(4))
    entries = [_value(content, order, start + 2 + 12 * i) for i in range(count)]
    page = dict(entries)
    _need(len(page) == count and page.keys() >= _REQUIRED)
    _need(all(_TAGS[tag][1](values) for tag, values in entries))
    return order, page


def _strips(page: dict[int, Any], size: int) -> list[slice]:
    """Where the strips are: complete, as long as their rows, in the file."""
    (width,), (height,), (bits,) = page[_WIDTH], page[_HEIGHT], page[_BITS]
    rows = min(page.get(_ROWS, (height,))[0], height)
    last = height % rows or rows
    number = (height + rows - 1) // rows
    row = width * bits // 8
    offsets, counts = page[_OFFSETS], page[_COUNTS]
    _need(len(offsets) == len(counts) == number)
    _need(counts == (rows * row,) * (number - 1) + (last * row,))
    strips = [slice(o, o + n) for o, n in zip(offsets, counts)]
    _need(all(strip.start >= 8 and strip.stop <= size for strip in strips))
    return strips


def pixels(content: bytes) -> Any:
    """The values that a file stores, in its own byte order.

    Raises NotPlainError, struct.error or ValueError where Bio-Formats has to read it.
    """
    order, page = _page(content)
    strips = _strips(page, len(content))
    stored = b"".join(content[strip] for strip in strips)
    depth = page[_BITS][0] // 8
    array = numpy.frombuffer(stored, numpy.uint8 if depth == 1 else order + "u2")
    return array.reshape(page[_HEIGHT][0], page[_WIDTH][0])


@functools.lru_cache(maxsize=1)
def _java_folder() -> str:
    """Java's working directory, which cannot change."""
    return javabridge.static_call(
        "java/lang/System",
        "getProperty",
        "(Ljava/lang/String;)Ljava/lang/String;",
        "user.dir",
    )


def _another_reader_takes(name: str) -> bool:
    """Whether one of the readers before TIFF's finds what it takes any name for."""
    folder = _java_folder()
    above = os.path.dirname(folder)
    indexes = ("MeasurementIndex.ColumbusIDX.xml", "MeasurementResult.xml")
    files = [os.path.join(f, index) for f in (folder, above) for index in indexes]
    files.append(os.path.join(folder, name[: name.rindex(".")] + ".pst"))
    return any(os.path.exists(file) for file in files)


def _cache(name: str) -> Any:
    """Bio-Formats' readers by path and address, or these by key."""
    return vars(formatreader)["__image_reader_" + name]


def _file_of(image: Any) -> str | None:
    """The path of an image's file, where the TIFF reader would open it anew."""
    folder = image.get_pathname()
    if "CLASSPATH" in os.environ or not (folder and os.path.exists(folder)):
        return None  # an address would be asked for a copy, once
    url = image.get_url()
    if url[:5].lower() != "file:" or (None, url) in _cache("cache"):
        return None
    path = url2pathname(url[5:])
    if path != image.get_full_name() or not _NAME.fullmatch(path):
        return None
    return None if _another_reader_takes(os.path.basename(path)) else path


def _content(image: Any) -> bytes:
    """An image's file.

    Raises NotPlainError where the reader is another, ChangedFileError, or OSError.
    """
    path = _file_of(image)
    _need(path is not None and os.path.isfile(path))
    with open(str(path), "rb") as file:
        there = os.stat(file.fileno())
        now = there.st_size, there.st_mtime_ns
        if _seen.setdefault(str(path), now) != now:
            raise ChangedFileError("a file was written between two uses in this job")
        content = file.read(LARGEST_FILE + 1)
    _need(len(content) <= LARGEST_FILE)
    return content


def _close_another(key: Any) -> None:
    """Close the reader whose place under a key the one for this file would take."""
    if key in _cache("key_cache"):
        formatreader.release_image_reader(key)


def _first(number: Any) -> bool:
    """Whether the first plane, series or channel is asked for."""
    return number is None or (isinstance(number, (int, numpy.integer)) and number == 0)


def set_image(original: Callable[..., Any], image: Any) -> Any:
    """Read an image of a file."""
    try:
        planes = (image.index, image.series, image.channel)
        _need(not image._FileImage__volume and all(map(_first, planes)))
        values = pixels(_content(image))
        _close_another(image.get_name())
    except ChangedFileError:
        raise
    except Exception:  # whatever it is: Bio-Formats decides
        return original(image)
    scale = 255 if values.dtype == numpy.uint8 else 65535
    if isinstance(image.rescale, bool) and image.rescale:
        values = values.astype(numpy.float32) / float(scale)
    if isinstance(image.rescale, float):
        values = values.astype(numpy.float32) / image.rescale
    image.scale = scale
    image._FileImage__image = Image(
        values,
        path_name=image.get_pathname(),
        file_name=image.get_filename(),
        scale=scale,
        channelstack=False,
    )
    return None


def get_md5_hash(original: Callable[..., Any], image: Any, measurements: Any) -> str:
    """The MD5 digest of an image's file."""
    try:
        content = _content(image)
        pixels(content)
        _close_another(None)
    except ChangedFileError:
        raise
    except Exception:  # whatever it is: Bio-Formats decides
        return original(image, measurements)
    return hashlib.md5(content).hexdigest()


def _self_test() -> None:
    """A small file's values and digest; Java is not asked, for it may be absent."""
    entries = [
        *((256, 3, 1, 3), (257, 3, 1, 2), (258, 3, 1, 16), (259, 3, 1, 1)),
        *((262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 12)),
    ]
    stored = numpy.arange(6, dtype="<u2").reshape(2, 3) * 9999
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    content = struct.pack("<4sI", b"II*\0", 20) + stored.tobytes()
    content += struct.pack("<H", len(entries)) + directory + bytes(4)
    assert (pixels(content) == stored).all()
    for end in range(len(content)):
        try:
            pixels(content[:end])
        except (NotPlainError, struct.error):
            continue
        raise AssertionError("a file without its end was read")


_FILE_IMAGE = "cellprofiler_core.image.abstract_image.file._file_image:FileImage"
_URL_IMAGE = "cellprofiler_core.image.abstract_image.file.url._url_image:URLImage"

ACCELERATION = Acceleration(
    name="plain_tiff",
    begin=_seen.clear,
    replaces={
        _FILE_IMAGE + "._FileImage__set_image": set_image,
        _FILE_IMAGE + ".get_md5_hash": get_md5_hash,
    },
    sources={
        _FILE_IMAGE: "48822674c5b3f4c7e2eeb44bf3dfd84c6d94fb3ef7745912cbf299abd5ca3a56",
        _URL_IMAGE: "870f4d46ec271a8964fc9fe5948fd89cbf0747adf978ba67b25323b0dd10a7c8",
        "bioformats.formatreader:ImageReader": (
            "69341a7e6af6b13b0771492ceedf190f8371c8a5a3de9ec3652856a30fcaf296"
        ),
        "bioformats.formatreader:get_class_list": (
            "e0ae92f1c8ffff15687b4c8a44c9eb2b52674223556c6d9ffcbcff0fa68ee0ec"
        ),
        "bioformats.formatreader:get_image_reader": (
            "8b9d28e69a13b4cea185ee904f349c9dd13e948f7740dea45a430da62168d8bf"
        ),
        "bioformats.formatreader:release_image_reader": (
            "f39f651d7e6562dc7c3f2eef94385fa477bf852f851b6b6f3ab96698915fb34a"
        ),
        "cellprofiler_core.image._image:Image.set_image": (
            "63b18f088b1f21a850791eaf221799197c066e7e40c2ebba148ca2a8d6770c2a"
        ),
        "cellprofiler_core.utilities.java:get_jars": (
            "e829d76dd7f00b8c9b9d0f6d952c6cef2e64daa3d5f0b9b4a64e8c298d2fa878"
        ),
        "cellprofiler_core.utilities.java:start_java": (
            "4590cbe97c57ff0e6ec6e9aaf5f5392d528c117619e2c0e6d611a3eb978fab49"
        ),
    },
    versions={
        "numpy": "1.24.4",
        "prokaryote": "2.4.4",
        "python-bioformats": "4.1.0",
        "python-javabridge": "4.0.5",
    },
    self_test=_self_test,
)
