"""MeasureImageQuality: the same sums, each pixel once.

What is slow, and why ours is the same:

- Focus scores make a grid of labels, and sums by label, for each scale. A label is that
  of a row and that of a column, so that two short arrays stand for the grid; sums are
  added up pixel by pixel as bincount does.
- Correlation (Haralick's third feature of the whole image) sorts all pixels, twice, to
  find the extremes of the one object that is the image, and quantises it anew at each
  scale. Levels do not depend on the scale; the co-occurrence matrix is of integers, and
  what follows it is centrosome's own arithmetic on 8 x 8 numbers.
- The power spectrum makes radii of all pixels and sums of all rings, but uses those
  rings alone that are narrower than an eighth of the image: they are in its corners.
  Whether pixels differ is asked of their extremes, not of their sorted values.
- Otsu's method and the entropy one sort the stretched logarithms, as double. Ours sorts
  them before they are stretched: half the bytes, and stretching (a difference and a
  quotient with the same numbers for all) keeps their order. Then they ask for the
  variance of the first 1, 2, 3, ... values: one pass instead of nine arrays.
- Intensities are two medians of all pixels: see `sorted_values.py`.

Only images of two dimensions, without a mask, finite. If one image of a group is
another, CellProfiler does all of the group.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import centrosome.haralick
import centrosome.otsu
import centrosome.radial_power_spectrum
import centrosome.threshold
import numpy
import scipy.linalg
from cellprofiler.modules import measureimagequality as module_file
from centrosome.filter import stretch
from centrosome.otsu import entropy, entropy3, otsu, otsu3
from centrosome.threshold import inverse_log_transform
from scipy.fftpack import fft2

from . import compiled
from .acceleration import Acceleration
from .sorted_values import SortedArray, median, median_deviation, sorted_values

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = 8


def _call(name: str, *arguments: Any) -> None:
    """Call a kernel with arrays, integers and floating-point numbers."""
    converted = [
        ctypes.c_void_p(compiled.pointer(argument))
        if isinstance(argument, numpy.ndarray)
        else ctypes.c_double(argument)
        if isinstance(argument, float)
        else ctypes.c_int64(argument)
        for argument in arguments
    ]
    getattr(compiled.library, "cpengine_" + name)(*converted)


def _is_plain(image: Any) -> bool:
    pixels = image.pixel_data
    return (
        not image.has_mask
        and image.dimensions == 2
        and pixels.ndim == 2
        and pixels.size > 0
        and pixels.dtype in (numpy.float32, numpy.float64)
        and pixels.flags.c_contiguous
        and bool(numpy.isfinite(pixels).all())
    )


def _plain_images(module: Any, group: Any, workspace: Any) -> dict[str, Any] | None:
    """The group's images by name; None where one has to be left to CellProfiler."""
    images = {}
    try:
        for name in module.images_to_process(group, workspace):
            image = workspace.image_set.get_image(name, must_be_grayscale=True)
            if name in images or not _is_plain(image):
                return None
            images[name] = image
    except Exception:  # the original raises it, after what it measures before
        return None
    return images


def _scales(group: Any) -> list[int]:
    return [scale_group.scale.value for scale_group in group.scale_groups]


# ---------------------------------------------------------------- focus


def _global_focus(pixels: Any) -> Any:
    mean = numpy.mean(pixels)
    squared = (pixels - mean) ** 2
    if mean > 0:
        return numpy.sum(squared) / (numpy.prod(pixels.shape) * mean)
    return 0


def _cells(length: int, scale: int) -> tuple[Any, int]:
    """The row or column of the grid that each row or column of pixels is in."""
    number = (length + scale - 1) // scale
    places = numpy.arange(length).astype(float) * float(number) / float(length)
    return places.astype(numpy.int64), number


