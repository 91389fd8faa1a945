"""MeasureGranularity: reconstructions by a queue, and means of objects only.

For each step of the spectrum, CellProfiler sorts twice all pixels to reconstruct the
eroded image, and makes an image of the original size of the result to take the means
of objects. Here the reconstruction spreads from pixel to pixel, and only pixels of
objects are resampled.

The result is the same. A reconstruction has one result whatever the way to it, as its
pixels are copies. Below the image it is also the reconstruction below the step before:
at each height, the parts that an eroded image marks are whole parts that the less
eroded image marked. Smallest and largest do not depend on the order either (there are
no NaN and no -0.0). Resampling has the same operations as scipy's, in the same order;
so have sums by object. Means of images, and masks, are made by the same functions of
numpy and scipy.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy
import scipy.ndimage
import skimage.morphology
from cellprofiler.modules.measuregranularity import MeasureGranularity
from cellprofiler_core.image import Image

from . import compiled
from .acceleration import Acceleration
from .kernel_calls import is_measurable
from .label_images import Labels, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_PIXELS = 2**30
"""Places are counted in 32 bits."""
_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64


def _call(name: str, *arguments: Any) -> None:
    """Call a kernel with arrays, structures and whole numbers."""
    kernel = compiled.library["cpengine_granularity_" + name]
    kernel.restype = None
    kernel(*map(_argument, arguments))


def _argument(value: Any) -> Any:
    if isinstance(value, numpy.ndarray):
        return _POINTER(compiled.pointer(value))
    if isinstance(value, ctypes.Structure):
        return ctypes.byref(value)
    return _INTEGER(value)


def _structure(name: str, *groups: tuple[Any, str]) -> Any:
    """A class of structures, its fields by type."""
    fields = [(field, kind) for kind, names in groups for field in names.split()]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


# --- resampling ----------------------------------------------------------------------

Axis = _structure(
    "Axis", (_POINTER, "low high low_weight high_weight"), (_INTEGER, "size")
)
"""`struct axis` of granularity.c; `_axis` makes it."""


def _axis(coordinates: Any, size: int) -> Any:
    """Where coordinates are on an axis: as scipy's map_coordinates of order 1.

    What is on the last item has a second one with the weight 0; what is outside has
    the weights 0, as scipy makes it 0.0.
    """
    low = numpy.floor(coordinates)
    low_weight = 1.0 - (coordinates - low)
    inside = (coordinates >= 0) & (coordinates <= size - 1)
    low = numpy.where(inside, low, 0).astype(numpy.int32)
    arrays = {
        "low": low,
        "high": numpy.minimum(low + 1, size - 1).astype(numpy.int32),
        "low_weight": numpy.where(inside, low_weight, 0.0),
        "high_weight": numpy.where(inside, 1.0 - low_weight, 0.0),
    }
    pointers = {name: compiled.pointer(array) for name, array in arrays.items()}
    axis = Axis(size=len(coordinates), **pointers)
    axis.arrays = arrays  # as long as it is there
    return axis


def _resample(pixels: Any, axes: tuple[Any, Any]) -> Any:
    """Pixels at the crossings of two axes."""
    result = numpy.empty([axis.size for axis in axes], pixels.dtype)
    _call(f"resample_{pixels.dtype}", pixels, pixels.shape[1], *axes, result)
    return result


def _count(length: float) -> int:
    """How many whole numbers numpy.mgrid gives up to a length that need not be one."""
    return math.ceil(length)


@dataclass(frozen=True)
class Scaling:
    """The shapes of an image's smaller copies, and the axes that lead to them.

    Shapes are CellProfiler's: lengths need not be whole numbers.
    """

    shape: tuple[int, int]
    new: Any
    """The shape in which the spectrum is measured."""
    back: Any
    """The shape in which the background is found."""
    subsample: float
    image_sample: float

    @property
    def divides(self) -> bool:
        """Whether the original can divide by all lengths less 1."""
        return all(length != 1 for length in (*self.shape, *self.new))

    def down(self, to: Any, factor: float, shape: tuple[int, ...]) -> Any:
        """The axes on which a smaller image has its pixels in a larger one."""
        return tuple(
            _axis(numpy.arange(_count(length)).astype(float) / factor, size)
            for length, size in zip(to, shape)
        )

    def up(self, to: Any, by: Any, shape: tuple[int, ...]) -> Any:
        """The axes on which a larger image has its pixels in a smaller one."""
        axes = []
        for length, other, size in zip(to, by, shape):
            coordinates = numpy.arange(_count(length)).astype(float)
            coordinates *= float(other - 1) / float(length - 1)
            axes.append(_axis(coordinates, size))
        return tuple(axes)


def _scaling(module: Any, shape: tuple[int, int]) -> Scaling:
    subsample, sample = module.subsample_size.value, module.image_sample_size.value
    new = numpy.array(shape)
    if subsample < 1:
        new = new * subsample
    back = new * sample if sample < 1 else new
    return Scaling(shape, new, back, subsample, sample)


def _grid(shape: Any, factor: float) -> Any:
    """The coordinates of `Scaling.down`, as scipy takes them."""
    return numpy.mgrid[0 : shape[0], 0 : shape[1]].astype(float) / factor


@functools.lru_cache(maxsize=4)
def _masks(
    shape: tuple[int, int], subsample: float, sample: float, bits: bytes
) -> tuple[Any, Any]:
    """The masks of the smaller image and of the one for the background.

    Channels of an image set mostly have the same mask, or none (no `bits`): it would
    be made anew for each, with splines.
    """
    mask = numpy.ones(shape, bool)
    if bits:
        packed = numpy.frombuffer(bits, numpy.uint8)
        mask = numpy.unpackbits(packed, count=mask.size).reshape(shape) != 0
    new = numpy.array(shape)
    if subsample < 1:
        new = new * subsample
        grid = _grid(new, subsample)
        mask = scipy.ndimage.map_coordinates(mask.astype(float), grid) > 0.9
    back = mask
    if sample < 1:
        grid = _grid(new * sample, sample)
        back = scipy.ndimage.map_coordinates(mask.astype(float), grid) > 0.9
    return mask, back


# --- background ----------------------------------------------------------------------


def _disk_extremes(pixels: Any, radius: int, extreme: Any) -> Any:
    """The extreme of the disk around each pixel; at edges images are mirrored.

    A disk is rows of pixels: extremes of rows of each width are made of narrower ones.
    """
    height, width = pixels.shape
    padded = numpy.pad(pixels, radius, mode="symmetric")
    disk = skimage.morphology.disk(radius, dtype=bool)
    halves = [int(row.sum()) // 2 for row in disk]
    rows = padded[:, radius : radius + width].copy()
    result = None
    for half in range(radius + 1):
        if half:
            for start in (radius - half, radius + half):
                extreme(rows, padded[:, start : start + width], out=rows)
        for y in [y for y, this in enumerate(halves) if this == half]:
            part = rows[y : y + height]
            result = part.copy() if result is None else extreme(result, part, result)
    return result


def _background(pixels: Any, mask: Any, radius: int) -> Any:
    """A greyscale opening with a disk, without masked pixels."""
    pixels = numpy.where(mask, pixels, pixels.dtype.type(0))
    pixels = _disk_extremes(pixels, radius, numpy.minimum)
    pixels = numpy.where(mask, pixels, pixels.dtype.type(0))
    return _disk_extremes(pixels, radius, numpy.maximum)


def _has_negative_zero(pixels: Any) -> bool:
    return bool(numpy.signbit(pixels[pixels == 0]).any())


# --- reconstruction ------------------------------------------------------------------

Reconstruction = _structure(
    "Reconstruction", (_INTEGER, "height width room"), (_POINTER, "queue queued")
)
"""`struct reconstruction` of granularity.c."""


class Spectrum:
    """An image that is eroded and reconstructed, again and again."""

    def __init__(self, pixels: Any, mask: Any) -> None:
        height, width = pixels.shape
        self._eroded = numpy.pad(pixels, 1, constant_values=numpy.inf)
        self._eroded[1:-1, 1:-1][~mask] = 0
        self._limit = numpy.pad(pixels, 1)
        self._next_eroded = self._eroded.copy()
        self._result = numpy.zeros_like(self._limit)
        self._queue = numpy.empty(height * width + 1, numpy.int32)
        self._queued = numpy.zeros(self._limit.size, numpy.uint8)
        pointers = map(compiled.pointer, (self._queue, self._queued))
        self._work = Reconstruction(height, width, self._queue.size, *pointers)

    def step(self) -> Any:
        """Erode by a pixel and reconstruct below the image; give that as float64.

        Masked pixels need not be made zero again: zeros stay so when they are eroded.
        """
        _call(
            f"step_{self._limit.dtype}",
            *(self._work, self._eroded, self._next_eroded, self._limit, self._result),
        )
        self._eroded, self._next_eroded = self._next_eroded, self._eroded
        self._limit, self._result = self._result, self._limit
        return self._limit[1:-1, 1:-1].astype(float)


# --- objects -------------------------------------------------------------------------

_RUN = numpy.dtype([("first", "i4"), ("end", "i4"), ("label", "i4")])


@dataclass(frozen=True)
class Runs:
    """Which pixels have which label: `struct run` of granularity.c, by rows."""

    labels: Labels
    bits: bytes
    runs: Any
    starts: Any
    counts: Any
    """How many pixels each label has, from label 1 on."""


_known: weakref.WeakKeyDictionary[Any, Runs] = weakref.WeakKeyDictionary()


def _runs_of(objects: Any, mask: Any, bits: bytes) -> Runs | None:
    """The runs of objects outside of which a mask is; None if they cannot be used."""
    labels = labels_of(objects)
    if labels is None or labels.image.shape != mask.shape or labels.image.min() < 0:
        return None
    known = _known.get(objects)
    if known is None or known.labels is not labels or known.bits != bits:
        image = numpy.where(mask, labels.image, 0) if bits else labels.image
        counts = numpy.bincount(image.ravel(), minlength=len(labels.boxes) + 1)[1:]
        known = _known[objects] = Runs(labels, bits, *_runs(image), counts)
    return known


def _runs(image: Any) -> tuple[Any, Any]:
    """The runs of an image of labels, and where those of each row start."""
    height, width = image.shape
    changes = numpy.ones((height, width + 1), bool)
    numpy.not_equal(image[:, 1:], image[:, :-1], out=changes[:, 1:-1])
    rows, columns = numpy.nonzero(changes)
    firsts = columns[:-1]
    is_run = firsts < width
    is_run[is_run] = image[rows[:-1][is_run], firsts[is_run]] > 0
    runs = numpy.empty(numpy.count_nonzero(is_run), _RUN)
    runs["first"], runs["end"] = firsts[is_run], columns[1:][is_run]
    rows = rows[:-1][is_run]
    runs["label"] = image[rows, runs["first"]]
    return runs, numpy.searchsorted(rows, numpy.arange(height + 1)).astype(numpy.int64)


class ObjectMeans:
    """The means of an object set's objects, step by step."""

    def __init__(self, name: str, runs: Runs, pixels: Any) -> None:
        self.name = name
        self.runs = runs
        self.sums = numpy.zeros(len(runs.counts) + 1)
        self._counts = runs.counts.astype(numpy.float64)
        height, width = pixels.shape
        _call("sums", pixels, height, width, runs.runs, runs.starts, self.sums)
        self._current = self.sums[1:] / self._counts
        self._start = numpy.maximum(self._current, numpy.finfo(float).eps)
        self.sums[:] = 0

    def granularity(self) -> Any:
        """What the means, of which `sums` holds the sums, have lost in this step."""
        new = self.sums[1:] / self._counts
        result = (self._current - new) * 100 / self._start
        self._current = new
        self.sums[:] = 0
        return result


