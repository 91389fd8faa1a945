"""MeasureObjectIntensityDistribution, geometry computed once for all images.

What it replaces computes distances to the edge and to the center color by color over
whole images for each use of the module, and bins, wedges and counts for each image; it
sums through sparse matrices and masked arrays, ring by ring.

- Distances to the edge are roots of whole numbers, computed object by object: objects
  of one color do not touch, so that the nearest pixel that has not the color is the
  nearest that has not the label. Where the farthest pixel is, is asked from the
  original, whose choice among equals is not a stable one.
- Distances from the center are found in the same order from the same sums, again
  object by object: a way never leads through another object of the color.
- Sums over rings and wedges add the same values in the same order in their own
  precision (float32 for most images); what follows is the arithmetic of numpy's masked
  arrays, without them.
- Where other objects are centers the original measures the first image, and ours takes
  its distances for the others.

Heatmaps, windows, images of another size and pixels that are not finite: the original.
The Zernike sums are `zernike.py`.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cellprofiler.modules.measureobjectintensitydistribution as names
import centrosome.cpmorphology as morphology
import centrosome.zernike
import numpy
import scipy.ndimage
from cellprofiler_core.image import Image
from cellprofiler_core.object import Objects

from . import zernike
from .acceleration import Acceleration
from .kernel_calls import call
from .label_images import Labels, labels_of
from .regions import Regions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MODULE = (
    "cellprofiler.modules.measureobjectintensitydistribution:"
    "MeasureObjectIntensityDistribution."
)
_LARGEST = 1e30
_FEATURES = (
    (names.MF_FRAC_AT_D, names.OF_FRAC_AT_D),
    (names.MF_MEAN_FRAC, names.OF_MEAN_FRAC),
    (names.MF_RADIAL_CV, names.OF_RADIAL_CV),
)


# ------------------------------------------------------------ geometry


@dataclass
class Rings:
    """The pixels of one count of bins, and what is the same for all images."""

    place: Any
    """int64, of each pixel: object and bin, times 8, and wedge."""
    shape: tuple[int, int]
    """Objects and bins, the last one for what is beyond."""
    fraction: Any
    """Of an object's pixels, in each bin."""
    wedge_counts: Any
    """float64, bins x objects x 8."""


@dataclass
class Placement:
    """Where the pixels of objects are, those that are to be measured."""

    places: Any
    """int64, of each pixel in the image."""
    labels: Any
    """int64, of each pixel."""
    distance: Any
    """float64, of each pixel from its center, normalized."""
    wedge: Any
    """int64, of each pixel."""
    objects: int
    rings: dict[int, Rings | None] = field(default_factory=dict)

    def rings_of(self, bins: int) -> Rings | None:
        """The pixels in so many bins; None where the original has to decide."""
        if bins not in self.rings:
            self.rings[bins] = self._rings(bins)
        return self.rings[bins]

    def _rings(self, bins: int) -> Rings | None:
        bin_of = (self.distance * bins).astype(int)
        bin_of[bin_of > bins] = bins
        if len(bin_of) == 0 or bin_of.min() < 0:
            return None
        shape = (self.objects, bins + 1)
        place = ((self.labels - 1) * (bins + 1) + bin_of) * 8 + self.wedge
        counts = numpy.bincount(place, minlength=self.objects * (bins + 1) * 8)
        counts = counts.astype(float).reshape(*shape, 8)
        in_bins = counts.sum(axis=2)
        fraction = in_bins / numpy.sum(in_bins, 1)[:, numpy.newaxis]
        by_bin = numpy.ascontiguousarray(numpy.moveaxis(counts, 1, 0))
        return Rings(place, shape, fraction, by_bin)


def _wedges(places: Any, columns: int, row: Any, column: Any) -> Any:
    """In which of eight wedges around its center each pixel is."""
    down, right = places // columns, places % columns
    steep = abs(down - row) > abs(right - column)
    return (down > row) + (right > column) * 2 + steep * 4