def _local_focus(pixels: Any, scale: int) -> Any:
    """The focus score of an image, as double, at one scale."""
    height, width = pixels.shape
    (rows, m), (columns, n) = _cells(height, scale), _cells(width, scale)
    counts = numpy.outer(
        numpy.bincount(rows, minlength=m), numpy.bincount(columns, minlength=n)
    ).ravel()
    starts = rows * n
    sums, squares = numpy.zeros(m * n), numpy.zeros(m * n)
    _call("cell_sums", pixels, height, width, starts, columns, sums)
    means = sums / counts.astype(numpy.float64)
    _call("cell_squares", pixels, height, width, starts, columns, means, squares)
    measured = (means != 0) & ~numpy.isnan(means)
    if not measured.any():
        return 0
    pixel_counts = counts[measured].astype(numpy.float64)
    variances = squares[measured] / (pixel_counts * means[measured])
    median = numpy.median(variances)
    if numpy.isfinite(median) and median > 0:
        return numpy.var(variances) / median
    return 0


def calculate_focus_scores(
    original: Callable[..., Any], module: Any, group: Any, workspace: Any
) -> Any:
    """The focus scores of a group's images."""
    images, scales = _plain_images(module, group, workspace), _scales(group)
    if images is None or not scales or min(scales) < 1:
        return original(module, group, workspace)
    result = []
    for name, image in images.items():
        score = _global_focus(image.pixel_data)
        pixels = numpy.ascontiguousarray(image.pixel_data, numpy.float64)
        local = [_local_focus(pixels, scale) for scale in scales]
        start = module_file.C_IMAGE_QUALITY + "_"
        feature = f"{start}{module_file.F_FOCUS_SCORE}_{name}"
        workspace.add_measurement("Image", feature, score)
        result.append([f"{name} focus score @{scales[-1]:d}", score])
        for scale, value in zip(scales, local):
            feature = f"{start}{module_file.F_LOCAL_FOCUS_SCORE}_{name}_{scale:d}"
            workspace.add_measurement("Image", feature, value)
            result.append([f"{name} local focus score @{scale:d}", value])
    return result


# ---------------------------------------------------------------- correlation


def _levels(pixels: Any) -> Any:
    """Each pixel's level, as centrosome's normalized_per_object and quantize have it.

    None where the range is not finite.
    """
    low, high = pixels.min(), pixels.max()
    spread = float(high - low) if high > low else 1.0
    if not numpy.isfinite(spread):
        return None
    above = numpy.ascontiguousarray(pixels - low, numpy.float64)
    levels = numpy.empty(pixels.shape, numpy.uint8)
    _call("eight_levels", above, above.size, spread, levels)
    return levels


def _cooccurrence(levels: Any, scale: int) -> tuple[Any, Any]:
    """The co-occurrence matrix of a whole image, and the number of its levels."""
    height, width = levels.shape
    counts = numpy.zeros((_LEVELS, _LEVELS), numpy.int64)
    _call("neighbours", levels, height, width, scale, counts)
    number = numpy.array([levels.max()], "i1").max() + 1
    matrix = counts[:number, :number].reshape(1, number, number)
    total = numpy.tile(float(height * (width - scale)), (1, number, number))
    return matrix.astype(float) / total, number


def _third_feature(matrix: Any, number: Any) -> Any:
    """Haralick's correlation of a co-occurrence matrix: centrosome's lines."""
    px, py = matrix.sum(2), matrix.sum(1)
    px = px / numpy.sum(px, 1)[:, numpy.newaxis]
    py = py / numpy.sum(py, 1)[:, numpy.newaxis]
    levels = numpy.arange(number)
    rlevels = numpy.tile(levels, (1, 1))
    mean_x, mean_y = ((rlevels + 1) * px).sum(1), ((rlevels + 1) * py).sum(1)
    mux = numpy.tile(mean_x, (number, 1)).transpose()
    muy = numpy.tile(mean_y, (number, 1)).transpose()
    sigmax = numpy.sqrt(((rlevels + 1 - mux) ** 2 * px).sum(1))
    sigmay = numpy.sqrt(((rlevels + 1 - muy) ** 2 * py).sum(1))
    multiplied = numpy.dot(levels[:, numpy.newaxis] + 1, levels[numpy.newaxis] + 1)
    repeated = numpy.tile(multiplied[numpy.newaxis], (1, 1, 1))
    summed = (repeated * matrix).sum(2).sum(1)
    feature = (summed - mean_x * mean_y) / (sigmax * sigmay)
    feature[numpy.isinf(feature)] = 0
    return feature


