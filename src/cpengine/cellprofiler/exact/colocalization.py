"""MeasureColocalization computes once an image what it recomputed for each pair.

CellProfiler measures pair by pair: for each of 28 pairs of eight images, and for each
object set, it computes again each image's mean, deviation, threshold and ranks in every
object, with two full sorts; and it looks for Costes' thresholds of a pair, which depend
on the whole images alone, again for each object set.

The results are the same because
- what depends on one image and one object set (or one image) is computed once with the
  same arithmetic; so are the thresholds of Costes (see `colocalization_thresholds.py`);
- scipy.ndimage.sum adds up with numpy.bincount, in double precision in the order of the
  pixels. The kernels do that in the same order, on terms that are rounded as numpy
  rounds them: squares and products of two float32 images to float32, thresholds to the
  type of the pixels that they are compared with;
- the rank of a pixel is that of its value among the different values, however equal
  values are sorted;
- what is summed over whole images is summed by numpy, from arrays of the same content.

Nothing outlives the run of the module, in which nobody changes images or objects. The
original is asked for images that are not two-dimensional (in objects), have other sizes
than the objects or each other, or a pixel that is not finite, and where it would fail.
The rows of the table that a window would show are left out: without a window the module
throws them away.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cellprofiler.modules.measurecolocalization as measure
import numpy
import scipy.linalg
from cellprofiler_core.image import Image
from cellprofiler_core.object import Objects

from .acceleration import Acceleration, find
from .colocalization_pairs import (
    MeasuredImage,
    ModuleRun,
    Pair,
    Region,
    pair_of,
    ranks_of,
    selected,
)
from .colocalization_thresholds import bisection, can_find, compared, linear
from .kernel_calls import call, suffix
from .label_images import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_run: ModuleRun | None = None
"""The run that goes on."""


def run(original: Callable[..., Any], module: Any, workspace: Any) -> Any:
    """Run the module, remembering what does not change meanwhile."""
    global _run

    if module.show_window or type(module) is not measure.MeasureColocalization:
        return original(module, workspace)
    before, _run = _run, ModuleRun()
    try:
        return original(module, workspace)
    finally:
        _run = before


# ---------------------------------------------------------------- Costes' thresholds


def _costes(search: Callable[..., Any]) -> Callable[..., Any]:
    """A function for one of CellProfiler's that find the thresholds of two images."""

    def find_thresholds(
        original: Callable[..., Any],
        module: Any,
        fi: Any,
        si: Any,
        scale_max: Any = 255,
    ) -> Any:
        if _run is None or not can_find(fi, si, scale_max):
            return original(module, fi, si, scale_max)
        settings = (search, module.fast_costes.value, scale_max)
        known = _run.costes
        if not (known and known[0] == settings and _same(known[1:3], (fi, si))):
            known = settings, fi, si, search(module, fi, si, scale_max)
            _run.costes = known
        return known[3]

    return find_thresholds


def _same(known: tuple[Any, Any], given: tuple[Any, Any]) -> bool:
    """Whether arrays are the same byte for byte."""
    for before, now in zip(known, given):
        if before.dtype != now.dtype or before.shape != now.shape:
            return False
        bits = f"u{now.dtype.itemsize}"
        if not numpy.array_equal(before.view(bits), now.view(bits)):
            return False
    return True


def _thresholds(run: ModuleRun, module: Any, pair: Pair) -> Any:
    """Costes' thresholds of a pair, found by CellProfiler's function or ours."""
    key = ("thresholds", pair.key)
    if key not in run.memory:
        scale = measure.get_scale(pair.first.image.scale, pair.second.image.scale)
        fast = module.fast_costes == measure.M_FASTER
        find = module.bisection_costes if fast else module.linear_costes
        run.memory[key] = find(*selected(run, pair), scale)
    return run.memory[key]


# ---------------------------------------------------------------- whole images


@dataclass(frozen=True)
class ImagePart:
    """What depends on one image and a mask."""

    above: Any
    """Where the pixels are above the image's threshold."""
    total: Any
    """The sum of those pixels."""
    ranks: Any
    """int32, or None."""


