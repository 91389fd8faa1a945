"""MeasureObjectSizeShape of two-dimensional objects, each pixel seen once or twice.

What it replaces sums each of 30 Zernike polynomials over the whole image for all
objects (two thirds of the time), asks scikit-image for each element of each property of
each object anew, and makes padded images of each object for distances and neighbours.

Here a kernel counts what is whole numbers (areas, sums of coordinates, the
configurations that perimeter and Euler number are made of, squares of distances to the
edge); what follows from them is the arithmetic of scikit-image, scipy and CellProfiler
on the same numbers, with the same functions of numpy where those may round: a dot
product of a perimeter's 50 counts, a sum of an object's distances. Moments, Hu's
moments and convex hulls are computed by the originals, each once. Zernike sums are
`zernike.py`. A sum of whole numbers below 2 ** 53 is exact in any order. The convex
hull of an object's pixels is that of its outline, which the original computes again: it
takes from either only the first and last pixel of each column.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import cellprofiler.modules.measureobjectsizeshape as names
import centrosome.cpmorphology as morphology
import numpy
from cellprofiler_core.object import Objects
from skimage.measure import _moments
from skimage.measure._regionprops_utils import sqrt
from skimage.morphology.convex_hull import convex_hull_image

from . import zernike
from .acceleration import Acceleration
from .kernel_calls import call
from .label_images import labels_of
from .regions import Regions

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE = "cellprofiler.modules.measureobjectsizeshape:MeasureObjectSizeShape."
_LARGEST = 2**31


def analyze_objects(
    original: Callable[..., Any], module: Any, objects: Any, desired_properties: Any
) -> Any:
    """The features of objects, by name."""
    found = None
    if _are_plain(objects):
        try:
            found = _features(module, objects)
        except Exception:  # the original says what is wrong, or that nothing is
            found = None
    return original(module, objects, desired_properties) if found is None else found


def _are_plain(objects: Any) -> bool:
    """Whether these are objects of two dimensions that kernels can take."""
    if len(objects.shape) != 2 or objects.overlapping():
        return False
    known = labels_of(objects)
    return (
        known is not None
        and 0 < known.image.size < _LARGEST
        and known.image.min() >= 0
        and 0 < known.image.max() == len(objects.indices)
    )


def _features(module: Any, objects: Any) -> dict[str, Any]:
    known = labels_of(objects)
    assert known is not None
    regions = Regions(known)
    advanced = bool(module.calculate_advanced.value)
    points, indexes = objects.ijv, objects.indices
    hulls, hull_counts = morphology.convex_hull_ijv(points, indexes)
    props = _properties(regions, advanced)
    props.update(_radii(regions, len(indexes)))
    shortest, longest = morphology.feret_diameter(hulls, hull_counts, indexes)
    props.update(min_feret=shortest, max_feret=longest)
    features = {getattr(names, "F_" + name): props[key] for name, key in _STANDARD}
    if advanced:
        features.update(
            (getattr(names, "F_" + name), props[key]) for name, key in _ADVANCED
        )
    if module.calculate_zernikes.value:
        orders = module.get_zernike_numbers()
        scores = _zernike_scores(regions.labels, indexes, orders, hulls, hull_counts)
        for order, score in zip(orders, scores.transpose()):
            features[module.get_zernike_name(order)] = score
    return features


def _count(regions: Regions) -> tuple[Any, Any]:
    """Of each: area, sums of rows and columns, Euler number; border pixels by kind."""
    sums = numpy.zeros((len(regions.boxes), 4), numpy.int64)
    border_kinds = numpy.zeros((len(regions.boxes), 50), numpy.int64)
    columns = regions.labels.shape[1]
    boxes = (len(regions.boxes), regions.boxes)
    call("count_regions", regions.labels, columns, *boxes, sums, border_kinds)
    return sums, border_kinds


def _properties(regions: Regions, advanced: bool) -> dict[str, Any]:
    """What skimage.measure.regionprops_table gives, under its names."""
    sums, border_kinds = _count(regions)
    area = sums[:, 0]
    first, last = regions.boxes[:, 1:3], regions.boxes[:, 3:]
    box_area = (last - first).prod(axis=1)
    images = regions.images()
    convex_area = numpy.array([numpy.sum(convex_hull_image(i)) for i in images])
    props = {
        "area": area,
        "perimeter": _perimeters(border_kinds),
        "bbox_area": box_area,
        "equivalent_diameter": numpy.array(
            [(4 * a / math.pi) ** (1 / 2) for a in area]
        ),
        "extent": area / box_area,
        "convex_area": convex_area,
        "solidity": area / convex_area,
        "euler_number": sums[:, 3],
    }
    for axis in (0, 1):
        props[f"centroid-{axis}"] = sums[:, 1 + axis] / area
        props[f"bbox-{axis}"] = first[:, axis]
        props[f"bbox-{2 + axis}"] = last[:, axis]
    props.update(_roundness(area, props["perimeter"]))
    props.update(_moment_properties(images, advanced))
    return props


def _perimeters(border_kinds: Any) -> Any:
    weights = numpy.zeros(50, dtype=numpy.double)
    weights[[5, 7, 15, 17, 25, 27]] = 1
    weights[[21, 33]] = sqrt(2)
    weights[[13, 23]] = (1 + sqrt(2)) / 2
    return numpy.array([kinds @ weights for kinds in border_kinds])


def _roundness(area: Any, perimeter: Any) -> dict[str, Any]:
    least = [max(x, 1) for x in 4.0 * numpy.pi * area]
    return {
        "formfactor": 4.0 * numpy.pi * area / perimeter**2,
        "compactness": perimeter**2 / least,
    }


def _moment_properties(images: list[Any], advanced: bool) -> dict[str, Any]:
    """What follows from moments; each property of scikit-image is computed once."""
    raw, central = zip(*[_moments_of(image.astype(numpy.uint8)) for image in images])
    tensors = _inertia_tensors(numpy.array(central))
    eigenvalues = _eigenvalues(tensors)
    major, minor = eigenvalues.T
    props = {
        "major_axis_length": 4 * numpy.sqrt(major),
        "minor_axis_length": 4 * numpy.sqrt(minor),
        "eccentricity": numpy.array(
            [sqrt(1 - b / a) if a != 0 else 0.0 for a, b in eigenvalues]
        ),
        "orientation": numpy.array([_orientation(*t.flat) for t in tensors])
        * (180 / numpy.pi),
    }
    if advanced:
        normalized = [_moments.moments_normalized(mu, 3) for mu in central]
        props.update(_columns("moments", numpy.array(raw)))
        props.update(_columns("moments_central", numpy.array(central)))
        props.update(_columns("moments_normalized", numpy.array(normalized)))
        hu = [_moments.moments_hu(nu) for nu in normalized]
        props.update(_columns("moments_hu", numpy.array(hu)))
        props.update(_columns("inertia_tensor", tensors))
        props.update(_columns("inertia_tensor_eigvals", eigenvalues))
    return props


def _moments_of(image: Any) -> tuple[Any, Any]:
    """Raw and central moments of a region."""
    raw = _moments.moments(image, 3)
    center = tuple(raw[tuple(numpy.eye(2, dtype=int))] / raw[0, 0])
    return raw, _moments.moments_central(image, center, order=3)


def _inertia_tensors(central: Any) -> Any:
    tensors = numpy.zeros((len(central), 2, 2))
    area, rows, columns = central[:, 0, 0], central[:, 2, 0], central[:, 0, 2]
    tensors[:, 0, 0] = ((rows + columns) - rows) / area
    tensors[:, 1, 1] = ((rows + columns) - columns) / area
    tensors[:, 0, 1] = tensors[:, 1, 0] = -central[:, 1, 1] / area
    return tensors


def _eigenvalues(tensors: Any) -> Any:
    """Of each tensor, the largest first; clipped one by one, for the sign of zeros."""
    found = numpy.linalg.eigvalsh(tensors)
    return numpy.array(
        [sorted(numpy.clip(two, 0, None, out=two), reverse=True) for two in found]
    )


def _orientation(a: Any, b: Any, _: Any, c: Any) -> Any:
    if a - c == 0:
        return -math.pi / 4.0 if b < 0 else math.pi / 4.0
    return 0.5 * math.atan2(-2 * b, c - a)


def _columns(name: str, values: Any) -> dict[str, Any]:
    """A column for each element, named as scikit-image does."""
    return {
        "-".join([name, *map(str, place)]): values[(slice(None), *place)].copy()
        for place in numpy.ndindex(values.shape[1:])
    }


def _radii(regions: Regions, count: int) -> dict[str, Any]:
    """Of distances to the edge; the original numbers those that have pixels."""
    radii = {name: numpy.zeros(count) for name in ("max", "mean", "median")}
    for i, squares in enumerate(regions.square_distances(beyond=True)):
        distances = numpy.sqrt(squares.astype(float))
        middle = (len(squares) - 1) // 2
        ordered = numpy.sort(distances)
        radii["max"][i] = ordered[-1]
        radii["mean"][i] = distances.sum() / len(squares)
        radii["median"][i] = ordered[middle]
        if len(squares) % 2 == 0:
            radii["median"][i] = (ordered[middle] + ordered[middle + 1]) / 2
    return {name + "_radius": values for name, values in radii.items()}


def _zernike_scores(
    labels: Any, indexes: Any, orders: Any, hulls: Any, hull_counts: Any
) -> Any:
    """Scores as centrosome.zernike.zernike gives them."""
    centers, radii = morphology.minimum_enclosing_circle(
        labels, indexes, (hulls, hull_counts)
    )
    rows, columns = numpy.nonzero(labels)
    place = labels[rows, columns].astype(numpy.int64) - 1
    y = (rows - centers[place, 0]) / radii[place]
    x = (columns - centers[place, 1]) / radii[place]
    if numpy.isinf(y).any() or numpy.isinf(x).any():
        raise ValueError("a circle has no radius")
    real, imaginary = numpy.moveaxis(
        zernike.sums(orders, place, y, x, len(indexes)), 2, 0
    )
    areas = numpy.square(radii) * numpy.pi
    squares = numpy.square(real) + numpy.square(imaginary)
    return numpy.sqrt(squares) / areas[:, numpy.newaxis]


_STANDARD = (
    ("AREA", "area"),
    ("PERIMETER", "perimeter"),
    ("MAJOR_AXIS_LENGTH", "major_axis_length"),
    ("MINOR_AXIS_LENGTH", "minor_axis_length"),
    ("ECCENTRICITY", "eccentricity"),
    ("ORIENTATION", "orientation"),
    ("CENTER_X", "centroid-1"),
    ("CENTER_Y", "centroid-0"),
    ("BBOX_AREA", "bbox_area"),
    ("MIN_X", "bbox-1"),
    ("MAX_X", "bbox-3"),
    ("MIN_Y", "bbox-0"),
    ("MAX_Y", "bbox-2"),
    ("FORM_FACTOR", "formfactor"),
    ("EXTENT", "extent"),
    ("SOLIDITY", "solidity"),
    ("COMPACTNESS", "compactness"),
    ("EULER_NUMBER", "euler_number"),
    ("MAXIMUM_RADIUS", "max_radius"),
    ("MEAN_RADIUS", "mean_radius"),
    ("MEDIAN_RADIUS", "median_radius"),
    ("CONVEX_AREA", "convex_area"),
    ("MIN_FERET_DIAMETER", "min_feret"),
    ("MAX_FERET_DIAMETER", "max_feret"),
    ("EQUIVALENT_DIAMETER", "equivalent_diameter"),
)
"""CellProfiler's names and those of the properties, in the order of recording."""


