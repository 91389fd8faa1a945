"""Which TIFFs end before their data, whatever writer made them."""

import random
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cpengine.inputs.cut_images import ends_early

GREY = np.random.default_rng(0).integers(0, 999, (256, 256), np.uint16)
RGB = np.random.default_rng(1).integers(0, 255, (256, 256, 3), np.uint8)
STRIP_BYTE_COUNTS = 279


def pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(GREY, subifds=1)
        tiff.write(GREY[::2, ::2], subfiletype=1)


def planar(path: Path) -> None:
    planes = RGB.transpose(2, 0, 1)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")


def overcounted(path: Path) -> None:
    """Some writers count more bytes in a strip than it has."""
    tifffile.imwrite(path, GREY)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at) == (STRIP_BYTE_COUNTS,):
            struct.pack_into("<I", data, at + 8, 2 * len(data))
    path.write_bytes(data)


def saved(image: Image.Image, compression: str) -> Callable[[Path], None]:
    return lambda path: image.save(path, "TIFF", compression=compression)


def made(pixels: object, **options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, pixels, **options)


def next_table(at: int) -> Callable[[Path], None]:
    """A TIFF of one page that names another one."""

    def write(path: Path) -> None:
        tifffile.imwrite(path, GREY, metadata=None)
        data = bytearray(path.read_bytes())
        (start,) = struct.unpack("<I", data[4:8])
        (count,) = struct.unpack_from("<H", data, start)
        struct.pack_into("<I", data, start + 2 + 12 * count, at or start)
        path.write_bytes(data)

    return write


def with_other_table(path: Path) -> None:
    """A TIFF whose second table has no image."""
    tifffile.imwrite(path, GREY, metadata=None)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, len(data))
    path.write_bytes(data + struct.pack("<HHHIII", 1, 65000, 4, 1, 7, 0))


SOUND = {
    "names a page that is none": next_table(10**8),
    "names itself": next_table(0),
    "with another table": with_other_table,
    "plain": made(GREY),
    "big-endian": made(GREY, byteorder=">"),
    "of more than 4 GB": made(GREY, bigtiff=True),
    "tiled": made(GREY[:250, :250], tile=(64, 64)),
    "tiled, compressed": made(GREY, tile=(64, 64), compression="zlib"),
    "in strips, compressed": made(GREY, rowsperstrip=7, compression="zlib"),
    "colour": made(RGB, photometric="rgb"),
    "colour in planes": planar,
    "with smaller copies": pyramid,
    "overcounted strips": overcounted,
    "LZW": saved(Image.fromarray(GREY), "tiff_lzw"),
    "PackBits": saved(Image.fromarray(GREY), "packbits"),
    "JPEG": saved(Image.fromarray(RGB), "jpeg"),
    "of a bit a pixel": saved(Image.fromarray(GREY > 500), "raw"),
    "fax": saved(Image.fromarray(GREY > 500), "group4"),
}

STACKS = {
    "a stack of ImageJ": made(np.stack([GREY] * 5), imagej=True),
    "several pages": made(np.stack([GREY] * 5), photometric="minisblack"),
    "OME": made(np.stack([GREY] * 2), ome=True, metadata={"axes": "CYX"}),
}
"""Cut where whole pages are gone, they name a page that is not there."""


@pytest.mark.parametrize("name", [*SOUND, *STACKS])
def test_a_sound_tiff_does_not_end_early(tmp_path: Path, name: str) -> None:
    (SOUND | STACKS)[name](path := tmp_path / "a.tif")
    assert not ends_early(path)
    path.write_bytes(path.read_bytes() + b"what others add")
    assert not ends_early(path)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        *product(SOUND, (0.7, 0.3, 0.01)),
        *product(STACKS, (0.9, 0.5, 0.1, 0.01)),
    ],
)
def test_a_tiff_that_is_cut_off_ends_early(
    tmp_path: Path, name: str, share: float
) -> None:
    (SOUND | STACKS)[name](path := tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[: max(int(path.stat().st_size * share), 4)])
    assert ends_early(path)


@pytest.mark.parametrize("data", [b"", b"II", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_tiff_does_not_end_early(tmp_path: Path, data: bytes) -> None:
    (path := tmp_path / "a.tif").write_bytes(data)
    assert not ends_early(path)
    assert not ends_early(tmp_path / "gone.tif")


def test_tables_that_make_no_sense_raise_nothing(tmp_path: Path) -> None:
    made(GREY)(path := tmp_path / "a.tif")
    data, draw = path.read_bytes(), random.Random(5)
    for _ in range(500):
        spoilt = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            spoilt[draw.randrange(4, 300)] = draw.randrange(256)
        path.write_bytes(spoilt)
        assert ends_early(path) in (True, False)


def test_nothing_is_printed(tmp_path: Path) -> None:
    """In a process of its own: pytest takes what is logged."""
    STACKS["several pages"](path := tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:200_000])
    code = (
        "import sys\n"
        "from cpengine.inputs.image_index import Pages, index_images\n"
        "from cpengine.storage.store import Storage\n"
        "for pages in (None, Pages.PLANES):\n"
        "    index_images(Storage('/'), sys.argv[1], pattern='{well}.tif', pages=pages)"
    )
    path.rename(tmp_path / "A01.tif")
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