class Geometry:
    """Distances in objects that are their own centers."""

    def __init__(self, known: Labels, indices: Any) -> None:
        self.known = known
        image = known.image
        regions = Regions(known)
        self._to_edge = _distances_to_edge(regions)
        self._row, self._column = morphology.maximum_position_of_labels(
            self._to_edge, image, indices
        )
        from_center = _distances_from_center(regions, self._row, self._column)
        self._places = numpy.flatnonzero(from_center >= 0)
        self._from_center = from_center.ravel()[self._places]
        self._labels = image.ravel()[self._places].astype(numpy.int64)
        self._placements: dict[Any, Placement] = {}

    def placement(self, radius: int | None) -> Placement:
        """The pixels and their distances, as parts of a radius or of all the way."""
        if radius not in self._placements:
            if len(self._placements) > 7:
                self._placements.clear()
            self._placements[radius] = self._placement_of(radius)
        return self._placements[radius]

    def _placement_of(self, radius: int | None) -> Placement:
        if radius is None:
            total = self._from_center + self._to_edge.ravel()[self._places]
            distance = self._from_center / (total + 0.001)
        else:
            distance = self._from_center / radius
        row, column = [v[self._labels - 1].astype(float) for v in self._centers()]
        columns = self.known.image.shape[1]
        wedge = _wedges(self._places, columns, row, column)
        objects = int(self.known.image.max())
        return Placement(self._places, self._labels, distance, wedge, objects)

    def _centers(self) -> tuple[Any, Any]:
        return self._row, self._column

    def originals(self, placement: Placement) -> list[Any]:
        """What CellProfiler keeps of a placement from image to image."""
        shape = self.known.image.shape
        good = numpy.zeros(shape, bool)
        good.ravel()[self._places] = True
        arrays = [numpy.zeros(shape) for _ in range(3)]
        values = (placement.distance, *(v[self._labels - 1] for v in self._centers()))
        for array, value in zip(arrays, values):
            array[good] = value
        return [*arrays, good]


def _distances_to_edge(regions: Regions) -> Any:
    """As centrosome.cpmorphology.distance_to_edge has them."""
    found = numpy.zeros(regions.labels.shape)
    for (label, top, left, bottom, right), squares in zip(
        regions.boxes, regions.square_distances(beyond=False)
    ):
        box = numpy.s_[top:bottom, left:right]
        found[box][regions.labels[box] == label] = numpy.sqrt(squares.astype(float))
    return found


def _distances_from_center(regions: Regions, row: Any, column: Any) -> Any:
    """Of all pixels; -1 where there is no way to a center within the object."""
    shape = regions.labels.shape
    found = numpy.full(shape, -1.0)
    found[row, column] = 0
    is_done = numpy.zeros(shape, numpy.uint8)
    boxes = (len(regions.boxes), regions.boxes)
    if call("center_distances", regions.labels, shape[1], *boxes, found, is_done):
        raise MemoryError("for pixels to be visited")
    found[is_done == 0] = -1
    return found


_geometries: weakref.WeakKeyDictionary[Any, Geometry] = weakref.WeakKeyDictionary()


def _geometry_of(objects: Any) -> Geometry | None:
    """Of objects, kept while they last and are unchanged; None: ask the original."""
    known = labels_of(objects)
    if known is None or not 1 < known.image.size < 2**31:
        return None
    if known.image.min() < 0 or known.image.max() != len(objects.indices):
        return None
    if (known.image == known.image.max()).all():  # no edge
        return None
    geometry = _geometries.get(objects)
    if geometry is None or geometry.known is not known:
        geometry = _geometries[objects] = Geometry(known, objects.indices)
    return geometry


# ------------------------------------------------------------ measurements