def calculate_correlation(
    original: Callable[..., Any], module: Any, group: Any, workspace: Any
) -> Any:
    """The correlation texture of a group's images."""
    images, scales = _plain_images(module, group, workspace), _scales(group)
    if images is None or (scales and min(scales) < 1):
        return original(module, group, workspace)
    quantised = {name: _levels(image.pixel_data) for name, image in images.items()}
    if any(
        levels is None or levels.shape[1] <= max(scales, default=0)
        for levels in quantised.values()
    ):
        return original(module, group, workspace)
    result = []
    for name, levels in quantised.items():
        for scale in scales:
            found = _third_feature(*_cooccurrence(levels, scale))
            value = float(found) if numpy.isfinite(found[0]) else 0.0
            kind = module_file.F_CORRELATION
            feature = f"{module_file.C_IMAGE_QUALITY}_{kind}_{name}_{scale:d}"
            workspace.add_measurement("Image", feature, value)
            result.append([f"{name} {kind} @{scale:d}", f"{value:.2f}"])
    return result


# ---------------------------------------------------------------- power spectrum


def _corners(length: int, most: int) -> tuple[Any, Any]:
    """The rows nearest to both ends, and how far from the nearer one they are."""
    near = numpy.arange(most)
    places = numpy.concatenate([near, length - 1 - near[::-1]])
    return places, numpy.concatenate([near, near[::-1]])


def rps(original: Callable[..., Any], image: Any) -> Any:
    """The radial power spectrum of an image."""
    if (
        image.ndim != 2
        or min(image.shape) < 24
        or image.dtype not in (numpy.float32, numpy.float64)
    ):
        return original(image)
    height, width = image.shape
    most = int(numpy.floor(min(height, width) / 8.0))
    if image.ptp() > 0:
        image = image / numpy.median(abs(image - image.mean()))
    magnitude = abs(fft2(image - numpy.mean(image)))
    power = magnitude**2
    (rows, down), (columns, across) = _corners(height, most), _corners(width, most)
    squared = (down[:, numpy.newaxis] ** 2) + across**2
    radii = (numpy.floor(numpy.sqrt(squared)).astype(int) + 1).ravel()
    labels = numpy.arange(2, most)
    corner = numpy.ix_(rows, columns)
    sums = [
        numpy.bincount(radii, weights=values[corner].ravel())[labels]
        for values in (magnitude, power)
    ]
    return labels, sums[0], sums[1]


def _differ(pixels: Any) -> bool:
    return bool(pixels.min() != pixels.max())


def _slope(pixels: Any) -> Any:
    """The slope of the power spectrum of an image without NaN."""
    radii, magnitude, power = centrosome.radial_power_spectrum.rps(pixels)
    if not (sum(magnitude) > 0 and _differ(pixels)):
        return 0
    valid = magnitude > 0
    radii, power = radii[valid].reshape((-1, 1)), power[valid].reshape((-1, 1))
    if radii.shape[0] <= 1:
        return 0
    idx = numpy.isfinite(numpy.log(power))
    return scipy.linalg.basic.lstsq(
        numpy.hstack(
            (
                numpy.log(radii)[idx][:, numpy.newaxis],
                numpy.ones(radii.shape)[idx][:, numpy.newaxis],
            )
        ),
        numpy.log(power)[idx][:, numpy.newaxis],
    )[0][0]