Objects = _structure("Objects", (_INTEGER, "count"), (_POINTER, "runs starts sums"))
"""`struct objects` of granularity.c."""


class ResampledSums:
    """Sums by object of an image that is smaller than the label images."""

    def __init__(self, sets: list[ObjectMeans], axes: tuple[Any, Any]) -> None:
        self._axes = axes
        self._sets = [means for means in sets if len(means.runs.counts)]
        covered = numpy.zeros([axis.size for axis in axes], bool)
        for means in self._sets:
            covered |= means.runs.labels.image > 0
        runs, starts = _runs(covered.view(numpy.uint8))
        self._arrays = [
            [runs, *(means.runs.runs for means in self._sets)],
            [starts, *(means.runs.starts for means in self._sets)],
            [numpy.empty(0), *(means.sums for means in self._sets)],
        ]
        count = len(self._arrays[0])
        self._pointers = [
            (_POINTER * count)(*map(compiled.pointer, arrays))
            for arrays in self._arrays
        ]
        self._objects = Objects(count, *map(ctypes.addressof, self._pointers))

    def add(self, image: Any) -> None:
        """Add the resampled image to the sums."""
        if self._sets:
            width = image.shape[1]
            buffer = numpy.empty(2 * width + self._axes[1].size)
            arguments = (image, width, *self._axes, self._objects, buffer)
            _call("resampled_sums", *arguments)