def do_measurements(
    original: Callable[..., Any],
    module: Any,
    workspace: Any,
    image_name: str,
    object_name: str,
    center_object_name: str | None,
    center_choice: str,
    bin_count_settings: Any,
    dd: dict[Any, Any],
) -> Any:
    """Measure one object set on one image; give the lines of a window, none here."""
    name = object_name
    if center_object_name is not None:
        name = f"{object_name}_{center_object_name}"
    found = None
    if not module.heatmaps and not module.show_window:
        use = Use(name, object_name, center_object_name is None, bin_count_settings)
        try:
            found = use.measure(workspace, image_name, dd)
        except Exception:  # the original says what is wrong, or that nothing is
            found = None
    if found is None:
        _give_to_original(name, dd)
        settings = (center_object_name, center_choice, bin_count_settings, dd)
        return original(module, workspace, image_name, object_name, *settings)
    _record(workspace.measurements, image_name, object_name, found)
    return []


def _is_plane(pixels: Any) -> bool:
    """Whether these are pixels of one channel, as kernels take them."""
    is_plain = type(pixels) is numpy.ndarray and pixels.ndim == 2
    return is_plain and pixels.dtype in (numpy.float32, numpy.float64)


@dataclass
class Use:
    """One object set with one count of bins, as a module uses it."""

    name: str
    """Under which the original keeps distances from image to image."""
    object_name: str
    is_own_center: bool
    bins: Any

    def measure(
        self, workspace: Any, image_name: str, distances: dict[Any, Any]
    ) -> Any:
        """The three features, bins x objects; None where the original has to."""
        objects = workspace.object_set.get_objects(self.object_name)
        image = workspace.image_set.get_image(image_name, must_be_grayscale=True)
        pixels = image.pixel_data
        if not _is_plane(pixels) or pixels.shape != objects.segmented.shape:
            return None
        placement = self._placement(objects, distances)
        rings = placement and placement.rings_of(self.bins.bin_count.value)
        if not placement or not rings:
            return None
        return _features(
            rings, pixels.ravel()[placement.places], self.bins.wants_scaled.value
        )

    def _placement(self, objects: Any, distances: dict[Any, Any]) -> Placement | None:
        """Of the first use of this name in a run, as the original has it for all."""
        first: _First | None = distances.get(_First.key(self.name))
        if first is None:
            first = self._first(objects, distances)
        if first is None or first.object_name != self.object_name:
            return None
        distances[_First.key(self.name)] = first
        return first.placement

    def _first(self, objects: Any, distances: dict[Any, Any]) -> _First | None:
        if self.name in distances:
            placement = _placement_of_originals(
                objects.segmented, *distances[self.name]
            )
            return _First(self.object_name, placement, None)
        geometry = _geometry_of(objects) if self.is_own_center else None
        if geometry is None:
            return None
        scaled = self.bins.wants_scaled.value
        placement = geometry.placement(
            None if scaled else self.bins.maximum_radius.value
        )
        return _First(self.object_name, placement, geometry)


@dataclass
class _First:
    """The first use of a name in a run of a module."""

    object_name: str
    placement: Placement
    geometry: Geometry | None
    """None where the original computed it."""

    @staticmethod
    def key(name: str) -> tuple[str, str]:
        return ("cpengine", name)


def _placement_of_originals(
    labels: Any, distance: Any, row: Any, column: Any, good: Any
) -> Placement:
    if labels.shape != good.shape:
        raise ValueError("these are other labels")
    places = numpy.flatnonzero(good)
    wedge = _wedges(places, labels.shape[1], row[good], column[good])
    of_pixels = labels[good].astype(numpy.int64)
    return Placement(places, of_pixels, distance[good], wedge, int(labels.max()))


def _give_to_original(name: str, distances: dict[Any, Any]) -> None:
    """Let the original go on with the distances that ours began with."""
    first: _First | None = distances.get(_First.key(name))
    if first is not None and first.geometry is not None and name not in distances:
        distances[name] = first.geometry.originals(first.placement)


