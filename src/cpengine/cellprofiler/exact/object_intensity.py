"""MeasureObjectIntensity sorts once and computes once an object set what images share.

For each image and object set, CellProfiler sorts all pixels twice by label and
intensity and three times more for extremes, and computes the outlines of the objects,
coordinates and areas again.

The results are the same because
- scipy.ndimage.sum adds up with numpy.bincount, in double precision in the order of the
  pixels; the kernels do that in the same order;
- a quartile depends on an object's sorted values alone, not on how equal ones were
  sorted, and is interpolated from them with the same expressions;
- distances from the median ascend to both sides of it also when they are rounded, so
  that two sorted halves, merged, are what CellProfiler sorts;
- a pixel is at the inner edge of an object where one of its four neighbours has another
  label: then the greatest and the least label around it differ;
- where an object has its maximum twice, its position depends on how an unstable sort
  treats equal values: there scipy.ndimage is asked, with the same array.

The original is asked for volumes, for images of another size than the objects, with a
pixel that is not finite or minus zero (a minimum can then be either zero), and for
labels that their object set does not know.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cellprofiler.modules.measureobjectintensity as measure
import numpy
import scipy.ndimage
from cellprofiler_core.image import Image
from cellprofiler_core.object import Objects

from .acceleration import Acceleration, find
from .kernel_calls import call, is_measurable, item_type, suffix

if TYPE_CHECKING:
    from collections.abc import Callable

# ---------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class Pixels:
    """The pixels of objects that an image's mask leaves, or those at edges."""

    places: Any
    """In the image, int32, ascending."""
    labels: Any
    """int32."""
    counts: Any
    """The pixels of each object, int64, from label 0."""
    width: int
    """Of the image."""

    @property
    def size(self) -> int:
        return len(self.places)

    @functools.cached_property
    def coordinate_sums(self) -> tuple[Any, Any]:
        """The sums of x and y of each object: whole numbers, exact in any order."""
        y, x = numpy.divmod(self.places, self.width)
        length = len(self.counts)
        return (
            numpy.bincount(self.labels, x, length),
            numpy.bincount(self.labels, y, length),
        )

    def zeros(self, dtype: Any = float) -> Any:
        """A zero a label."""
        return numpy.zeros(len(self.counts), dtype)


@dataclass
class Plane:
    """A label image whose objects do not overlap."""

    image: Any
    """int32, contiguous."""
    indexes: Any
    """The labels that the object set has in this plane, ascending."""
    edges: Any
    """Whether a pixel is at the inner edge of an object."""
    inside: tuple[Any, Pixels, Pixels] | None = None
    """The last mask, its pixels in objects, and at edges."""

    def pixels(self, mask: Any) -> tuple[Pixels, Pixels]:
        """The pixels that a mask leaves (all if it is None): in objects, at edges."""
        known = self.inside
        if known is None or not _equal(known[0], mask):
            inside, edges = self.image > 0, self.edges
            if mask is not None:
                inside, edges = inside & mask, edges & mask
            self.inside = known = (mask, self._at(inside), self._at(edges))
        return known[1:]

    def knows_its_labels(self) -> bool:
        """Whether the object set has all labels that are in the image."""
        counts = numpy.bincount(self.image.ravel())
        counts[0] = 0
        counts[self.indexes[self.indexes < len(counts)]] = 0
        return not counts.any()

    def _at(self, chosen: Any) -> Pixels:
        places = numpy.flatnonzero(chosen).astype(numpy.int32)
        labels = self.image.ravel()[places]
        counts = numpy.bincount(labels, minlength=self.length)
        return Pixels(places, labels, counts, self.image.shape[1])

    @property
    def length(self) -> int:
        """One more than the highest label."""
        return int(self.indexes[-1]) + 1 if len(self.indexes) else 1


def _equal(known: Any, mask: Any) -> bool:
    if known is None or mask is None:
        return known is mask
    return numpy.array_equal(known, mask)


@dataclass(frozen=True)
class ObjectSet:
    """The objects that are measured, in all their planes."""

    count: int
    planes: list[Plane] = field(default_factory=list)