# --- the module ----------------------------------------------------------------------


@dataclass(frozen=True)
class Inputs:
    """What is measured of an image."""

    pixels: Any
    bits: bytes
    """The image's mask, packed; empty where nothing is masked."""
    scaling: Scaling
    runs: list[tuple[str, Runs]]


def run_on_image_setting(
    original: Callable[..., Any], module: Any, workspace: Any, image_name: str
) -> Any:
    """Measure an image and its objects; give the image's name and texts."""
    prepared = None
    with contextlib.suppress(Exception):  # whatever it is, the original raises its own
        prepared = _prepare(module, workspace, image_name)
    if prepared is None:
        return original(module, workspace, image_name)
    inputs, pixels, mask = prepared
    wide = inputs.pixels.astype(float, order="C")
    sets = [ObjectMeans(name, runs, wide) for name, runs in inputs.runs]
    scaling = inputs.scaling
    axes = scaling.up(scaling.shape, scaling.new, pixels.shape)
    sums = ResampledSums(sets, axes)
    spectrum = Spectrum(pixels, mask)
    current = numpy.mean(pixels[mask])
    start = max(current, numpy.finfo(float).eps)
    statistics = [image_name]
    for i in range(1, module.granular_spectrum_length.value + 1):
        image = spectrum.step()
        previous, current = current, numpy.mean(image[mask])
        granularity = (previous - current) * 100 / start
        statistics.append(f"{granularity:.2f}")
        feature = module.granularity_feature(i, image_name)
        workspace.measurements.add_image_measurement(feature, granularity)
        sums.add(image)
        for means in sets:
            workspace.measurements.add_measurement(
                means.name, feature, means.granularity()
            )
    return statistics