def run_image_pair_images(
    original: Callable[..., Any], module: Any, workspace: Any, *names: str
) -> Any:
    """Measure two images as a whole."""
    pair = pair_of(_run, workspace, names) if _run else None
    if _run is None or pair is None:
        return original(module, workspace, *names)
    fi, si = selected(_run, pair)
    if fi.size == 0:
        return original(module, workspace, *names)
    try:
        measured = list(_measure_images(_run, module, pair, fi, si))
    except (ValueError, scipy.linalg.LinAlgError):  # of lstsq: let it raise its own
        return original(module, workspace, *names)
    _record(workspace.measurements.add_image_measurement, names, measured)
    return []


def _record(add: Callable[..., None], names: Any, measured: list[Any]) -> None:
    """Add what was measured: feature, whether the second name comes first, value."""
    first, second = names
    for feature, swapped, value in measured:
        add(feature % ((second, first) if swapped else (first, second)), value)


def _measure_images(
    run: ModuleRun, module: Any, pair: Pair, fi: Any, si: Any
) -> Iterator[Any]:
    if module.do_corr_and_slope:
        yield measure.F_CORRELATION_FORMAT, False, numpy.corrcoef((fi, si))[1, 0]
        design = numpy.array((fi, numpy.ones_like(fi))).transpose()
        yield measure.F_SLOPE_FORMAT, False, scipy.linalg.lstsq(design, si)[0][0]
    if any((module.do_manders, module.do_rwc, module.do_overlap)):
        first = _image_part(run, module, pair.first, pair.mask, fi)
        second = _image_part(run, module, pair.second, pair.mask, si)
        yield from _measure_above(module, fi, si, first, second)
    if module.do_costes:
        thr_fi, thr_si = _thresholds(run, module, pair)
        above_fi, above_si = fi > thr_fi, si > thr_si
        both = above_fi & above_si
        for swapped, pixels, above in ((False, fi, above_fi), (True, si, above_si)):
            value = pixels[both].sum() / pixels[above].sum()
            yield measure.F_COSTES_FORMAT, swapped, value


def _image_part(
    run: ModuleRun, module: Any, channel: MeasuredImage, mask: int, pixels: Any
) -> ImagePart:
    def compute() -> ImagePart:
        above = pixels > module.thr.value * numpy.max(pixels) / 100
        ranks = ranks_of(pixels) if module.do_rwc else None
        return ImagePart(above, pixels[above].sum(), ranks)

    return run.once(("image", channel.number, mask), compute)


def _measure_above(
    module: Any, fi: Any, si: Any, first: ImagePart, second: ImagePart
) -> Iterator[Any]:
    """Measure the pixels that are above the thresholds of both images."""
    both = first.above & second.above
    fi, si = fi[both], si[both]
    if module.do_overlap:
        products, squares = (fi * si).sum(), ((fi**2).sum(), (si**2).sum())
        overlap = products / numpy.sqrt(squares[0] * squares[1])
        yield measure.F_OVERLAP_FORMAT, False, overlap
        yield measure.F_K_FORMAT, False, products / squares[0]
        yield measure.F_K_FORMAT, True, products / squares[1]
    if module.do_manders:
        yield measure.F_MANDERS_FORMAT, False, fi.sum() / first.total
        yield measure.F_MANDERS_FORMAT, True, si.sum() / second.total
    if module.do_rwc:
        ranks = max(first.ranks.max(), second.ranks.max()).astype(int) + 1
        apart = abs(first.ranks[both] - second.ranks[both]).astype(int)
        weights = ((ranks - apart) * 1.0) / ranks
        yield measure.F_RWC_FORMAT, False, (fi * weights).sum() / first.total
        yield measure.F_RWC_FORMAT, True, (si * weights).sum() / second.total


# ---------------------------------------------------------------- within objects


@dataclass(frozen=True)
class ObjectPart:
    """What depends on one image and a region: an item a label, from label 0."""

    means: Any = None
    deviations: Any = None
    thresholds: Any = None
    totals: Any = None
    """The sums of the pixels that reach the thresholds."""
    above: int = 0
    """How many those pixels are, in all objects."""
    ranks: Any = None
    """Of each pixel, int32."""


def run_image_pair_objects(
    original: Callable[..., Any], module: Any, workspace: Any, *names: str
) -> Any:
    """Measure two images within the objects of a set."""
    measured = None
    pair = pair_of(_run, workspace, names[:2]) if _run else None
    if _run and pair:
        region = _region(_run, workspace, names[2], pair)
        if region is not None:
            with numpy.errstate(all="ignore"):  # label 0 has no pixels
                measured = _measure_objects(_run, module, pair, region)
    if measured is None:
        return original(module, workspace, *names)

    def add(feature: str, value: Any) -> None:
        workspace.measurements.add_measurement(names[2], feature, value)

    _record(add, names[:2], measured)
    return []