def calculate_power_spectrum(
    original: Callable[..., Any], module: Any, group: Any, workspace: Any
) -> Any:
    """The slopes of the power spectra of a group's images."""
    images = _plain_images(module, group, workspace)
    if images is None:
        return original(module, group, workspace)
    try:
        slopes = {name: _slope(image.pixel_data) for name, image in images.items()}
    except Exception:  # the original raises it, after what it measures before
        return original(module, group, workspace)
    result = []
    for name, slope in slopes.items():
        kind = module_file.F_POWER_SPECTRUM_SLOPE
        feature = f"{module_file.C_IMAGE_QUALITY}_{kind}_{name}"
        workspace.add_measurement("Image", feature, slope)
        result.append([f"{name} {kind}", f"{float(slope):.1f}"])
    return result


# ---------------------------------------------------------------- intensity


def run_intensity_measurement(
    original: Callable[..., Any], module: Any, image_name: str, workspace: Any
) -> Any:
    """The intensities of an image."""
    try:
        image = workspace.image_set.get_image(image_name, must_be_grayscale=True)
        volumetric = workspace.pipeline.volumetric()
        ordered = sorted_values(image.pixel_data) if _is_plain(image) else None
    except Exception:  # the original raises it
        ordered = None
    if ordered is None:
        return original(module, image_name, workspace)
    pixels, middle = image.pixel_data, median(ordered)
    count, total = numpy.prod(pixels.shape), numpy.sum(pixels)
    area = module_file.F_TOTAL_VOLUME if volumetric else module_file.F_TOTAL_AREA
    shown = {
        "Total intensity": (module_file.F_TOTAL_INTENSITY, total),
        "Mean intensity": (module_file.F_MEAN_INTENSITY, total / float(count)),
        "Median intensity": (module_file.F_MEDIAN_INTENSITY, middle),
        "Std intensity": (module_file.F_STD_INTENSITY, numpy.std(pixels)),
        "MAD intensity": (
            module_file.F_MAD_INTENSITY,
            median_deviation(ordered, middle),
        ),
        "Min intensity": (module_file.F_MIN_INTENSITY, numpy.min(pixels)),
        "Max intensity": (module_file.F_MAX_INTENSITY, numpy.max(pixels)),
        f"Total {'Volume' if volumetric else 'Area'}": (area, count),
    }
    values = dict(shown.values())
    order = (area, *_INTENSITIES)
    for feature in order:
        name = "_".join((module_file.C_IMAGE_QUALITY, feature, image_name))
        workspace.measurements.add_image_measurement(name, values[feature])
    return [
        [f"{image_name} {name}", f"{value:.2f}"] for name, (_, value) in shown.items()
    ]


_INTENSITIES = (
    module_file.F_TOTAL_INTENSITY,
    module_file.F_MEAN_INTENSITY,
    module_file.F_MEDIAN_INTENSITY,
    module_file.F_STD_INTENSITY,
    module_file.F_MAD_INTENSITY,
    module_file.F_MAX_INTENSITY,
    module_file.F_MIN_INTENSITY,
)
"""The intensities in the order in which they are measured."""


# ---------------------------------------------------------------- thresholds


def _sorted_logarithms(values: Any) -> tuple[Any, dict[str, Any]]:
    """What centrosome's log_transform gives, sorted."""
    low, high = values.min(), values.max()
    noise_min = low + (high - low) / 256.0 + numpy.finfo(values.dtype).eps
    logarithms = values.copy()
    logarithms[logarithms < noise_min] = noise_min
    logarithms = numpy.log(logarithms)
    scale = {"log_min": logarithms.min(), "log_max": logarithms.max()}
    return stretch(numpy.sort(logarithms)).view(SortedArray), scale


def _otsu_threshold(
    image: Any, mask: Any, two_classes: bool, variance: bool, upper: bool
) -> Any:
    """The threshold; None where CellProfiler has to find it."""
    values = image[mask] if mask is not None else numpy.array(image.flat)
    values = values[values >= 0]
    if values.dtype != numpy.float32 or len(values) == 0:
        return None
    if not numpy.isfinite(values).all():
        return None
    data, scale = _sorted_logarithms(values)
    if two_classes:
        threshold = otsu(data) if variance else entropy(data)
    else:
        both = otsu3(data) if variance else entropy3(data)
        threshold = both[0 if upper else 1]
    return inverse_log_transform(threshold, scale)