def _prepare(module: Any, workspace: Any, image_name: str) -> Any:
    """The inputs, the image less its background, and the mask in its shape.

    None where the original has to measure it.
    """
    inputs = _inputs(module, workspace, image_name)
    if inputs is None:
        return None
    scaling = inputs.scaling
    mask, back_mask = _masks(
        scaling.shape, scaling.subsample, scaling.image_sample, inputs.bits
    )
    pixels = numpy.array(inputs.pixels, order="C")
    if scaling.subsample < 1:
        axes = scaling.down(scaling.new, scaling.subsample, scaling.shape)
        pixels = _resample(pixels, axes)
    back = pixels
    if scaling.image_sample < 1:
        axes = scaling.down(scaling.back, scaling.image_sample, pixels.shape)
        back = _resample(pixels, axes)
    radius = module.element_size.value
    # scipy mirrors an image wrongly where a disk is several times as large
    if (
        radius > min(back.shape)
        or _has_negative_zero(pixels)
        or _has_negative_zero(back)
    ):
        return None
    back = _background(back, back_mask, radius)
    if scaling.image_sample < 1:
        back = _resample(back, scaling.up(scaling.new, scaling.back, back.shape))
    pixels -= back
    pixels[pixels < 0] = 0
    return inputs, pixels, mask


def _inputs(module: Any, workspace: Any, image_name: str) -> Inputs | None:
    if type(module) is not MeasureGranularity:
        return None
    image = workspace.image_set.get_image(image_name, must_be_grayscale=True)
    if type(image) is not Image or image.dimensions != 2:
        return None
    pixels = image.pixel_data
    if pixels.ndim != 2 or pixels.size >= _MOST_PIXELS or not is_measurable(pixels):
        return None
    mask = image.mask
    scaling = _scaling(module, pixels.shape)
    if mask.shape != pixels.shape or mask.dtype != bool or not scaling.divides:
        return None
    bits = b"" if mask.all() else numpy.packbits(mask).tobytes()
    runs = []
    for name in module.objects_list.value:
        found = _runs_of(workspace.object_set.get_objects(name), mask, bits)
        if found is None:
            return None
        runs.append((name, found))
    return Inputs(pixels, bits, scaling, runs)


def self_test() -> None:
    """Each part of ours against the function that it stands for, on small images."""
    random = numpy.random.RandomState(1)
    for kind in (numpy.float32, numpy.float64):
        pixels: Any = random.randint(0, 30, (24, 21)).astype(kind)
        pixels /= 29
        _test_resampling(pixels)
        _test_background(pixels)
        _test_spectrum(pixels)
    _test_means(pixels, random.randint(0, 4, (43, 50)))


def _test_resampling(pixels: Any) -> None:
    scaling = Scaling((24, 21), numpy.array((24, 21)) * 0.7, None, 0.7, 1)
    grid = _grid(scaling.new, 0.7)
    plain = scipy.ndimage.map_coordinates(pixels, grid, order=1)
    ours = _resample(pixels, scaling.down(scaling.new, 0.7, pixels.shape))
    assert ours.tobytes() == plain.tobytes(), "a resampled image differs"