def _features(rings: Rings, values: Any, is_scaled: bool) -> Any:
    """The three features, each a list of a column of objects for each bin."""
    if not numpy.abs(values).max() < _LARGEST:  # masked arrays mask what overflows
        return None
    in_rings = numpy.zeros(rings.shape, values.dtype)
    in_wedges = numpy.zeros((*rings.shape, 8), values.dtype)
    kernel = "ring_sums_" + values.dtype.name
    call(kernel, len(values), rings.place, values, in_rings, in_wedges)
    fraction = in_rings / numpy.sum(in_rings, 1)[:, numpy.newaxis]
    mean = fraction / (rings.fraction + numpy.finfo(float).eps)
    bins = rings.shape[1] - 1 if is_scaled else rings.shape[1]
    by_bin = numpy.ascontiguousarray(numpy.moveaxis(in_wedges, 1, 0)[:bins])
    variation = _variation(by_bin, rings.wedge_counts[:bins])
    return list(zip(fraction.T[:bins], mean.T[:bins], variation)), rings.shape[1] - 1


def _variation(sums: Any, counts: Any) -> Any:
    """The coefficient of variation of the means of wedges that have pixels.

    As numpy.ma computes it; what that masks is recorded as what lies under the mask.
    """
    is_empty = counts == 0
    with numpy.errstate(all="ignore"):
        means = sums / counts
        means[is_empty] = 0
        wedges = (~is_empty).sum(axis=2)
        mean = _divided(means.sum(axis=2), wedges)
        apart = means - mean[..., numpy.newaxis]
        apart[is_empty] = 0
        apart *= apart
        deviation = numpy.sqrt(_divided(apart.sum(axis=2), wedges))
        variation = _divided(deviation, mean)
    variation[wedges == 0] = 0
    return variation


def _divided(above: Any, below: Any) -> Any:
    """What is under the mask of a quotient of masked arrays is the numerator."""
    result = above / below
    is_masked = ~numpy.isfinite(result)
    is_masked |= abs(above) * numpy.finfo(float).tiny >= abs(below)
    result[is_masked] = 0
    result += is_masked * above
    return result


def _record(measurements: Any, image_name: str, object_name: str, found: Any) -> None:
    by_bin, bins = found
    for i, values in enumerate(by_bin):
        for value, (feature, beyond) in zip(values, _FEATURES):
            is_beyond = i == bins
            place = image_name if is_beyond else (image_name, i + 1, bins)
            name = (beyond if is_beyond else feature) % place
            measurements.add_measurement(object_name, name, value)


# ------------------------------------------------------------ Zernike sums


def calculate_zernikes(
    original: Callable[..., Any], module: Any, workspace: Any
) -> Any:
    """Measure magnitudes and phases of all objects on all images."""
    try:
        found = list(_all_zernikes(module, workspace))
    except Exception:  # the original says what is wrong, or that nothing is
        return original(module, workspace)
    for object_name, feature, values in found:
        workspace.measurements[object_name, feature] = values
    return None


def _all_zernikes(module: Any, workspace: Any) -> Iterator[tuple[str, str, Any]]:
    """Object, feature and values in the order of recording."""
    orders = centrosome.zernike.get_zernike_indexes(module.zernike_degree.value + 1)
    for group in module.objects:
        object_name = group.object_name.value
        circles = Circles(workspace.object_set.get_objects(object_name))
        for image_name in module.images_list.value:
            image = workspace.image_set.get_image(image_name, must_be_grayscale=True)
            magnitudes, phases = circles.measure(image, orders)
            for i, (n, m) in enumerate(orders):
                feature = module.get_zernike_magnitude_name(image_name, n, m)
                yield object_name, feature, magnitudes[i]
                if module.wants_zernikes == names.Z_MAGNITUDES_AND_PHASE:
                    feature = module.get_zernike_phase_name(image_name, n, m)
                    yield object_name, feature, phases[i]


