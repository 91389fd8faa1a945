"""Draw Cell Painting fields of view, so that a plate can be had without a download.

A field is drawn in three passes: cells are placed (`_place_cells`), their outlines
become maps of height and distance (`_draw_shapes`), and each channel paints these maps
with its own stain. The microscope comes last: focus, illumination and camera.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Images: TypeAlias = NDArray[np.uint16]

CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")

PAD = 16  # drawn around the field and cut off: Fourier filters wrap around
REFERENCE_SIZE = 512  # cells per well are chosen for a field of this width
NUCLEUS_RADIUS = 17.0
CELL_RADIUS = 48.0
SPACING = 37.0  # nuclei may touch, but never lie on top of each other
WINDOW = 72  # a cell reaches no further than this from its nucleus

CAMERA_OFFSET = 180.0
READ_NOISE = 14.0
GAIN = 2.5  # grey levels a photon: sets the shot noise
BACKGROUND = 120.0
FOCUS_SIGMA = 0.9
DEFOCUS_SIGMA = 2.2  # more blur for each plane away from the middle one

# Bright spot (x, y as fractions of the field) and loss of light towards its far corner.
_ILLUMINATION = {
    "DNA": (0.45, 0.55, 0.45),
    "ER": (0.62, 0.40, 0.40),
    "RNA": (0.35, 0.38, 0.50),
    "AGP": (0.55, 0.68, 0.40),
    "Mito": (0.30, 0.60, 0.45),
}


def site_images(
    plate: str, well: str, site: int, *, size: int = 512, planes: int = 1
) -> dict[str, Images]:
    """The field of view as one (planes, size, size) stack for each channel."""
    if size < 128 or planes < 1:
        raise ValueError(f"size {size} is below 128 or planes {planes} below 1")
    rng = _rng("scene", plate, well, site)
    stains = _stains(rng, size + 2 * PAD, expected_cells(plate, well, site, size))
    camera = _rng("camera", plate, well, site)
    return {
        channel: _photograph(
            camera, stains[channel], illumination(channel, size), planes
        )
        for channel in CHANNELS
    }


def expected_cells(plate: str, well: str, site: int, size: int = 512) -> int:
    """How many nuclei lie wholly inside the field."""
    of_well = _rng("density", well).uniform(
        23, 42
    )  # the treatment: alike in replicates
    of_site = _rng("density", plate, well, site).uniform(-2.5, 2.5)
    return max(3, round((of_well + of_site) * (size / REFERENCE_SIZE) ** 2))


@lru_cache(maxsize=16)
def illumination(channel: str, size: int) -> Floats:
    """The light that reaches each pixel, 1 at the brightest; one for all plates."""
    x0, y0, loss = _ILLUMINATION[channel]
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    distance2 = (x - x0) ** 2 + (y - y0) ** 2
    light = 1 - loss * distance2 / distance2.max()
    field: Floats = (light / light.max()).astype(np.float32)
    field.flags.writeable = False  # cached: callers share it
    return field


def _rng(*key: object) -> np.random.Generator:
    """A generator that depends on the key alone, whatever was drawn before."""
    return np.random.default_rng(list("/".join(map(str, key)).encode()))


# --- placing cells -------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    x: float
    y: float
    angle: float
    nucleus: tuple[float, float]  # half axes
    outline: Floats  # radius at equally spaced angles
    nucleoli: Floats  # rows of x, y, radius from the centre
    golgi: Floats  # x, y, radius of the Golgi apparatus


def _place_cells(rng: np.random.Generator, width: int, count: int) -> list[_Cell]:
    """`count` cells whose nuclei are wholly inside, and some cut by the border."""
    inner = PAD + NUCLEUS_RADIUS + 4
    centres = _scatter(rng, np.empty((0, 2)), count, inner, width - inner)
    on_border = _on_border(rng, centres, width, round(np.sqrt(count)))
    return [_random_cell(rng, x, y) for x, y in np.vstack([centres, on_border])]


def _scatter(
    rng: np.random.Generator,
    taken: NDArray[np.float64],
    count: int,
    low: float,
    high: float,
) -> NDArray[np.float64]:
    """`count` points in a square, a spacing apart for as long as there is room."""
    points = taken
    spacing = SPACING
    while len(points) < len(taken) + count:
        candidates = rng.uniform(low, high, (200, 2))
        free = (p for p in candidates if _is_free(p, points, spacing))
        if (point := next(free, None)) is not None:
            points = np.vstack([points, point])
        else:
            spacing *= 0.9
    return points[len(taken) :]


def _on_border(
    rng: np.random.Generator, taken: NDArray[np.float64], width: int, tries: int
) -> NDArray[np.float64]:
    """Up to `tries` points whose nuclei the border of the field cuts in two."""
    points = np.empty((0, 2))
    for _ in range(tries):
        point = rng.uniform(PAD, width - PAD, 2)
        point[rng.integers(2)] = rng.choice([PAD, width - PAD])
        if _is_free(point, np.vstack([taken, points]), 1.3 * SPACING):
            points = np.vstack([points, point])
    return points


def _is_free(
    point: NDArray[np.float64], points: NDArray[np.float64], spacing: float
) -> bool:
    return bool((np.hypot(*(points - point).T) >= spacing).all())


def _random_cell(rng: np.random.Generator, x: float, y: float) -> _Cell:
    long = NUCLEUS_RADIUS * rng.uniform(0.78, 1.0)
    short = long * rng.uniform(0.72, 0.98)
    nucleoli = [
        (rng.uniform(-0.5, 0.5) * long, rng.uniform(-0.5, 0.5) * short, radius)
        for radius in rng.uniform(1.6, 3.0, rng.integers(2, 5))
    ]
    side = rng.uniform(0, 2 * np.pi)
    return _Cell(
        x=x,
        y=y,
        angle=rng.uniform(0, np.pi),
        nucleus=(long, short),
        outline=_random_outline(rng),
        nucleoli=np.array(nucleoli, np.float32),
        golgi=np.array([np.cos(side), np.sin(side), 0.4], np.float32) * 1.15 * long,
    )


def _random_outline(rng: np.random.Generator, angles: int = 256) -> Floats:
    """A radius for each angle: a stretched disc with lobes, like a spread-out cell."""
    theta = np.linspace(0, 2 * np.pi, angles, endpoint=False)
    shape = 1 + 0.22 * np.cos(2 * theta)
    for lobe in (3, 4, 5, 7):
        phase = rng.uniform(0, 2 * np.pi)
        shape += rng.normal(0, 0.14 / lobe**0.5) * np.cos(lobe * theta + phase)
    radius = CELL_RADIUS * rng.uniform(0.8, 1.08) * shape
    return np.clip(radius, 1.5 * NUCLEUS_RADIUS, WINDOW - 4).astype(np.float32)


# --- drawing shapes ------------------------------------------------------------------


@dataclass(frozen=True)
class _Shapes:
    """Maps that all stains are painted from."""

    height: Floats  # 0 at the cell's edge, 1 at its centre
    margin: Floats  # 0 where a cell ends or meets another one
    owner: NDArray[np.int16]  # index of the cell, -1 outside
    nucleus: Floats  # distance in pixels inside the nuclear envelope, negative outside
    nucleoli: Floats
    golgi: Floats


def _draw_shapes(cells: list[_Cell], width: int) -> _Shapes:
    height = np.zeros((width, width), np.float32)
    second = np.zeros_like(height)
    nucleus = np.full_like(height, -99)
    nucleoli = np.zeros_like(height)
    golgi = np.zeros_like(height)
    owner = np.full(height.shape, -1, np.int16)
    for index, cell in enumerate(cells):
        window, u, v = _window(cell, width)
        envelope = _ellipse_depth(u, v, cell.nucleus)
        # A nucleus belongs to its own cell, however close the neighbour is.
        own = _cell_height(cell, u, v) + np.clip(envelope, 0, 1)
        owner[window][own > height[window]] = index
        np.maximum(second[window], np.minimum(own, height[window]), out=second[window])
        np.maximum(height[window], own, out=height[window])
        np.maximum(nucleus[window], envelope, out=nucleus[window])
        np.maximum(golgi[window], _blob(u, v, cell.golgi), out=golgi[window])
        for nucleolus in cell.nucleoli:
            np.maximum(nucleoli[window], _blob(u, v, nucleolus), out=nucleoli[window])
    margin = height - second
    return _Shapes(np.minimum(height, 1), margin, owner, nucleus, nucleoli, golgi)


def _window(cell: _Cell, width: int) -> tuple[tuple[slice, slice], Floats, Floats]:
    """The part of the map a cell can reach, and its pixels in the cell's own axes."""
    rows = slice(max(0, int(cell.y) - WINDOW), min(width, int(cell.y) + WINDOW))
    cols = slice(max(0, int(cell.x) - WINDOW), min(width, int(cell.x) + WINDOW))
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - cell.y
    dx = np.arange(cols.start, cols.stop, dtype=np.float32)[None, :] - cell.x
    cos, sin = np.cos(cell.angle), np.sin(cell.angle)
    u = (dx * cos + dy * sin).astype(np.float32)
    v = (dy * cos - dx * sin).astype(np.float32)
    return (rows, cols), u, v