def _region(run: ModuleRun, workspace: Any, name: str, pair: Pair) -> Region | None:
    """The pixels to measure; None if the original has to be asked."""
    try:
        objects = workspace.object_set.get_objects(name)
        key = ("objects", name)
        if key not in run.memory or run.memory[key][0] is not objects:
            run.memory[key] = (objects, run.new_number(), *_labels(objects))
        _, number, image, count = run.memory[key]
    except Exception:  # whatever it is: the original raises its own
        return None
    if image is None or image.shape != pair.first.pixels.shape:
        return None

    def compute() -> Region:
        inside = image > 0
        if pair.mask:
            inside &= run.masks[pair.mask - 1]
        places = numpy.flatnonzero(inside).astype(numpy.int32)
        labels = image.ravel()[places]
        counts = numpy.bincount(labels, minlength=count + 1).astype(numpy.float64)
        return Region(number, pair.mask, places, labels, counts)

    region: Region = run.once(("region", number, pair.mask), compute)
    return region if region.size else None


def _labels(objects: Any) -> tuple[Any, int]:
    """The label image of an object set and the count of its objects.

    No image where the original has to be asked: it may raise an error.
    """
    if len(objects.get_labels()) != 1:
        return None, 0
    labels = labels_of(objects)
    if labels is None or labels.image.size == 0:
        return None, 0
    count = int(objects.count)
    highest = int(labels.image.max())
    return (labels.image, count) if 0 < highest <= count else (None, 0)


def _measure_objects(
    run: ModuleRun, module: Any, pair: Pair, region: Region
) -> list[Any] | None:
    """All that is wanted; None if the original has to be asked."""
    first = _part(run, module, pair.first, region)
    second = _part(run, module, pair.second, region)
    thresholded = any((module.do_manders, module.do_rwc, module.do_overlap))
    if thresholded and not (first.above and second.above):
        return None  # it raises an error where an image has no such pixel
    measured: list[Any] = []
    if module.do_corr_and_slope:
        measured.append(_correlate(pair, region, first, second))
    if thresholded:
        measured += _measure_reaching(module, pair, region, first, second)
    if module.do_costes:
        measured += _measure_costes(_thresholds(run, module, pair), pair, region)
    return measured


def _part(
    run: ModuleRun, module: Any, channel: MeasuredImage, region: Region
) -> ObjectPart:
    key = ("part", channel.number, region.number, region.mask)
    part: ObjectPart = run.once(
        key, lambda: _object_part(module, channel.pixels, region)
    )
    return part


def _object_part(module: Any, pixels: Any, region: Region) -> ObjectPart:
    """What the settings want of an image in a region."""
    kind, places, labels = suffix(pixels), region.places, region.labels
    means = deviations = thresholds = totals = ranks = None
    above = 0
    (sums,) = region.sums()
    maxima = numpy.full(len(sums), -numpy.inf, pixels.dtype)
    call(
        "colocalization_sum_" + kind,
        *(region.size, places, labels, pixels, sums, maxima),
    )
    if module.do_corr_and_slope:
        means = sums / region.counts
        (squares,) = region.sums()
        call(
            "squares_" + kind,
            *(region.size, places, labels, pixels, means, squares),
        )
        deviations = numpy.sqrt(squares)
    if any((module.do_manders, module.do_rwc, module.do_overlap)):
        maxima[region.counts == 0] = 0
        thresholds = (module.thr.value / 100) * maxima
        (totals,) = region.sums()
        above = call(
            "colocalization_total_" + kind,
            *(region.size, places, labels, pixels, thresholds, totals),
        )
    if module.do_rwc:
        ranks = ranks_of(pixels, places)
    return ObjectPart(means, deviations, thresholds, totals, above, ranks)


def _correlate(
    pair: Pair, region: Region, first: ObjectPart, second: ObjectPart
) -> Any:
    (sums,) = region.sums()
    call(
        "colocalization_correlate_" + pair.suffix,
        *(region.size, region.places, region.labels),
        *(pair.first.pixels, pair.second.pixels, first.means, second.means),
        *(first.deviations * second.deviations, sums),
    )
    sums[region.counts == 0] = numpy.nan
    return measure.F_CORRELATION_FORMAT, False, _objects(sums)