def _object_set(objects: Any) -> ObjectSet | None:
    """What an object set has; None if the original has to be asked."""
    found = ObjectSet(int(objects.count))
    for labels, indexes in objects.get_labels():
        indexes = indexes[indexes != 0]
        if not _is_plane(labels, indexes, found.count):
            return None
        image = numpy.array(labels, numpy.int32, order="C")
        edges = numpy.empty(image.shape, bool)
        call("object_intensity_edges", *image.shape, image, edges)
        plane = Plane(image, indexes, edges)
        if not plane.knows_its_labels():
            return None
        found.planes.append(plane)
    return found


def _is_plane(labels: Any, indexes: Any, count: int) -> bool:
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or not labels.size:
        return False
    highest = indexes[-1] if len(indexes) else 0
    return 0 <= labels.min() <= labels.max() <= highest <= min(count, 2**31 - 1)


def _is_image(image: Any) -> bool:
    """Whether an image can be measured."""
    if type(image) is not Image or image.dimensions != 2 or image.pixel_data.ndim != 2:
        return False
    pixels = image.pixel_data
    if not is_measurable(pixels) or image.mask.shape != pixels.shape:
        return False
    return not numpy.signbit(pixels[pixels == 0]).any()


def _inputs(module: Any, workspace: Any) -> tuple[Any, Any] | None:
    """Images and object sets by name; None if the original has to be asked."""
    images = {
        name: workspace.image_set.get_image(name, must_be_grayscale=True)
        for name in module.images_list.value
    }
    if not images or not all(_is_image(image) for image in images.values()):
        return None
    sets = {
        name: _object_set(workspace.object_set.get_objects(name))
        for name in module.objects_list.value
    }
    shapes = {image.pixel_data.shape for image in images.values()}
    for objects in sets.values():
        if objects is None:
            return None
        shapes.update(plane.image.shape for plane in objects.planes)
    return (images, sets) if sets and len(shapes) == 1 else None


def run(original: Callable[..., Any], module: Any, workspace: Any) -> Any:
    """Measure all images in all object sets."""
    try:
        inputs = None if module.show_window else _inputs(module, workspace)
    except Exception:  # whatever it is: the original raises its own
        inputs = None
    if inputs is None:
        return original(module, workspace)
    images, sets = inputs
    for image_name in module.images_list.value:
        image = images[image_name]
        pixels = numpy.ascontiguousarray(image.pixel_data)
        mask = image.mask if image.has_mask else None
        for object_name in module.objects_list.value:
            with numpy.errstate(all="ignore"):  # of labels without pixels
                found = _measure(sets[object_name], pixels, mask)
            for category, feature in _FEATURES:
                name = f"{category}_{feature}_{image_name}"
                workspace.measurements.add_measurement(
                    object_name, name, found[feature]
                )
    return None


_FEATURES = [
    *((measure.INTENSITY, feature) for feature in measure.ALL_MEASUREMENTS),
    *((measure.C_LOCATION, feature) for feature in measure.ALL_LOCATION_MEASUREMENTS),
]
"""In the order in which they are recorded."""


# ---------------------------------------------------------------- measuring


def _measure(objects: ObjectSet, pixels: Any, mask: Any) -> dict[str, Any]:
    """All features of an image in an object set."""
    found = {feature: numpy.zeros(objects.count) for _, feature in _FEATURES}
    for plane in objects.planes:
        inside, edges = plane.pixels(mask)
        values: dict[str, Any] = {}
        if inside.size:
            values.update(_statistics(plane, inside, pixels, ""))
            values.update(_moments(plane, inside, pixels, values))
            values.update(_quartiles(plane, inside, pixels))
            values.update(_maximum(plane, inside, pixels, values.pop("extremes")))
        if edges.size:
            values.update(_statistics(plane, edges, pixels, "Edge"))
        for feature in found.keys() & values.keys():
            found[feature][plane.indexes - 1] = values[feature]
    return found


@dataclass(frozen=True)
class Extremes:
    """Of each label."""

    sums: Any
    minima: Any
    maxima: Any
    positions: Any
    """Which of the pixels has the maximum first."""
    twice: bool
    """Whether an object has its maximum twice."""