def get_otsu_threshold(
    original: Callable[..., Any],
    image: Any,
    mask: Any = None,
    two_class_otsu: bool = True,
    use_weighted_variance: bool = True,
    assign_middle_to_foreground: bool = True,
) -> Any:
    """A threshold by Otsu's method, or by the entropy one."""
    options = (two_class_otsu, use_weighted_variance, assign_middle_to_foreground)
    try:
        threshold = _otsu_threshold(image, mask, *options)
    except Exception:  # the original raises it
        threshold = None
    return original(image, mask, *options) if threshold is None else threshold


def running_variance(original: Callable[..., Any], values: Any) -> Any:
    """The variance of the first values, one more each time."""
    if values.ndim != 1 or len(values) < 2:
        return original(values)
    if values.dtype not in (numpy.float32, numpy.float64):
        return original(values)
    variance = numpy.empty(len(values))
    kind = "f" if values.dtype == numpy.float32 else "d"
    values = numpy.ascontiguousarray(values)
    _call("running_variance_" + kind, values, len(values), variance)
    return variance


def _self_test() -> None:
    """The kernels against the functions they stand for."""
    pixels = numpy.random.default_rng(5).random((40, 50)).astype(numpy.float32)
    whole = numpy.ones(pixels.shape, int)
    feature = centrosome.haralick.Haralick(pixels, whole, 0, 3).H3()
    ours = _third_feature(*_cooccurrence(_levels(pixels), 3))
    assert ours.tobytes() == feature.tobytes()
    spectra = zip(
        rps(centrosome.radial_power_spectrum.rps, pixels),
        centrosome.radial_power_spectrum.rps(pixels),
    )
    assert all(a.tobytes() == b.tobytes() for a, b in spectra)
    for values in (pixels.ravel(), pixels.ravel()[::-1].astype(float)):
        plain = centrosome.otsu.running_variance(values)
        ours = running_variance(centrosome.otsu.running_variance, values)
        assert ours.tobytes() == plain.tobytes()
    plain = centrosome.threshold.get_otsu_threshold
    for settings in ((True, True), (True, False), (False, True), (False, False)):
        ours = get_otsu_threshold(plain, pixels, None, *settings)
        assert ours == plain(pixels, None, *settings)


_MODULE = "cellprofiler.modules.measureimagequality:MeasureImageQuality"
_RPS = "centrosome.radial_power_spectrum:rps"
_OTSU = "centrosome.threshold:get_otsu_threshold"
_VARIANCE = "centrosome.otsu:running_variance"