def _elements(name: str, key: str, *sizes: int) -> list[tuple[str, str]]:
    return [
        ("_".join([name, *map(str, place)]), "-".join([key, *map(str, place)]))
        for place in itertools.product(*map(range, sizes))
    ]


_ADVANCED = (
    *_elements("SPATIAL_MOMENT", "moments", 3, 4),
    *_elements("CENTRAL_MOMENT", "moments_central", 3, 4),
    *_elements("NORMALIZED_MOMENT", "moments_normalized", 4, 4),
    *_elements("HU_MOMENT", "moments_hu", 7),
    *_elements("INERTIA_TENSOR", "inertia_tensor", 2, 2),
    *_elements("INERTIA_TENSOR_EIGENVALUES", "inertia_tensor_eigvals", 2),
)
"""The same of the advanced features."""


class _Workspace:
    """Has one object set, and keeps what is measured of it."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects
        self.measured: dict[str, Any] = {}

    def get_objects(self, name: str) -> Any:
        return self._objects

    def add_measurement(self, objects: str, name: str, values: Any) -> None:
        self.measured[name] = values


def self_test() -> None:
    """Objects with a hole, of one pixel, and round, with all features."""
    labels = numpy.zeros((23, 31), int)
    labels[2:9, 3:15] = 1
    labels[5:7, 8:10] = 0
    labels[12, 4] = 3
    rows, columns = numpy.indices(labels.shape)
    labels[(rows - 15) ** 2 + (columns - 22) ** 2 < 40] = 2
    objects = Objects()
    objects.segmented = labels
    plain, ours = _Workspace(objects), _Workspace(objects)
    module = names.MeasureObjectSizeShape()
    module.calculate_advanced.value = True
    with numpy.errstate(all="ignore"):
        module.run_on_objects("", plain)
        module.analyze_objects = lambda _, properties: _features(module, objects)
        module.run_on_objects("", ours)
    assert list(ours.measured) == list(plain.measured), "features differ"
    for name, values in plain.measured.items():
        found = ours.measured[name]
        assert found.dtype == values.dtype, name
        assert numpy.array_equal(found, values, equal_nan=True), name


_MIRRORED = {
    _MODULE + "analyze_objects": (
        "bd5c2d1d52f19520c7f47b1efe5d22d822986d6315bb4e3c3cad7e0f80bf55bb"
    ),
    _MODULE + "run_on_objects": (
        "90202440df98959b6b4e85b9b8725e68e208531c8cb4f20176e40efb57ed76fa"
    ),
    "skimage.measure._regionprops:RegionProperties": (
        "0e764903b67c61357054782bcaa3b200d74883ef10c9e189e706ae0d496b0203"
    ),
    "skimage.measure._regionprops:_props_to_dict": (
        "f2856c8c73821030cd20038b8afbb7f6e19b3ea8c5a9a3f65fcb266ac02e8d83"
    ),
    "skimage.measure._regionprops:regionprops_table": (
        "0c1007309371939dd377829e9b56439f9e7ad2738db0a44e5a647584034780c8"
    ),
    "skimage.measure._regionprops:regionprops": (
        "9ef0340ff31eb171686b91b60703a93696158bd560ce119b6a493d1386c523d1"
    ),
    "skimage.measure._regionprops_utils:perimeter": (
        "c61c7e952ee8a8a9c56b596490ac122620b092f06d329d0764ce3813264d6288"
    ),
    "skimage.measure._regionprops_utils:euler_number": (
        "3cfc24f892f060c0461b0bd0587ba462036f9ad2c0d70d3ab637981fd858b827"
    ),
    "skimage.measure._moments:inertia_tensor": (
        "ab8996b3ca0a7a3c7ef8b10ba3ad654136377f569a5037a76aa4c725f5be478c"
    ),
    "skimage.measure._moments:inertia_tensor_eigvals": (
        "89c79861be3fd29b03c1b4b9b596b94181f810cf33948f483d2583ef6e46a3ee"
    ),
    "skimage.measure._moments:moments": (
        "6751a9a509f80b72880fb597e5ca74842ac0b17435108f89017e7911f1c74fa6"
    ),
    "centrosome.zernike:zernike": (
        "0de25b2638c2da73ac9edcce8c66f7cbab856c3c41178df6bfbc6ecab2e6b16b"
    ),
    "centrosome.zernike:score_zernike": (
        "830586fddad1097dc4ce1e24b4773e6b1e5891fd50dc363950fe0b08dc6899ea"
    ),
    "centrosome.cpmorphology:minimum_enclosing_circle": (
        "2a47d74613dccaed00255073921e2134268fce240fd787dc6f7d6622b4f1a0e6"
    ),
    "centrosome.cpmorphology:convex_hull": (
        "70eaf35fe2b3f1ed052fc79292690829e7f39a69d4e7847eddfff12eeb637a9a"
    ),
    "centrosome.cpmorphology:convex_hull_ijv": (
        "9ea7a3042f21beb55d5fd7b8255fa48527c66cb68d5e79cdc82915485243680e"
    ),
    "centrosome.cpmorphology:median_of_labels": (
        "07237da2d45a2d13ca51def5ddb6a9959d1d3ac354a8930c2d9a521104cab08d"
    ),
    "centrosome.outline:outline": (
        "f8ac1efac34bc54e09edb9308430ce30c92b740b8621035d26c4156ce62f2715"
    ),
    "scipy.ndimage._morphology:distance_transform_edt": (
        "1b769a2fd56c189fe2ccb0d22581daa7f163bf89e65d177d66c3d591e7f88e53"
    ),
    "scipy.ndimage._measurements:mean": (
        "a61fddd1d56e09d91e895d75a7919c03505440de4d0e5e2b38f080e8ba1f3f7d"
    ),
    "scipy.ndimage._measurements:_select": (
        "9574206bfbbd50c9e37ab058dbff056bf1d42aab5305581ea178eb0dd8b8d23e"
    ),
    "cellprofiler_core.object._objects:Objects.indices": (
        "b4ce1f6b4382d33f8fddbe58bfefbb662f7cf14d022734661f98d166c274afc9"
    ),
}

ACCELERATION = Acceleration(
    name="size_shape",
    replaces={_MODULE + "analyze_objects": analyze_objects},
    sources={**_MIRRORED, **zernike.SOURCES},
    versions={"numpy": "1.24.4", "scipy": "1.9.0", "scikit-image": "0.18.3"},
    needs_kernels=True,
    self_test=self_test,
)