class Circles:
    """The pixels of objects in their enclosing circles."""

    def __init__(self, objects: Any) -> None:
        self._indices = objects.indices
        centers = numpy.zeros((objects.count + 1, 2))
        radii = numpy.zeros(objects.count + 1)
        for labels, indexes in objects.get_labels():
            found = morphology.minimum_enclosing_circle(labels, indexes)
            centers[indexes], radii[indexes] = found
        self._ijv = objects.ijv
        label = self._ijv[:, 2]
        yx = (self._ijv[:, :2] - centers[label, :]) / radii[label, numpy.newaxis]
        if numpy.isinf(yx).any():
            raise ValueError("a circle has no radius")
        self._y, self._x = yx.T.copy()

    def measure(self, image: Any, orders: Any) -> tuple[Any, Any]:
        """Magnitudes and phases, each polynomials x objects; without objects where
        no pixel of them is measured."""
        pixels, ijv = image.pixel_data, self._ijv
        if not _is_plane(pixels):
            raise ValueError("this is no image of one channel")
        mask = (ijv[:, 0] < pixels.shape[0]) & (ijv[:, 1] < pixels.shape[1])
        mask[mask] = image.mask[ijv[mask, 0], ijv[mask, 1]]
        label = ijv[mask, 2]
        if len(label) == 0:
            return (numpy.zeros((len(orders), 0)),) * 2
        weights = pixels[ijv[mask, 0], ijv[mask, 1]].astype(float)
        if not numpy.isfinite(weights).all():
            raise ValueError("what is not a number may have another sign")
        place = label.astype(numpy.int64) - 1
        yx = (self._y[mask], self._x[mask])
        sums = zernike.sums(orders, place, *yx, len(self._indices), weights)
        vr, vi = numpy.ascontiguousarray(sums.T)
        area = numpy.ones(label.shape, int)
        areas = scipy.ndimage.sum(area, labels=label, index=self._indices)
        return numpy.sqrt(vr * vr + vi * vi) / areas, _phases(vr, vi)


def _phases(real: Any, imaginary: Any) -> list[Any]:
    """One polynomial after the other, as the original asks for them."""
    return [numpy.arctan2(vr, vi) for vr, vi in zip(real, imaginary)]


# ------------------------------------------------------------ self-test


class _Measurements(dict):  # type: ignore[type-arg]  # Python 3.8 takes none
    def add_measurement(self, object_name: str, feature: str, values: Any) -> None:
        self[object_name, feature] = values


def self_test() -> None:
    """Two touching objects and a ring on one image, with Zernike sums."""
    rows, columns = numpy.indices((26, 34))
    labels = numpy.where((rows < 12) & (columns < 15), 1 + (rows > 5), 0)
    labels[abs((rows - 13) ** 2 + (columns - 24) ** 2 - 30) < 25] = 3
    pixels = numpy.random.default_rng(3).random(labels.shape).astype(numpy.float32)
    objects = Objects()
    objects.segmented = labels
    module = names.MeasureObjectIntensityDistribution()
    module.images_list.value = "A"
    module.objects[0].object_name.value = "B"
    module.wants_zernikes.value = names.Z_MAGNITUDES_AND_PHASE
    plain, ours = (
        SimpleNamespace(
            object_set=SimpleNamespace(get_objects=lambda name: objects),
            image_set=SimpleNamespace(get_image=lambda name, **options: Image(pixels)),
            measurements=_Measurements(),
        )
        for _ in range(2)
    )
    with numpy.errstate(all="ignore"):
        module.run(plain)
        use = Use("B", "B", True, module.bin_counts[0])
        _record(ours.measurements, "A", "B", use.measure(ours, "A", {}))
        for object_name, feature, values in _all_zernikes(module, ours):
            ours.measurements[object_name, feature] = values
    assert list(ours.measurements) == list(plain.measurements), "features differ"
    for key, values in plain.measurements.items():
        assert values.dtype == ours.measurements[key].dtype, key
        assert values.tobytes() == ours.measurements[key].tobytes(), key


