"""TIFF files byte by byte, also such as no library would write."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS = 256, 257, 258, 259, 262, 273
DESCRIPTION, ORIENTATION, SAMPLES, ROWS, COUNTS, PLANAR = 270, 274, 277, 278, 279, 284
SOFTWARE, DATE, PREDICTOR, FORMAT, X, Y, UNIT = 305, 306, 317, 339, 282, 283, 296
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8, 16: 8}
CODES = {1: "B", 3: "H", 4: "I", 5: "2I", 11: "f", 12: "d", 16: "Q"}


@dataclass
class Tiff:
    """A TIFF file of one page; its tags can be replaced, added and left out."""

    values: Any
    order: str = "<"
    rows: int | None = None
    """Of a strip; of all rows by default."""
    tags: dict[int, tuple[int, Any] | None] = field(default_factory=dict)
    """By number: the type and the values, or the bytes of a text."""
    pages: int = 1
    pixels_first: bool = True
    gap: int = 0
    """Bytes between the strips."""

    def content(self) -> bytes:
        """The whole file."""
        start = 8 + (0 if self.pixels_first else 4000 * self.pages)
        places, pixels = self._strips(start)
        first = start + len(pixels) if self.pixels_first else 8
        directories = self._directories(first, places)
        mark = b"II*\0" if self.order == "<" else b"MM\0*"
        head = mark + struct.pack(self.order + "I", first)
        if self.pixels_first:
            return head + pixels + directories
        return head + directories.ljust(start - 8, b"\0") + pixels

    def _strips(self, start: int) -> tuple[list[tuple[int, int]], bytes]:
        rows, places, pixels = self.rows or len(self.values), [], b""
        for top in range(0, len(self.values), rows):
            strip = self.values[top : top + rows]
            stored = strip.astype(strip.dtype.newbyteorder(self.order)).tobytes()
            places.append((start + len(pixels), len(stored)))
            pixels += stored + bytes(self.gap)
        return places, pixels

    def _directories(self, first: int, places: list[tuple[int, int]]) -> bytes:
        height, width = self.values.shape[:2]
        offsets, counts = zip(*places, strict=True)
        tags: dict[int, tuple[int, Any] | None] = {
            WIDTH: (3, [width]),
            HEIGHT: (3, [height]),
            BITS: (3, [8 * self.values.dtype.itemsize]),
            COMPRESSION: (3, [1]),
            PHOTOMETRIC: (3, [1]),
            OFFSETS: (4, offsets),
            SAMPLES: (3, [1]),
            ROWS: (3, [self.rows or height]),
            COUNTS: (4, counts),
        }
        tags |= self.tags
        written = b""
        for page in range(self.pages):
            last = page == self.pages - 1
            written += self._directory(tags, first + len(written), last)
        return written

    def _directory(self, tags: Any, start: int, last: bool) -> bytes:
        entries = sorted((tag, value) for tag, value in tags.items() if value)
        beyond = start + 2 + 12 * len(entries) + 4
        head, tail = struct.pack(self.order + "H", len(entries)), b""
        for tag, (kind, values) in entries:
            stored = self._stored(kind, values)
            count = len(stored) // SIZES[kind]
            head += struct.pack(self.order + "HHI", tag, kind, count)
            if len(stored) <= 4:
                head += stored.ljust(4, b"\0")
            else:
                head += struct.pack(self.order + "I", beyond + len(tail))
                tail += stored
        after = 0 if last else beyond + len(tail)
        return head + struct.pack(self.order + "I", after) + tail

    def _stored(self, kind: int, values: Any) -> bytes:
        if isinstance(values, bytes):
            return values
        return struct.pack(self.order + CODES[kind][-1] * len(values), *values)


def ramp(height: int, width: int, bits: int = 16) -> Any:
    """Values that name their place."""
    values = np.arange(height * width) * (257 if bits == 16 else 1)
    return (values % 2**bits).reshape(height, width).astype(f"u{bits // 8}")


def changed(content: bytes, changes: Sequence[tuple[int, int]]) -> bytes:
    """A file of which some bytes are others."""
    mutable = bytearray(content)
    for place, byte in changes:
        mutable[place % len(mutable)] = byte
    return bytes(mutable)