ACCELERATION = Acceleration(
    name="image_quality",
    replaces={
        _MODULE + ".calculate_focus_scores": calculate_focus_scores,
        _MODULE + ".calculate_correlation": calculate_correlation,
        _MODULE + ".calculate_power_spectrum": calculate_power_spectrum,
        _MODULE + ".run_intensity_measurement": run_intensity_measurement,
        _RPS: rps,
        _OTSU: get_otsu_threshold,
        _VARIANCE: running_variance,
    },
    sources={
        _MODULE + ".calculate_focus_scores": (
            "19ca3f48dedded7fbfc0b2d97b91e49094ba22cb0e568c6fb7ffdec50b00a0ce"
        ),
        _MODULE + ".calculate_correlation": (
            "2c24e604bcf1c9f3206a7428dc82fb29875535922785fe11e9263eb1539ac642"
        ),
        _MODULE + ".calculate_power_spectrum": (
            "d6d459ab257749569ec203974c33588fd4398d0d8093730031bc55cb8925014d"
        ),
        _MODULE + ".images_to_process": (
            "fab9ec800d20a6cfda244b0d0f9a4b69c02ac76d8a560a91f7554c93dff75b70"
        ),
        _MODULE + ".run_intensity_measurement": (
            "1ca27a3e2c39dda13de49b3e837e9854a97233b763e860db37bb868e1b621034"
        ),
        _OTSU: "f25deaa94504428a6a039b8c77ee258b844f2af8d5c65938cd2ce84ab72ff204",
        "centrosome.filter:stretch": (
            "32422315eb0313038c4ccc03f685b4061694af889c3222b74afaaed3d1c681bc"
        ),
        "centrosome.otsu:entropy": (
            "a2adfd4db448006f9dce05f24b173b4240b4d988ae51579d2513f71bdb0430a2"
        ),
        "centrosome.otsu:entropy3": (
            "db4bcdd3157a998ae5f4eea8622fc8b67c36885a3bb7c840c3737792717f6354"
        ),
        "centrosome.otsu:entropy_score": (
            "68161339ad56ca8f4019e579df6c16d5492fbe4c54910bf5dc2198c8f6b590ef"
        ),
        "centrosome.otsu:otsu": (
            "fffc9d2ee1bc1d02ce4f0305e785a817829f2a7602967bc808bd36897c0b1ff6"
        ),
        "centrosome.otsu:otsu3": (
            "378a7b05342f3364a2c4f81158aa893bb93edf0e5aeef109328c99820ec8dd08"
        ),
        "centrosome.threshold:inverse_log_transform": (
            "a1afb3a6d117846953b78cf104cb5488f4816ff0d7a5194590aa837433baf118"
        ),
        "centrosome.threshold:log_transform": (
            "49b17ffa802bc432361788a1e72e83ebac6c7edf91a31c59af1deb2f9b1609a4"
        ),
        "numpy:median": (
            "f3e87d32c013fb67d36976d0ce2a55200a379ba6f96573476b2b1baed0ae72c5"
        ),
        "numpy.lib.function_base:_median": (
            "ed179f6affdce866b33ed64b986f1a630e310eec342c36f23810d994bdb18f5b"
        ),
        "centrosome.haralick:Haralick": (
            "036ca755cee971880249c0a74b1a855d864b6c1c509dd71b2a1baf4656d44b8f"
        ),
        "centrosome.haralick:cooccurrence": (
            "59220bff675630d970a52aded09dadc913f0012171ef447db46432968838abf3"
        ),
        "centrosome.haralick:normalized_per_object": (
            "829de13d45260cceafc693e23b3a09c3c919ed9d7aea6a6bac5fb21ad5022ae6"
        ),
        "centrosome.haralick:quantize": (
            "d70adfd13e9a0dffc786126a76018b31b493015e4d8f0c7ef62d134ccd329ed3"
        ),
        _RPS: "27956223f5ea17d818f131961c7c7955766ee8571b4b3d041d4a97f07b29893e",
        _VARIANCE: "5369b93c34ffe621e067a0bdd75aa1a3131801bdb2b8f90ef4aa60ccfffdc37a",
        "scipy.ndimage._measurements:_stats": (
            "f1ec351a7844d6e9450565d7466e553926f538de29a8704e8f9bb6146c93f559"
        ),
        "scipy.ndimage._measurements:_select": (
            "9574206bfbbd50c9e37ab058dbff056bf1d42aab5305581ea178eb0dd8b8d23e"
        ),
        "scipy.ndimage._measurements:mean": (
            "a61fddd1d56e09d91e895d75a7919c03505440de4d0e5e2b38f080e8ba1f3f7d"
        ),
        "scipy.ndimage._measurements:sum_labels": (
            "0e9b33c3feb7c7c2d1ff478e4caafb4c0360277e0b6018fc24edfc65ae136c1e"
        ),
    },
    versions={"numpy": "1.24.4", "scipy": "1.9.0", "centrosome": "1.2.3"},
    needs_kernels=True,
    self_test=_self_test,
)