def _cell_height(cell: _Cell, u: Floats, v: Floats) -> Floats:
    turns = np.arctan2(v, u) * (len(cell.outline) / (2 * np.pi))
    radius = cell.outline[turns.astype(np.int16) % len(cell.outline)]
    return np.clip(1 - np.hypot(u, v) / radius, 0, None)


def _ellipse_depth(u: Floats, v: Floats, half_axes: tuple[float, float]) -> Floats:
    long, short = half_axes
    depth: Floats = (1 - np.hypot(u / long, v / short)) * short
    return depth


def _blob(u: Floats, v: Floats, xyr: Floats) -> Floats:
    x, y, radius = xyr
    blob: Floats = np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * radius**2))
    return blob


# --- painting stains -----------------------------------------------------------------


def _stains(rng: np.random.Generator, width: int, count: int) -> dict[str, Floats]:
    """Light from each stain, in grey levels, before the microscope sees it."""
    cells = _place_cells(rng, width, count)
    shapes = _draw_shapes(cells, width)
    brightness = _brightness(rng, shapes.owner, len(cells))
    inside = np.clip(shapes.height * 14, 0, 1)  # cells thin out towards their edge
    nucleus = np.clip(shapes.nucleus / 1.5 + 0.5, 0, 1)
    noise = _textures(rng, width)
    painted = {
        "DNA": _dna(shapes, nucleus, next(noise)),
        "ER": _er(shapes, nucleus, next(noise)),
        "RNA": _rna(shapes, nucleus, next(noise)),
        "AGP": _agp(shapes, nucleus, next(noise)),
        "Mito": _mito(shapes, nucleus, next(noise)),
    }
    return {
        channel: (inside * brightness[i] * np.clip(light, 0, None)).astype(np.float32)
        for i, (channel, light) in enumerate(painted.items())
    }