def _extremes(of: Pixels, pixels: Any) -> Extremes:
    sums, positions, twice = of.zeros(), of.zeros(numpy.int64), of.zeros(numpy.uint8)
    minima = numpy.full(len(sums), numpy.inf, pixels.dtype)
    maxima = numpy.full(len(sums), -numpy.inf, pixels.dtype)
    any_twice = call(
        "object_intensity_extremes_" + suffix(pixels),
        *(of.size, len(sums), of.places, of.labels),
        *(pixels, sums, minima, maxima, positions, twice),
    )
    minima[of.counts == 0] = maxima[of.counts == 0] = 0
    return Extremes(sums, minima, maxima, positions, bool(any_twice))


def _statistics(plane: Plane, of: Pixels, pixels: Any, where: str) -> dict[str, Any]:
    extremes = _extremes(of, pixels)
    means, squares = extremes.sums / of.counts, of.zeros()
    call(
        "squares_" + suffix(pixels),
        *(of.size, of.places, of.labels, pixels, means, squares),
    )
    values = {
        measure.INTEGRATED_INTENSITY: extremes.sums,
        measure.MEAN_INTENSITY: means,
        measure.STD_INTENSITY: numpy.sqrt(squares / of.counts),
        measure.MIN_INTENSITY: extremes.minima,
        measure.MAX_INTENSITY: extremes.maxima,
    }
    found = {name + where: value[plane.indexes] for name, value in values.items()}
    return found if where else {**found, "extremes": extremes}


def _moments(
    plane: Plane, of: Pixels, pixels: Any, values: dict[str, Any]
) -> dict[str, Any]:
    """The centres of mass, and how far they are from those of the areas."""
    x_sums, y_sums = of.zeros(), of.zeros()
    call(
        "object_intensity_moments_" + suffix(pixels),
        *(of.size, of.width, of.places, of.labels, pixels, x_sums, y_sums),
    )
    integrated = values[measure.INTEGRATED_INTENSITY]
    counts = of.counts[plane.indexes]
    x_area, y_area = of.coordinate_sums
    centres, distances = {}, []
    for feature, sums, area_sums in (
        (measure.LOC_CMI_X, x_sums, x_area),
        (measure.LOC_CMI_Y, y_sums, y_area),
        (measure.LOC_CMI_Z, of.zeros(), of.zeros()),
    ):
        centres[feature] = sums[plane.indexes] / integrated
        distance = area_sums[plane.indexes] / counts - centres[feature]
        distances.append(distance * distance)
    displacement = numpy.sqrt(distances[0] + distances[1] + distances[2])
    return {**centres, measure.MASS_DISPLACEMENT: displacement}


def _quartiles(plane: Plane, of: Pixels, pixels: Any) -> dict[str, Any]:
    """Quartiles, and the median of the distances from the median."""
    starts = numpy.cumsum(of.counts) - of.counts
    items, spare = numpy.empty((2, of.size), item_type(pixels))
    values, distances = numpy.empty(of.size, pixels.dtype), numpy.empty(of.size)
    call(
        "object_intensity_sort_" + suffix(pixels),
        *(of.size, of.places, of.labels, pixels, items, spare, starts.copy(), values),
    )
    areas, first = of.counts[plane.indexes], starts[plane.indexes]
    found = {
        feature: _interpolated(values, first, areas, areas * fraction)
        for feature, fraction in (
            (measure.LOWER_QUARTILE_INTENSITY, 1.0 / 4.0),
            (measure.MEDIAN_INTENSITY, 1.0 / 2.0),
            (measure.UPPER_QUARTILE_INTENSITY, 3.0 / 4.0),
        )
    }
    middles = of.zeros()
    middles[plane.indexes] = found[measure.MEDIAN_INTENSITY]
    call(
        "object_intensity_distances_" + suffix(pixels),
        *(len(middles), starts, of.counts, values, middles, distances),
    )
    found[measure.MAD_INTENSITY] = _interpolated(distances, first, areas, areas / 2)
    return found


