"""MeasureTexture's Haralick features, object by object and of whole images.

CellProfiler calls `mahotas.features.haralick` for each object. That makes grids of all
pairs of grey levels, takes logarithms of mostly zeros, and visits pixels through a
generic filter, four times; then numbers are made into texts for a table that only a
window shows. Here one kernel counts the pairs of a direction and computes the features.

The result is the same because each operation is the same: sums go through the function
of BLAS that numpy itself calls, over dense arrays of the same size; numpy takes the
logarithms, of contiguous numbers (elsewhere it may use other code); its pairwise sums
are mirrored, and so are mahotas's, which only leave out zeros. The exponential is taken
of a scalar at a time, as in the original. Grey levels are CellProfiler's: an image is
made into bytes by the same function, and into fewer levels by a table of what that
function makes of each byte. Masked pixels become zero in place, as in the original.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import mahotas.features
import numpy
import skimage.exposure
import skimage.util
from cellprofiler.modules.measuretexture import F_HARALICK, TEXTURE, MeasureTexture
from cellprofiler_core.image import Image

from . import compiled
from .acceleration import Acceleration
from .label_images import Labels, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_PIXELS = 2**30
"""Pairs are counted in 32 bits, each twice."""
_LARGEST_SCALE = 1000
"""mahotas makes a matrix of twice as many rows: beyond, it may lack memory for it."""
_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64
_dot = compiled.blas_function("cblas_ddot64_")


_OWN = ("p", "px", "py", "plus", "minus")
_LISTS = ("places", "present")
_COUNTS = ("filled", "present_count", "levels")
_SHARED = (
    *("numbers", "squares", "products", "inverse"),
    *("cross", "cross_logs", "sparse_logs", "counts"),
)


class GreyImage(ctypes.Structure):
    """`struct grey_image` of texture.c."""

    _fields_ = (
        ("pixels", _POINTER),
        *((name, _INTEGER) for name in ("height", "width", "ignore_zeros")),
    )


class HaralickDirection(ctypes.Structure):
    """`struct direction` of texture.c."""

    _fields_ = (
        *((name, _POINTER) for name in ("dot", *_OWN, "arguments", "logarithms")),
        *((name, _POINTER) for name in _LISTS),
        *((name, _INTEGER) for name in _COUNTS),
        *((name, _POINTER) for name in _SHARED),
    )


class HaralickBuffers:
    """The buffers for images of a number of grey levels at most."""

    def __init__(self, most_levels: int) -> None:
        n = most_levels
        sizes = dict.fromkeys(("px", "py", "minus", "present"), n)
        sizes.update(dict.fromkeys(("numbers", "squares", "plus"), 2 * n))
        size = 4 * (2 * n * n + 5 * n + 6)
        self.arguments, self.logarithms = numpy.empty(size), numpy.empty(size)
        self._arrays: list[Any] = []

        def place(name: str) -> int:
            kind = numpy.int32 if name in (*_LISTS, "counts") else numpy.float64
            self._arrays.append(numpy.zeros(sizes.get(name, n * n), kind))
            return compiled.pointer(self._arrays[-1])

        shared = {name: place(name) for name in _SHARED}
        shared["arguments"] = compiled.pointer(self.arguments)
        shared["logarithms"] = compiled.pointer(self.logarithms)
        shared["dot"] = ctypes.cast(_dot, _POINTER).value or 0
        self._directions = (HaralickDirection * 4)()
        for direction in self._directions:
            own = {name: place(name) for name in (*_OWN, *_LISTS)}
            for name, value in {**shared, **own}.items():
                setattr(direction, name, value)
        self._place = ctypes.addressof(self._directions)
        self._count = _kernel("count", _POINTER, _POINTER, _INTEGER, gives=_INTEGER)
        self._compute = _kernel("features", _POINTER, _POINTER)

    def fit(self, levels: int) -> None:
        """Prepare for images whose largest value is `levels - 1`."""
        if levels != self._directions[0].levels:
            for direction in self._directions:
                direction.levels = levels
            _kernel("tables", _POINTER)(self._place)

    def haralick(self, image: Any, scale: int, ignore_zeros: bool) -> Any:
        """Four directions x 13 features of a contiguous image of bytes that it fits.

        None where a direction has no pairs: mahotas raises ValueError.
        """
        grey = GreyImage(compiled.pointer(image), *image.shape, ignore_zeros)
        used = self._count(self._place, ctypes.addressof(grey), scale)
        if used == 0:
            return None
        numpy.log2(self.arguments[:used], out=self.logarithms[:used])
        found = numpy.empty((4, 13))
        self._compute(self._place, compiled.pointer(found))
        for row in found:
            row[12] = numpy.sqrt(max(0, 1 - numpy.exp(row[12])))
        return found


def _kernel(name: str, *types: Any, gives: Any = None) -> Any:
    kernel = compiled.library["cpengine_texture_" + name]
    kernel.argtypes, kernel.restype = types, gives
    return kernel


def run_one(
    original: Callable[..., Any],
    module: Any,
    image_name: str,
    object_name: str,
    scale: int,
    workspace: Any,
) -> Any:
    """Measure objects in an image; give no texts, as no window will show them."""
    levels = labels = None
    try:
        image = _image(module, image_name, scale, workspace)
        if image is not None:
            labels = _labels(workspace.get_objects(object_name), image.pixel_data)
            if labels is not None and _zero_masked(image):
                levels = _levels(module, image.pixel_data)
    except Exception:  # whatever it is, the original raises its own
        levels = None
    if levels is None or labels is None:
        return original(module, image_name, object_name, scale, workspace)
    features = _of_objects(levels, labels, scale)
    features[~numpy.isfinite(features)] = 0
    for direction, rows in enumerate(features):
        for name, values in zip(F_HARALICK, rows):
            feature = _feature(module, name, image_name, scale, direction)
            workspace.add_measurement(object_name, feature, values)
    return []


def run_image(
    original: Callable[..., Any],
    module: Any,
    image_name: str,
    scale: int,
    workspace: Any,
) -> Any:
    """Measure an image."""
    features = levels = None
    try:
        image = _image(module, image_name, scale, workspace)
        if image is not None:
            levels = _levels(module, image.pixel_data)
    except Exception:  # whatever it is, the original raises its own
        levels = None
    if levels is not None:
        buffers = HaralickBuffers(int(levels.max()) + 1)
        buffers.fit(int(levels.max()) + 1)
        features = buffers.haralick(levels, scale, False)
    if features is None:  # also where the scale is too large: mahotas says so
        return original(module, image_name, scale, workspace)
    statistics: list[Any] = []
    for direction, row in enumerate(features):
        for name, value in zip(F_HARALICK, row):
            statistics += module.record_image_measurement(
                feature_name=name,
                image_name=image_name,
                result=value,
                scale=f"{scale:d}_{direction:02d}",
                workspace=workspace,
                gray_levels=f"{int(module.gray_levels.value):d}",
            )
    return statistics


def _image(module: Any, image_name: str, scale: int, workspace: Any) -> Any:
    """The image; None where the original has to measure it."""
    if module.show_window or not 1 <= scale <= _LARGEST_SCALE:
        return None
    if type(module) is not MeasureTexture or not 2 <= module.gray_levels.value <= 256:
        return None
    image = workspace.image_set.get_image(image_name, must_be_grayscale=True)
    pixels = image.pixel_data
    if type(image) is not Image or type(pixels) is not numpy.ndarray:
        return None
    usable = pixels.ndim == 2 and pixels.dtype in (numpy.float32, numpy.float64)
    return image if usable and 0 < pixels.size < _MOST_PIXELS else None


def _labels(objects: Any, pixels: Any) -> Labels | None:
    """The labels of objects; None where the original has to measure them."""
    labels = None if objects.volumetric else labels_of(objects)
    if labels is None or labels.image.shape != pixels.shape:
        return None
    return labels if labels.boxes and labels.image.min() >= 0 else None


def _zero_masked(image: Any) -> bool:
    """Make masked pixels zero in place, as the original does; False if it cannot."""
    pixels = image.pixel_data
    if not pixels.flags.writeable:
        return False
    if image.has_mask:
        mask = image.mask
        if mask.shape != pixels.shape or mask.dtype != bool:
            return False
        pixels[~mask] = 0
    return True


def _levels(module: Any, pixels: Any) -> Any:
    """An image's grey levels, contiguous.

    Raises ValueError where pixels are beyond -1 and 1.
    """
    levels = skimage.util.img_as_ubyte(pixels)
    gray_levels = int(module.gray_levels.value)
    if gray_levels != 256:
        levels = _fewer(numpy.arange(256, dtype=numpy.uint8), gray_levels)[levels]
    return numpy.ascontiguousarray(levels)


def _fewer(levels: Any, gray_levels: int) -> Any:
    return skimage.exposure.rescale_intensity(
        levels, in_range=(0, 255), out_range=(0, gray_levels - 1)
    ).astype(numpy.uint8)


def _of_objects(levels: Any, labels: Labels, scale: int) -> Any:
    """Directions x features x labels; NaN where an object is too small for the scale.

    Objects with the same largest level follow one another: they share tables.
    """
    largest = numpy.zeros(len(labels.boxes) + 1, numpy.uint8)
    pointers = [compiled.pointer(array) for array in (levels, labels.image)]
    find = _kernel("maxima", _POINTER, _POINTER, _INTEGER, _POINTER)
    find(*pointers, levels.size, compiled.pointer(largest))
    there = [i for i, box in enumerate(labels.boxes, 1) if box is not None]
    features = numpy.full((4, 13, len(there)), numpy.nan)
    buffers = HaralickBuffers(int(largest[1:].max()) + 1)
    for place in numpy.argsort(largest[there], kind="stable"):
        label = there[place]
        box = labels.boxes[label - 1]
        crop = levels[box] * (labels.image[box] == label)
        buffers.fit(int(largest[label]) + 1)
        found = buffers.haralick(crop, scale, True)
        if found is not None:
            features[:, :, place] = found
    return features


def _feature(
    module: Any, name: str, image_name: str, scale: int, direction: int
) -> str:
    gray_levels = int(module.gray_levels.value)
    return f"{TEXTURE}_{name}_{image_name}_{scale:d}_{direction:02d}_{gray_levels:d}"


def self_test() -> None:
    """Ours against mahotas on small images, with few and many levels."""
    assert _dot is not None, "numpy has another BLAS"
    random = numpy.random.RandomState(1)
    for levels, scale, ignore_zeros in ((9, 1, True), (70, 3, True), (160, 2, False)):
        image = random.randint(0, levels, (24, 25)).astype(numpy.uint8)
        image[:5] = image.max()
        buffers = HaralickBuffers(int(image.max()) + 1)
        buffers.fit(int(image.max()) + 1)
        ours = buffers.haralick(image, scale, ignore_zeros)
        plain = mahotas.features.haralick(
            image, distance=scale, ignore_zeros=ignore_zeros
        )
        assert ours.tobytes() == plain.tobytes(), f"{levels} levels differ"


_MODULE = "cellprofiler.modules.measuretexture:MeasureTexture."
_MAHOTAS = "mahotas.features.texture:"

ACCELERATION = Acceleration(
    name="texture",
    replaces={_MODULE + "run_one": run_one, _MODULE + "run_image": run_image},
    sources={
        _MODULE + "run_one": (
            "dfec086a057e5d27fd7e7bf73494e8c261335a8956780b22b65188131566f8bb"
        ),
        _MODULE + "run_image": (
            "7face75f28ba409f52760b04099bc0c3be7cc5f076e55d305c048f71695a6a07"
        ),
        _MODULE + "run": (
            "a3e44d18050c9af7211e43c78c751e1a3af6546a8177e70c3e15f44086d215cc"
        ),
        _MODULE + "record_measurement": (
            "e40196d437735668931a4677ddd4e17733f241d47d1fcde98de3e8aa3f06aa33"
        ),
        "cellprofiler_core.object._objects:Objects.crop_image_similarly": (
            "f1c40c57e4ad8172b800c4661a5da24460573578ce3d5296d235ed6bada96e0f"
        ),
        _MAHOTAS + "haralick": (
            "9ae3b1552b0ed87376916f66c9eea799d4eb501008f7d7c9ef664b20e0e31d12"
        ),
        _MAHOTAS + "haralick_features": (
            "f6110a9d63e349da8a46f46a181d1284d3786c10ba622e3cbb8221b7cf374d54"
        ),
        _MAHOTAS + "cooccurence": (
            "c22d51d1a708f8c8aa6200af2d84f09623459578bce54c481f5ac85c84c19a3c"
        ),
        _MAHOTAS + "_entropy": (
            "66df9eb408dcbb61e5c29717be84420d5deefaf740a8117e35590dd0d4eb057c"
        ),
        "skimage.exposure.exposure:rescale_intensity": (
            "74efc2051cfe5116b5e527ee8d2d779f7efe9f9f82646fe78c86985888929757"
        ),
        "skimage.measure._regionprops:regionprops": (
            "9ef0340ff31eb171686b91b60703a93696158bd560ce119b6a493d1386c523d1"
        ),
        "skimage.measure._regionprops:RegionProperties.intensity_image": (
            "8956b9b27978494a986d2944ba4fae594c083f87e848e49b9f9b35cf5b705454"
        ),
        "numpy.core._methods:_var": (
            "32fdfa2789ed5944fac40a57c97f0923612032ec080a3da13285f435083fd527"
        ),
    },
    versions={"mahotas": "1.4.18", "numpy": "1.24.4", "scikit-image": "0.18.3"},
    needs_kernels=True,
    self_test=self_test,
)