def _brightness(
    rng: np.random.Generator, owner: NDArray[np.int16], count: int
) -> Floats:
    """Some cells take up more of a stain than others: one map for each channel."""
    by_cell = np.exp(rng.normal(0, 0.16, (len(CHANNELS), count + 1)))
    return by_cell.astype(np.float32)[:, owner]


def _textures(rng: np.random.Generator, width: int) -> Iterator[Floats]:
    """Random fields of unit variance: chromatin, ER, RNA, actin, mitochondria."""
    for fine, coarse in ((1.6, 5), (1.3, 4), (1.2, 3), (1.5, 7), (1.7, 4.5)):
        white = rng.standard_normal((width, width), dtype=np.float32)
        field = _filter(white, _gaussian(width, fine) - _gaussian(width, coarse))
        yield field / field.std()


def _dna(shapes: _Shapes, nucleus: Floats, noise: Floats) -> Floats:
    dome = np.clip(shapes.nucleus / 6, 0, 1)
    holes = 1 - 0.35 * shapes.nucleoli
    chromatin = 1 + 0.13 * noise
    light: Floats = (
        250 * shapes.height + nucleus * (6500 + 3000 * dome) * chromatin * holes
    )
    return light


def _er(shapes: _Shapes, nucleus: Floats, noise: Floats) -> Floats:
    reticulum = 0.75 + 0.5 * np.exp(-((noise / 0.5) ** 2))
    envelope = np.exp(-((shapes.nucleus / 2) ** 2))
    spread = 0.12 + shapes.height**1.1
    light: Floats = 6500 * spread * reticulum * (1 - 0.72 * nucleus) + 1500 * envelope
    return light


