"""Pictures of all formats are read with their values, and no larger than needed."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFile

from cpengine.errors import InputError
from cpengine.results.montage.reading import fitted, read
from tests.results.montage.plates import tiff

GREY16 = (np.arange(64 * 48, dtype=np.uint16) * 20).reshape(48, 64)
COLOURS = np.stack([np.full((48, 64), value, np.uint8) for value in (9, 99, 199)], -1)


def saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def rgb_tiff(values: NDArray[Any], **more: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", **more)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        tiff(GREY16),
        tiff(GREY16, byteorder=">"),
        tiff(GREY16, compression="zlib", predictor=True),
        tiff(np.stack([GREY16, GREY16 // 2])),
        saved(Image.fromarray(GREY16), "TIFF", compression="tiff_lzw"),
        saved(Image.fromarray(GREY16), "PNG"),
    ],
    ids=["plain", "big-endian", "zlib", "stack", "lzw", "png"],
)
def test_16_bit_pictures_keep_their_values(data: bytes) -> None:
    image = read(data, "x", 10)
    assert image.dtype == np.uint16
    assert image.dtype.isnative
    assert np.array_equal(image, GREY16)


@pytest.mark.parametrize(
    "data",
    [
        rgb_tiff(COLOURS),
        rgb_tiff(np.moveaxis(COLOURS, -1, 0), planarconfig="separate"),
        saved(Image.fromarray(COLOURS), "TIFF", compression="tiff_lzw"),
        saved(Image.fromarray(COLOURS), "PNG"),
        saved(Image.fromarray(COLOURS).convert("RGBA"), "PNG"),
        saved(Image.fromarray(COLOURS).quantize(4), "PNG"),
    ],
    ids=["tiff", "planes", "lzw", "png", "alpha", "palette"],
)
def test_8_bit_colours_keep_their_values(data: bytes) -> None:
    image = read(data, "x", 10)
    assert image.dtype == np.uint8
    assert np.array_equal(image, COLOURS)


def test_masks_are_black_and_white() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:9] = True
    for data in (saved(Image.fromarray(mask), "PNG"), tiff(mask)):
        assert np.array_equal(read(data, "x", 10), mask * np.uint8(255))


def test_numbers_with_a_fraction_keep_it() -> None:
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    values[0, 0] = np.nan
    image = read(tiff(values), "x", 10)
    assert image.dtype == np.float32
    assert np.array_equal(image, np.nan_to_num(values))


def test_a_jpeg_is_read_reduced_but_not_below_what_is_needed() -> None:
    image = Image.fromarray(np.full((480, 640, 3), 120, np.uint8))
    assert read(saved(image, "JPEG"), "x", 150).shape == (120, 160, 3)
    assert read(saved(image, "JPEG"), "x", 1000).shape == (480, 640, 3)


def test_of_a_tiff_with_scales_the_smallest_that_is_enough_is_read() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        options = {"photometric": "minisblack", "tile": (64, 64)}
        whole = np.full((256, 512), 1, np.uint16)
        writer.write(whole, subifds=2, **options)
        writer.write(whole[::2, ::2] * 2, subfiletype=1, **options)
        writer.write(whole[::4, ::4] * 3, subfiletype=1, **options)
    found = [read(file.getvalue(), "x", pixels) for pixels in (100, 200, 300, 900)]
    assert [image.shape for image in found] == [
        (64, 128),
        (128, 256),
        (256, 512),
        (256, 512),
    ]
    assert [int(image.max()) for image in found] == [3, 2, 1, 1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        tiff(GREY16)[:900],
        saved(Image.fromarray(COLOURS), "PNG")[:70],
    ],
    ids=["empty", "text", "cut-tiff", "cut-png"],
)
def test_what_cannot_be_read_is_reported_in_one_line(data: bytes) -> None:
    with pytest.raises(
        InputError, match=r"^a/b\.png: cannot be read as a picture \(.+"
    ):
        read(data, "a/b.png", 10)


def test_a_tile_is_the_mean_of_its_pixels() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 65535, (400, 600), np.uint16)
    small = fitted(image, (6, 4))
    assert small.shape == (4, 6)
    assert small.dtype == np.uint16
    means = image.reshape(4, 100, 6, 100).mean((1, 3))
    assert np.abs(small - means).max() < 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_another_shape_is_put_in_the_middle_of_its_tile(dtype: type) -> None:
    image = np.full((100, 50), 7, dtype)
    tile = fitted(image, (40, 40))
    assert tile.dtype == dtype
    assert np.unique(tile[:, 10:30]).tolist() == [7]
    assert not tile[:, :10].any()
    assert not tile[:, 30:].any()


@pytest.mark.parametrize(
    "data",
    [
        tiff(GREY16, compression="zlib"),
        tiff(np.stack([GREY16] * 2).astype(np.uint8)),
        rgb_tiff(COLOURS[:32]),
        saved(Image.fromarray(GREY16), "TIFF", compression="tiff_lzw"),
        saved(Image.fromarray(GREY16), "PNG"),
        saved(Image.fromarray(GREY16.astype(np.float32)), "TIFF"),
        saved(Image.fromarray(COLOURS), "PNG"),
        saved(Image.fromarray(COLOURS), "JPEG"),
    ],
    ids=["zlib", "stack", "rgb", "lzw", "png16", "float", "png", "jpeg"],
)
def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(data, "x", 64, 4 * GREY16.nbytes).size
    for decoder in (Image.Image, ImageFile.ImageFile):
        monkeypatch.setattr(decoder, "load", None)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)
    with pytest.raises(InputError, match=r"^x: takes 0\.0 GB of memory when it is dec"):
        read(data, "x", 64, 32 * 48 * 3 - 1)