def _objects(values: Any) -> Any:
    """An array of the objects' values, without that of label 0."""
    return values[1:].copy()


def _measure_reaching(
    module: Any, pair: Pair, region: Region, first: ObjectPart, second: ObjectPart
) -> Iterator[Any]:
    """Measure the pixels that reach the thresholds of both images."""
    sums = region.sums(7)
    ranks = 0
    if module.do_rwc:
        ranks = int(max(first.ranks.max(), second.ranks.max())) + 1
    count = call(
        "colocalization_overlap_" + pair.suffix,
        *(region.size, region.places, region.labels),
        *(pair.first.pixels, pair.second.pixels),
        *(first.thresholds, second.thresholds, first.ranks, second.ranks, ranks),
        *(sums, sums.shape[1]),
    )
    nothing = numpy.zeros(len(region.counts))
    totals = (first.totals, second.totals)
    for feature, wanted, rows in (
        (measure.F_MANDERS_FORMAT, module.do_manders, sums[:2]),
        (measure.F_RWC_FORMAT, module.do_rwc, sums[5:]),
    ):
        for swapped in (False, True) if wanted else ():
            value = rows[int(swapped)] / totals[int(swapped)] if count else nothing
            yield feature, swapped, _objects(value)
    if module.do_overlap:
        squares, other_squares, products = sums[2:5]
        root = numpy.sqrt(squares * other_squares)
        for feature, swapped, divisor in (
            (measure.F_OVERLAP_FORMAT, False, root),
            (measure.F_K_FORMAT, False, squares),
            (measure.F_K_FORMAT, True, other_squares),
        ):
            value = products / divisor if count else nothing
            yield feature, swapped, _objects(value)


def _measure_costes(thresholds: Any, pair: Pair, region: Region) -> Iterator[Any]:
    """Measure the pixels that are above Costes' thresholds of whole images."""
    sums = region.sums(4)
    counts = numpy.zeros(3, numpy.int64)
    pixels = pair.first.pixels, pair.second.pixels
    call(
        "colocalization_costes_" + pair.suffix,
        *(region.size, region.places, region.labels, *pixels),
        *(compared(pixels[0], thresholds[0]), compared(pixels[1], thresholds[1])),
        *(sums, sums.shape[1], counts),
    )
    nothing = numpy.zeros(len(region.counts))
    for row, swapped in enumerate((False, True)):
        total = sums[2 + row] if counts[row] else nothing
        value = sums[row] / total if counts[2] else nothing
        yield measure.F_COSTES_FORMAT, swapped, _objects(value)


# ---------------------------------------------------------------- the acceleration


def self_test() -> None:
    """Compare ours with CellProfiler's on two small images."""
    global _run

    workspace = _small_workspace()
    module = measure.MeasureColocalization()
    results = []
    for _run in (None, ModuleRun()):
        recorded: list[Any] = []

        def add(*measured: Any, recorded: list[Any] = recorded) -> None:
            recorded.append(measured)

        workspace.measurements = SimpleNamespace(
            add_measurement=add, add_image_measurement=add
        )
        for ours, path, names in (
            (run_image_pair_images, _IMAGES, ("A", "B")),
            (run_image_pair_objects, _OBJECTS, ("A", "B", "Cells")),
        ):
            ours(find(path), module, workspace, *names)
        results.append([(*name, numpy.asarray(value)) for *name, value in recorded])
    _run = None
    for (*name, plain), (*our_name, our) in zip(*results):
        assert name == our_name, name
        assert plain.tobytes() == our.tobytes(), name
    pixels = [workspace.image_set.get_image(name).pixel_data.flatten() for name in "AB"]
    for path, search in _SEARCHES.items():
        plain = find(path)(module, *pixels, 40)
        assert plain == search(module, *pixels, 40), path


def _small_workspace() -> Any:
    rng = numpy.random.default_rng(4)
    noise = rng.random((2, 20, 24))
    images = {
        "A": Image(noise[0].astype(numpy.float32)),
        "B": Image((noise.sum(0) / 2).round(1).astype(numpy.float32)),
    }
    objects = Objects()
    objects.segmented = numpy.arange(480).reshape(20, 24) // 70
    return SimpleNamespace(
        image_set=SimpleNamespace(get_image=lambda name, **options: images[name]),
        object_set=SimpleNamespace(get_objects=lambda name: objects),
    )