def _rna(shapes: _Shapes, nucleus: Floats, noise: Floats) -> Floats:
    cytoplasm = (0.18 + shapes.height) * (1 + 0.16 * noise) * (1 - 0.45 * nucleus)
    light: Floats = 4200 * cytoplasm + nucleus * (700 + 7500 * shapes.nucleoli)
    return light


def _agp(shapes: _Shapes, nucleus: Floats, noise: Floats) -> Floats:
    membrane = np.exp(-((shapes.margin / 0.06) ** 2)) * (1 + 0.3 * noise)
    cortex = 0.35 + 0.5 * shapes.height + 0.12 * noise
    stacks = shapes.golgi * np.clip(0.7 + 0.7 * noise, 0.1, 2) * (1 - nucleus)
    light: Floats = (
        2600 * membrane + 2600 * cortex * (1 - 0.5 * nucleus) + 7000 * stacks
    )
    return light


def _mito(shapes: _Shapes, nucleus: Floats, noise: Floats) -> Floats:
    threads = np.exp(-((noise / 0.32) ** 2))  # the zero lines of a field meander
    density = np.clip(1.6 * shapes.height, 0, 1) ** 1.2
    light: Floats = (350 + 8500 * threads * density) * (1 - 0.88 * nucleus)
    return light


# --- the microscope ------------------------------------------------------------------


def _photograph(
    rng: np.random.Generator, light: Floats, field: Floats, planes: int
) -> Images:
    """Blur by distance from the focal plane, light the field unevenly, expose."""
    stack = np.empty((planes, *field.shape), np.uint16)
    for plane in range(planes):
        away = abs(plane - planes // 2)
        focused = _blur(light, FOCUS_SIGMA + DEFOCUS_SIGMA * away)[PAD:-PAD, PAD:-PAD]
        stack[plane] = _expose(rng, (focused + BACKGROUND) * field)
    return stack


def _expose(rng: np.random.Generator, light: Floats) -> Images:
    """Shot noise and read noise on the camera's offset, as 16-bit grey levels."""
    variance = GAIN * np.clip(light, 0, None) + READ_NOISE**2
    noise = rng.standard_normal(light.shape, dtype=np.float32) * np.sqrt(variance)
    counts = np.rint(CAMERA_OFFSET + light + noise)
    image: Images = np.clip(counts, 0, np.iinfo(np.uint16).max).astype(np.uint16)
    return image


def _blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur of a square image; it wraps around at the borders."""
    return _filter(image, _gaussian(len(image), sigma))


def _filter(image: Floats, transfer: Floats) -> Floats:
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, s=image.shape).astype(
        np.float32
    )


@lru_cache(maxsize=32)
def _gaussian(width: int, sigma: float) -> Floats:
    """The Fourier transform of a Gaussian, laid out as `rfft2` has it."""
    fy = np.fft.fftfreq(width)[:, None]
    fx = np.fft.rfftfreq(width)[None, :]
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (fx**2 + fy**2))
    return transfer.astype(np.float32)