_MIRRORED = {
    _MODULE + "do_measurements": (
        "d6234a848cfbadae1f2f99831ffb5b4668098e4f091aa09278f88aca3a4eadef"
    ),
    _MODULE + "calculate_zernikes": (
        "cd69a5d991430d4d2c7bfec6c245fc7abdd2ab60d4ecd1976edc3ff3e7442d00"
    ),
    _MODULE + "run": (
        "21c2c363bcf17529a692f01ae2eef1fdd99f14114ec0d5f4ce7688295201f455"
    ),
    "centrosome.cpmorphology:distance_to_edge": (
        "0fca801b8d467746c8752b98c7e78c35607ebeceea61ae7f9fa89a3f5a1f43dc"
    ),
    "centrosome.cpmorphology:color_labels": (
        "1d7153e2bdd6ee1f624d4148545207356b1150777f14b9d0afd148b73cecd2db"
    ),
    "centrosome.cpmorphology:find_neighbors": (
        "fa2f61111146c6173968c4dbff9f6a149ab276e78237f554e53ef62f6092d5df"
    ),
    "centrosome.cpmorphology:adjacent": (
        "7c7635080622c8883da384f0f5933f636697ee131775079e97d17e0a4694f1ef"
    ),
    "centrosome.propagate:propagate": (
        "728f2e0476e7fe47f9a3175a23747d6c57a13657e6a7afb6cb9e2354d8a640ea"
    ),
    "cellprofiler_core.utilities.core.object:crop_labels_and_image": (
        "563e3e468b98a01527b2b78d084785d2a73e71f9fc54b13704ba01117cc99075"
    ),
    "scipy.ndimage._morphology:distance_transform_edt": (
        "1b769a2fd56c189fe2ccb0d22581daa7f163bf89e65d177d66c3d591e7f88e53"
    ),
    "scipy.sparse._coo:coo_matrix.toarray": (
        "76f27405f7d1502706e854707cd985918141825a44d9aeeddb75a88eeabccfa4"
    ),
    "scipy.sparse._coo:coo_matrix.__init__": (
        "def5dc05d8551049f74c2e1d81fb0bc585392b75d39a9ff0b6acf4e61997923a"
    ),
    "numpy.ma.core:MaskedArray.sum": (
        "d272a66a15727567282b522e88cb565add8a2cd698c057a43a63a347e1f962f9"
    ),
    "numpy.ma.core:MaskedArray.mean": (
        "0f6ab91ceaa4dc24daa39de483385b0d65fe4859e74a1e079db972dc02c9a338"
    ),
    "numpy.ma.core:MaskedArray.var": (
        "909d214b557cb9921b563c2e2b6f3c6fc382566e6480032144bd4f01132ea1b7"
    ),
    "numpy.ma.core:MaskedArray.std": (
        "9e0874243c3c0cc1a0d4107f6e8d9689773cb2bcddbe0fa3def8940e5f99f55f"
    ),
    "numpy.ma.core:_DomainedBinaryOperation": (
        "1314cd966da69bb3a292bf617a4941b02861d9c565abb58a6c434ea6113aebf1"
    ),
    "numpy.ma.core:_DomainSafeDivide": (
        "20b770d05843da81f9f5d100506ab6d932df3f0dccdc33e6badbd4cf6e6bed54"
    ),
    "numpy.ma.core:_MaskedBinaryOperation": (
        "6cd2f99a74c69db9b911e4d32c146f67c23ad188953b114fd6508b0d4f28a846"
    ),
}

ACCELERATION = Acceleration(
    name="intensity_distribution",
    replaces={
        _MODULE + "do_measurements": do_measurements,
        _MODULE + "calculate_zernikes": calculate_zernikes,
    },
    sources={**_MIRRORED, **zernike.SOURCES},
    versions={"numpy": "1.24.4", "scipy": "1.9.0", "centrosome": "1.2.3"},
    needs_kernels=True,
    self_test=self_test,
)
