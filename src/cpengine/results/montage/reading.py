"""Read a picture from its bytes, no larger than is needed.

An array of a picture is (down, across) if it is grey and (down, across, 3) if it has
colours; uint8, uint16 or float32.
"""

import io
import math
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cpengine.errors import InputError
from cpengine.wording import gigabytes

Pixels = NDArray[Any]
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GREY = {"1": "L", "L": "L", "I": "F", "F": "F"}
_BYTES = {"I": 4, "F": 4}
"""Of a pixel's value, by Pillow's mode; 16 bits have modes of their own, others one."""


def read(data: bytes, shown: str, pixels: int, most_bytes: float = math.inf) -> Pixels:
    """Decode a picture; reduced if its format can, but not below `pixels` a side.

    Of a stack the first plane is taken.

    Parameters
    ----------
    most_bytes
        What is larger, by its header, is not decoded.

    Raises
    ------
    InputError
        No decoder can read it, or it is too large.
    """
    decode = _tiff if data[:4] in _TIFF else _any
    try:
        image = decode(data, pixels, most_bytes)
        if 0 in image.shape:
            raise ValueError("it has no pixels")
        return image
    except _TooLargeError as error:
        raise InputError(f"{shown}: {error}") from error
    except Exception as error:  # each decoder raises errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "it is of no known format"
        raise InputError(
            f"{shown}: cannot be read as a picture ({reason}): look whether it is whole"
        ) from error


class _TooLargeError(Exception):
    """A picture is larger than there is memory for."""


def _check_size(size: int, most_bytes: float) -> None:
    if size > most_bytes:
        raise _TooLargeError(
            f"takes {gigabytes(size)} of memory when it is decoded, and there is room "
            f"for {gigabytes(most_bytes)}: look whether it is a picture of a site, or "
            "free memory"
        )


def _tiff(data: bytes, pixels: int, most_bytes: float) -> Pixels:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            series = file.series[0]
            large = [level for level in series.levels if max(level.shape) >= pixels]
            level = large[-1] if large else series
            _check_size(math.prod(level.shape) * level.dtype.itemsize, most_bytes)
            return _plane(level.asarray(), level.axes)
    except (KeyError, ValueError) as error:
        if "imagecodecs" not in str(error):
            raise
        # LZW and JPEG, which tifffile does not decode alone
        return _any(data, pixels, most_bytes)


def _plane(image: Pixels, axes: str) -> Pixels:
    """One grey or coloured plane of a TIFF's array."""
    if axes.endswith("YXS"):
        image = image[(0,) * (image.ndim - 3)]
        return _typed(image[..., :3] if image.shape[-1] > 2 else image[..., 0])
    if axes.endswith("SYX"):  # a plane for each colour
        return _typed(np.moveaxis(image[(0,) * (image.ndim - 3)][:3], 0, -1))
    return _typed(image[(0,) * (image.ndim - 2)])


def _any(data: bytes, pixels: int, most_bytes: float) -> Pixels:
    with Image.open(io.BytesIO(data)) as file:
        part = min(1, pixels / max(file.size))
        enough = round(file.width * part), round(file.height * part)
        file.draft(None, enough)  # JPEG alone can; others ignore it
        mode = file.mode
        wide = 2 if mode.startswith("I;16") else _BYTES.get(mode, 1)
        across, down = file.size
        _check_size(across * down * len(file.getbands()) * wide, most_bytes)
        if mode.startswith("I;16"):
            return _typed(np.asarray(file))
        return _typed(np.asarray(file.convert(_GREY.get(mode, "RGB"))))


def _typed(image: Pixels) -> Pixels:
    """The array as one of the three types; 8 and 16 bits keep their values."""
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(image.dtype.newbyteorder("="), copy=False)
    return np.nan_to_num(image.astype(np.float32))


def fitted(image: Pixels, tile: tuple[int, int]) -> Pixels:
    """A picture scaled to a tile (across, down), with black around it if its shape is
    another.

    Each pixel is the mean of those that it stands for, so that no value is outside
    those of the picture.
    """
    down, across = image.shape[:2]
    scale = min(tile[0] / across, tile[1] / down)
    inner = (
        min(tile[0], max(1, round(across * scale))),
        min(tile[1], max(1, round(down * scale))),
    )
    scaled = image if inner == (across, down) else _scaled(image, inner)
    if inner == tile:
        return scaled
    whole = np.zeros((tile[1], tile[0], *image.shape[2:]), image.dtype)
    x, y = (tile[0] - inner[0]) // 2, (tile[1] - inner[1]) // 2
    whole[y : y + inner[1], x : x + inner[0]] = scaled
    return whole


def _scaled(image: Pixels, size: tuple[int, int]) -> Pixels:
    box = Image.Resampling.BOX
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size, box))
    planes = image[..., np.newaxis] if image.ndim == 2 else image
    scaled = [
        np.asarray(
            Image.fromarray(planes[..., n].astype(np.float32, order="C")).resize(
                size, box
            )
        )
        for n in range(planes.shape[-1])
    ]
    values = scaled[0] if image.ndim == 2 else np.stack(scaled, axis=-1)
    if image.dtype == np.uint16:
        values = np.rint(values)
    return values.astype(image.dtype)