def _test_background(pixels: Any) -> None:
    disk = skimage.morphology.disk(3, dtype=bool)
    plain = skimage.morphology.erosion(pixels, selem=disk)
    plain = skimage.morphology.dilation(plain, selem=disk)
    ours = _background(pixels, numpy.ones(pixels.shape, bool), 3)
    assert ours.tobytes() == plain.tobytes(), "a background differs"


def _test_spectrum(pixels: Any) -> None:
    cross = skimage.morphology.disk(1, dtype=bool)
    spectrum = Spectrum(pixels, numpy.ones(pixels.shape, bool))
    eroded = pixels
    for _ in range(3):
        eroded = skimage.morphology.erosion(eroded, selem=cross)
        plain = skimage.morphology.reconstruction(eroded, pixels, selem=cross)
        ours = spectrum.step()
        assert ours.tobytes() == plain.tobytes(), "a reconstruction differs"


def _test_means(pixels: Any, labels: Any) -> None:
    scaling = Scaling(labels.shape, numpy.array(pixels.shape), None, 0.5, 1)
    axes = scaling.up(labels.shape, pixels.shape, pixels.shape)
    label_image = labels.astype(numpy.int32)
    counts = numpy.bincount(labels.ravel())[1:]
    runs = Runs(Labels(label_image, []), b"", *_runs(label_image), counts)
    wide = labels / 3.0
    means = ObjectMeans("", runs, wide)
    ResampledSums([means], axes).add(pixels)
    grid = numpy.mgrid[0 : labels.shape[0], 0 : labels.shape[1]].astype(float)
    for axis in (0, 1):
        grid[axis] *= float(pixels.shape[axis] - 1) / float(labels.shape[axis] - 1)
    image = scipy.ndimage.map_coordinates(pixels, grid, order=1)
    index = numpy.arange(1, 4)
    before = scipy.ndimage.mean(wide, labels, index)
    after = scipy.ndimage.mean(image, labels, index)
    plain = numpy.divide((before - after) * 100, before)
    assert means.granularity().tobytes() == plain.tobytes(), "means differ"


_MODULE = "cellprofiler.modules.measuregranularity:MeasureGranularity."
_SKIMAGE = "skimage.morphology."
_SCIPY = "scipy.ndimage."

ACCELERATION = Acceleration(
    name="granularity",
    replaces={_MODULE + "run_on_image_setting": run_on_image_setting},
    sources={
        _MODULE + "run_on_image_setting": (
            "a63a12e8fb72eed103c43979b2728d0917e2ee22804f2c4a81a9669fd9206083"
        ),
        _SKIMAGE + "grey:erosion": (
            "a36386c11df39ee09a6118639fa123c885dd32973f2d52f92263989b62839dd8"
        ),
        _SKIMAGE + "grey:dilation": (
            "55e4d0f1ab38a9ba4969d3138966b86811e4ec4eaae3073f33733346d59cfcbe"
        ),
        _SKIMAGE + "greyreconstruct:reconstruction": (
            "8213037cf4ace87302ca367d15f8244632b1c8e2df4cf1c9a9291c1e8e50e54c"
        ),
        _SKIMAGE + "selem:disk": (
            "5b32ba4cc46ba17ae736451d30bb09e864fdb3426351e287e5d483410bcf329c"
        ),
        _SCIPY + "_filters:_min_or_max_filter": (
            "55a99b956aa8a037c2ac341c746f55b03bd8bf1d501e776cc45816cb96c2cc1a"
        ),
        _SCIPY + "_interpolation:map_coordinates": (
            "fe5f476dc6c3a00aef5bba60b499f8ed17597d29fa6f418214e653a3d53d0180"
        ),
        _SCIPY + "_measurements:mean": (
            "a61fddd1d56e09d91e895d75a7919c03505440de4d0e5e2b38f080e8ba1f3f7d"
        ),
        _SCIPY + "_measurements:_stats": (
            "f1ec351a7844d6e9450565d7466e553926f538de29a8704e8f9bb6146c93f559"
        ),
        "centrosome.cpmorphology:fixup_scipy_ndimage_result": (
            "efbee0101641649e0b49689e132c83684e2e9293bc9fc8e3af12b859e7aa30fe"
        ),
    },
    versions={"numpy": "1.24.4", "scikit-image": "0.18.3", "scipy": "1.9.0"},
    needs_kernels=True,
    self_test=self_test,
)
