"""What a run of MeasureColocalization knows about its images, object sets and masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy
from cellprofiler_core.image import Image

from .kernel_calls import call, is_measurable, item_type, suffix

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 512 << 20
"""What is remembered during a run; what is over it is computed again."""
MOST_MASKS = 8
"""Different masks of pairs in a run; with more, the original is asked."""


@dataclass
class MeasuredImage:
    """An image that can be measured."""

    number: int
    image: Any
    pixels: Any
    """float32 or float64, contiguous, all finite."""


@dataclass(frozen=True)
class Pair:
    """Two images of the same size."""

    first: MeasuredImage
    second: MeasuredImage
    mask: int
    """The number of the pixels that are in both masks; 0 is all."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What no other pair of this run has."""
        return self.first.number, self.second.number, self.mask

    @property
    def suffix(self) -> str:
        """What the names of kernels for these two images end with."""
        return suffix(self.first.pixels) + "_" + suffix(self.second.pixels)


@dataclass(frozen=True)
class Region:
    """The pixels of an object set that a pair's mask leaves."""

    number: int
    """That of the object set."""
    mask: int
    places: Any
    """Of the pixels in the image, int32."""
    labels: Any
    """Of the pixels, int32."""
    counts: Any
    """The pixels of each object, float64, from label 0."""

    @property
    def size(self) -> int:
        return len(self.places)

    def sums(self, rows: int = 1) -> Any:
        """Zeros for sums that are added up by label."""
        return numpy.zeros((rows, len(self.counts)))


@dataclass
class ModuleRun:
    """What a run of the module remembers."""

    channels: dict[str, MeasuredImage] = field(default_factory=dict)
    masks: list[Any] = field(default_factory=list)
    memory: dict[Any, Any] = field(default_factory=dict)
    costes: Any = None
    """The last two images whose thresholds were found: settings, both, the result."""
    left: int = MOST_BYTES
    numbers: int = 0

    def new_number(self) -> int:
        """A number that nothing else in this run has."""
        self.numbers += 1
        return self.numbers

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What `compute` gives, which is remembered if there is room."""
        if key in self.memory:
            return self.memory[key]
        value = compute()
        size = _bytes(value)
        if size <= self.left:
            self.left -= size
            self.memory[key] = value
        return value


def _bytes(value: Any) -> int:
    if isinstance(value, numpy.ndarray):
        return int(value.nbytes)
    parts = value if isinstance(value, tuple) else vars(value).values()
    return sum(part.nbytes for part in parts if isinstance(part, numpy.ndarray))


def pair_of(run: ModuleRun, workspace: Any, names: tuple[str, ...]) -> Pair | None:
    """Two images that can be measured; None if the original has to be asked."""
    try:
        return _pair_of(run, workspace, names)
    except Exception:  # whatever it is: the original raises its own
        return None


def _pair_of(run: ModuleRun, workspace: Any, names: tuple[str, ...]) -> Pair | None:
    first, second = [_channel(run, workspace, name) for name in names]
    if first is None or second is None or first.pixels.shape != second.pixels.shape:
        return None
    mask = _mask_number(run, first.image, second.image)
    return None if mask is None else Pair(first, second, mask)


def _channel(run: ModuleRun, workspace: Any, name: str) -> MeasuredImage | None:
    image = workspace.image_set.get_image(name, must_be_grayscale=True)
    known = run.channels.get(name)
    if known is not None and known.image is image:
        return known
    if type(image) is not Image or not is_measurable(image.pixel_data):
        return None
    pixels = image.pixel_data
    channel = MeasuredImage(run.new_number(), image, numpy.ascontiguousarray(pixels))
    run.channels[name] = channel
    return channel


def _mask_number(run: ModuleRun, first: Any, second: Any) -> int | None:
    """The number of a pair's mask; None if it has another size, or there are too many.

    An image without a mask of its own has one that is all true.
    """
    if not (first.has_mask or second.has_mask):
        return 0
    shape = first.pixel_data.shape
    if first.mask.shape != shape or second.mask.shape != shape:
        return None
    mask = first.mask & second.mask
    if mask.all():
        return 0
    for number, known in enumerate(run.masks, 1):
        if numpy.array_equal(known, mask):
            return number
    if len(run.masks) == MOST_MASKS:
        return None
    run.masks.append(mask)
    return len(run.masks)


def selected(run: ModuleRun, pair: Pair) -> tuple[Any, Any]:
    """The pixels that a pair compares, as the original takes them: two copies."""
    if pair.mask == 0:
        return pair.first.pixels.flatten(), pair.second.pixels.flatten()
    mask = run.masks[pair.mask - 1]
    return pair.first.pixels[mask], pair.second.pixels[mask]


def ranks_of(pixels: Any, places: Any = None) -> Any:
    """The rank of each pixel's value among the different ones, int32."""
    size = pixels.size if places is None else len(places)
    ranks = numpy.empty(size, numpy.int32)
    items, spare = numpy.empty((2, size), item_type(pixels))
    call(
        "colocalization_rank_" + suffix(pixels),
        *(size, places, pixels, items, spare, ranks),
    )
    return ranks