_MODULE = "cellprofiler.modules.measurecolocalization:MeasureColocalization."
_IMAGES = _MODULE + "run_image_pair_images"
_OBJECTS = _MODULE + "run_image_pair_objects"
_SEARCHES: dict[str, Callable[..., Any]] = {
    _MODULE + "bisection_costes": bisection,
    _MODULE + "linear_costes": linear,
}

ACCELERATION = Acceleration(
    name="colocalization",
    replaces={
        _MODULE + "run": run,
        _IMAGES: run_image_pair_images,
        _OBJECTS: run_image_pair_objects,
        **{path: _costes(search) for path, search in _SEARCHES.items()},
    },
    sources={
        _MODULE + "run": (
            "dd77ad4cc3d8a8e0dadd2454d3322d612ab509cb568f7f06f574fe5c15ad4c2b"
        ),
        _MODULE + "get_image_pairs": (
            "62910634de78d7cc9be9e900cc3dca909c2e030fbc3f7ad356e51ac20cd10d1f"
        ),
        _MODULE + "run_image_pair_images": (
            "78f63cb2443f8b04deecec1643d6f7b4fd600fc6fdf4bd07f9b9ad528953c30f"
        ),
        _MODULE + "run_image_pair_objects": (
            "0e6529b9e82fb27ed041acfe1d558bb292db9f786ae1f9358535fc2b90c9ac86"
        ),
        _MODULE + "bisection_costes": (
            "4282a71d54cf40c356779dabeac69647ff33f8026aaf3cc54185da1978d01b3c"
        ),
        _MODULE + "linear_costes": (
            "b28506e2f9b53a8f3e80ca515fc1deb218cd5f79b60672a735932b527015414e"
        ),
        "cellprofiler.modules.measurecolocalization:get_scale": (
            "2bd57c74ca6885080fd2194a0119de2aa886cac1cd11029e6a93b9cce855039d"
        ),
        "cellprofiler_core.object:Objects.segmented": (
            "c1b62c65c785909b2ef112687dc4673e9e777188cc3b90ffef4beaec7f12b196"
        ),
        "cellprofiler_core.object:Objects.crop_image_similarly": (
            "f1c40c57e4ad8172b800c4661a5da24460573578ce3d5296d235ed6bada96e0f"
        ),
        "cellprofiler_core.object:Objects.get_labels": (
            "c94c436557f210151d3cd81ccc2e285b2e4f38c2efb934430b2bc393ea243ddb"
        ),
        "cellprofiler_core.image:Image.mask": (
            "b84f73fad4e058455d67ea15e51ae877dded62f867ee7d618a5e3cf919ae7406"
        ),
        "cellprofiler_core.image:Image.has_mask": (
            "671b1fa9dc55b9e76724b4003c4486a88fc92bbe294acedf8d2aa2a97dd39dd1"
        ),
        "centrosome.cpmorphology:fixup_scipy_ndimage_result": (
            "efbee0101641649e0b49689e132c83684e2e9293bc9fc8e3af12b859e7aa30fe"
        ),
        "scipy.ndimage:sum_labels": (
            "0e9b33c3feb7c7c2d1ff478e4caafb4c0360277e0b6018fc24edfc65ae136c1e"
        ),
        "scipy.ndimage:mean": (
            "a61fddd1d56e09d91e895d75a7919c03505440de4d0e5e2b38f080e8ba1f3f7d"
        ),
        "scipy.ndimage:maximum": (
            "d17575eef81c4c62398c8782b797caf222fd95d65260517c2b3b8492667888ab"
        ),
        "scipy.ndimage._measurements:_stats": (
            "f1ec351a7844d6e9450565d7466e553926f538de29a8704e8f9bb6146c93f559"
        ),
        "scipy.ndimage._measurements:_select": (
            "9574206bfbbd50c9e37ab058dbff056bf1d42aab5305581ea178eb0dd8b8d23e"
        ),
        "scipy.stats:pearsonr": (
            "20cc327f40f5df787a8f4ae97f9b136f0c1f134528c9c67a4dc7841a7e456375"
        ),
    },
    versions={"numpy": "1.24.4", "scipy": "1.9.0"},
    needs_kernels=True,
    self_test=self_test,
)