def _interpolated(values: Any, first: Any, areas: Any, offsets: Any) -> Any:
    """The values between those of each object that are beside an offset."""
    found = numpy.zeros(len(areas))
    places = first.astype(float) + offsets
    fractions = places - numpy.floor(places)
    places = places.astype(int)
    between = places < first + areas - 1
    at, fraction = places[between], fractions[between]
    found[between] = values[at] * (1 - fraction) + values[at + 1] * fraction
    last = (~between) & (areas > 0)
    found[last] = values[places[last]]
    return found


def _maximum(plane: Plane, of: Pixels, pixels: Any, extremes: Extremes) -> Any:
    """Where the maximum is."""
    positions = extremes.positions[plane.indexes]
    if extremes.twice:
        values = pixels.ravel()[of.places]
        there = scipy.ndimage.maximum_position(values, of.labels, plane.indexes)
        positions = numpy.array(there, dtype=int).reshape(len(positions))
    y, x = numpy.divmod(of.places[positions], of.width)
    return {measure.LOC_MAX_X: x, measure.LOC_MAX_Y: y}


# ---------------------------------------------------------------- the acceleration


def self_test() -> None:
    """Compare ours with CellProfiler's on a small image with a mask."""
    module = measure.MeasureObjectIntensity()
    module.images_list.value, module.objects_list.value = "A, B", "Cells"
    rng = numpy.random.default_rng(3)
    noise = rng.random((20, 24))
    images = {
        "A": Image(noise.astype(numpy.float32)),
        "B": Image(noise.round(1), mask=noise < 0.9),
    }
    objects = Objects()
    objects.segmented = numpy.arange(480).reshape(20, 24) // 70 + (noise > 0.8)
    plain, ours = [
        _recorded(measured_by, module, images, objects)
        for measured_by in (find(_RUN), lambda *given: run(_not_asked, *given))
    ]
    assert plain.keys() == ours.keys()
    for name, value in plain.items():
        assert value.tobytes() == ours[name].tobytes(), name


def _recorded(measured_by: Any, module: Any, images: Any, objects: Any) -> Any:
    recorded: dict[str, Any] = {}
    workspace = SimpleNamespace(
        image_set=SimpleNamespace(get_image=lambda name, **options: images[name]),
        object_set=SimpleNamespace(
            get_objects=lambda name: objects, object_names=["Cells"]
        ),
        measurements=SimpleNamespace(
            add_measurement=lambda _, name, value: recorded.update({name: value})
        ),
    )
    with numpy.errstate(all="ignore"):
        measured_by(module, workspace)
    return recorded


def _not_asked(*given: Any) -> None:
    raise AssertionError("the original was asked")


_RUN = "cellprofiler.modules.measureobjectintensity:MeasureObjectIntensity.run"

ACCELERATION = Acceleration(
    name="object_intensity",
    replaces={_RUN: run},
    sources={
        _RUN: ("3618d7831b5d66f5c79c78472eac639d5382e8096e2985f80b42cdd5cfd98f8b"),
        "cellprofiler_core.utilities.core.object:crop_labels_and_image": (
            "563e3e468b98a01527b2b78d084785d2a73e71f9fc54b13704ba01117cc99075"
        ),
        "cellprofiler_core.object:Objects.get_labels": (
            "c94c436557f210151d3cd81ccc2e285b2e4f38c2efb934430b2bc393ea243ddb"
        ),
        "cellprofiler_core.object:Objects.count": (
            "05599d036c338d30439199a5b9f385a8e61fa3c1abcd14fea06e5d8f5eb80958"
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
        "scipy.ndimage:minimum": (
            "2b2b2fdf88b27d09063c3f2ff84f921ddcc3b59f6b90e4f8a33fbb8768ed77f2"
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
        "skimage.segmentation:find_boundaries": (
            "a3d153672a156b4925ac4e1f34c132cebc9555e8c61fa057a37f59be0b9dc620"
        ),
        "skimage.morphology:dilation": (
            "55e4d0f1ab38a9ba4969d3138966b86811e4ec4eaae3073f33733346d59cfcbe"
        ),
        "skimage.morphology:erosion": (
            "a36386c11df39ee09a6118639fa123c885dd32973f2d52f92263989b62839dd8"
        ),
    },
    versions={"numpy": "1.24.4", "scipy": "1.9.0", "scikit-image": "0.18.3"},
    needs_kernels=True,
    self_test=self_test,
)
