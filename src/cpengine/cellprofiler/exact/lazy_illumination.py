"""Enlarged illumination functions are computed when somebody takes them.

Where an illumination function is averaged over a group ("All: Across cycles"), each
cycle adds its image and offers the function as it stands. Illumination pipelines shrink
their images before that and enlarge the function again with a Resize, which asks for
the function, smooths it and enlarges it at every cycle; only the last cycle's result is
saved. Here, Resize offers an image that is computed when it is taken.

It is computed by CellProfiler's own functions from the cycle's own sum, which no other
cycle changes while the image can be had: the image set drops its providers before the
next cycle adds to the sum. A module of the same cycle may change the function's pixels
in place: whoever takes the function itself has all computed first that Resize would
have computed from it before. An error would come later or, where nobody takes the
image, never: so only what raises none, whatever the pixels are, is put off. That is one
plane of floats, not dilated, smoothed by a median or a Gaussian filter no wider than
the plane (or 100 pixels) or not at all, and brought to a size by numbers in the
settings, from two pixels a side to `_MOST_PIXELS`. Anything else is computed at once.

CorrectIlluminationCalculate itself asks for the function at every cycle if its window
is open, which nobody sees where there is no screen; here it does not, if that raises no
error.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy
from cellprofiler.modules.correctilluminationcalculate import (
    EA_ALL_ACROSS,
    RE_MEDIAN,
    SM_GAUSSIAN_FILTER,
    SM_MEDIAN_FILTER,
    SM_NONE,
    CorrectIlluminationCalculate,
    CorrectIlluminationImageProvider,
)
from cellprofiler.modules.resize import C_MANUAL, R_BY_FACTOR, R_TO_SIZE, Resize
from cellprofiler_core.image import AbstractImage, Image
from cellprofiler_core.measurement import Measurements
from cellprofiler_core.preferences import get_headless

from .acceleration import Acceleration

if TYPE_CHECKING:
    from collections.abc import Callable

_SMOOTHED = SM_NONE, SM_MEDIAN_FILTER, SM_GAUSSIAN_FILTER
_SCALED = "Yes", "No", RE_MEDIAN
_TAKERS = "_cpengine_takers"
_MOST_PIXELS = 2**26
"""Of a larger image there might be no room for the copies that are made."""


class PutOff(AbstractImage):  # type: ignore[misc]  # CellProfiler has no types
    """Provides an image that is computed when it is first taken.

    Parameters
    ----------
    name
        The image's name.
    compute
        Gives the image.
    """

    def __init__(self, name: str, compute: Callable[[], Any]) -> None:
        self._name = name
        self._compute: Callable[[], Any] | None = compute
        self._image: Any = None

    def get_name(self) -> str:
        """The image's name."""
        return self._name

    def provide_image(self, image_set: Any) -> Any:
        """The image; None once its memory was released."""
        compute, self._compute = self._compute, None
        if compute is not None:
            self._image = compute()
        return self._image

    def release_memory(self) -> None:
        """Forget the image, as the one does that holds a computed one."""
        self._compute = self._image = None


class _Images:
    """The image set that Resize sees when it computes: one image in, one image out."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.made: Any = None

    def get_image(self, name: str) -> Any:
        return self._provider.provide_image(self)

    def add(self, name: str, image: Any) -> None:
        self.made = image


def apply_resize(
    original: Callable[..., Any],
    module: Any,
    workspace: Any,
    input_image_name: str,
    output_image_name: str,
) -> Any:
    """Resize an image, or offer to do so where it is a running average."""
    names = input_image_name, output_image_name
    provider = _running_average(workspace.image_set, *names)
    if provider is None or not (_is_safe(provider) and _resizes(module, provider)):
        return original(module, workspace, *names)

    def compute() -> Any:
        images = _Images(provider)
        stand_in = SimpleNamespace(image_set=images, display_data=SimpleNamespace())
        original(module, stand_in, *names)
        return images.made

    put_off = PutOff(output_image_name, compute)
    vars(provider).setdefault(_TAKERS, []).append(put_off)
    workspace.image_set.providers.append(put_off)
    return None


def _running_average(image_set: Any, input_name: str, output_name: str) -> Any:
    """What provides the input, if it is an average that nobody has taken yet.

    It is None where anything but that and an output that is not there yet is met.
    """
    if type(image_set) is not Measurements:
        return None
    named = [p for p in image_set.providers if p.name in (input_name, output_name)]
    if len(named) != 1 or named[0].name != input_name or input_name == output_name:
        return None
    taken = vars(image_set)["_Measurements__images"]
    provider = named[0]
    is_average = type(provider) is CorrectIlluminationImageProvider
    if not is_average or input_name in taken or output_name in taken:
        return None
    return provider if _hidden(provider, "dirty") else None


def _hidden(provider: Any, name: str) -> Any:
    return vars(provider)["_CorrectIlluminationImageProvider__" + name]


def _is_safe(provider: Any) -> bool:
    """Whether the function can be computed without an error, whatever its pixels."""
    module, total = _hidden(provider, "module"), _hidden(provider, "image_sum")
    return (
        type(total) is numpy.ndarray
        and total.ndim == 2
        and total.size > 0
        and total.dtype in (numpy.float32, numpy.float64)
        and _smooths_safely(module)
        and 0 < module.smoothing_filter_size(total.shape) <= max(*total.shape, 100)
    )


def _smooths_safely(module: Any) -> bool:
    """Whether its settings are such that no error can come, but of the image's size."""
    return (
        module.each_or_all == EA_ALL_ACROSS
        and not module.dilate_objects.value
        and module.rescale_option.value in _SCALED
        and module.smoothing_method.value in _SMOOTHED
    )


def _resizes(module: Any, provider: Any) -> bool:
    """Whether Resize can do so without an error and without another image."""
    if module.show_window or type(module) is not Resize:
        return False
    is_manual = module.use_manual_or_image.value == C_MANUAL
    method = module.size_method.value
    if method != R_BY_FACTOR and not (method == R_TO_SIZE and is_manual):
        return False
    plane = Image(numpy.zeros(_hidden(provider, "image_sum").shape, numpy.float32))
    shape = numpy.asarray(module.resized_shape(plane, None), float)
    return bool(numpy.all(shape >= 2) and numpy.prod(shape) <= _MOST_PIXELS)


def run(original: Callable[..., Any], module: Any, workspace: Any) -> Any:
    """Add an image to an average, as if the window was closed."""
    saves_others = module.save_average_image.value or module.save_dilated_image.value
    is_asked = get_headless() and module.show_window
    if not is_asked or saves_others or not _smooths_safely(module):
        return original(module, workspace)
    module.show_window = False
    try:
        original(module, workspace)
    finally:
        module.show_window = True
    providers = workspace.image_set.providers
    if not _is_safe(providers[-1]):  # an error is now ours, and the job is run again
        provider = providers.pop()
        provider.provide_avg_image()
        provider.provide_dilated_image()
        providers.append(provider)
        provider.provide_image(workspace.image_set)
    return None


def provide_image(original: Callable[..., Any], provider: Any, image_set: Any) -> Any:
    """Provide the function, once all is computed that was to be made of it."""
    image = original(provider, image_set)
    for put_off in vars(provider).pop(_TAKERS, ()):
        put_off.provide_image(image_set)
    return image


def self_test() -> None:
    """Enlarge the average of two small images at once, and when it is taken."""
    made = [_enlarged(Resize.apply_resize), _enlarged(_put_off)]
    plain, ours = ((i.pixel_data, i.mask) for i in made)
    for a, b in zip(plain, ours):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


def _put_off(module: Any, workspace: Any, *names: str) -> None:
    apply_resize(Resize.apply_resize, module, workspace, *names)
    assert type(workspace.image_set.providers[-1]) is PutOff


def _enlarged(resize: Callable[..., Any]) -> Any:
    """An enlarged average of two small images."""
    averaging, enlarging = CorrectIlluminationCalculate(), Resize()
    averaging.each_or_all.value = EA_ALL_ACROSS
    averaging.smoothing_method.value = SM_GAUSSIAN_FILTER
    enlarging.resizing_factor_x.value = enlarging.resizing_factor_y.value = 3
    enlarging.show_window = False
    provider = CorrectIlluminationImageProvider("A", averaging)
    rng = numpy.random.RandomState(1)
    for _ in range(2):
        provider.add_image(Image(rng.uniform(size=(5, 7))))
    images = Measurements(mode="memory")
    try:
        images.providers.append(provider)
        resize(enlarging, SimpleNamespace(image_set=images), "A", "B")
        return images.get_image("B")
    finally:
        images.close()


_PROVIDER = (
    "cellprofiler.modules.correctilluminationcalculate:CorrectIlluminationImageProvider"
)
_AVERAGING = (
    "cellprofiler.modules.correctilluminationcalculate:CorrectIlluminationCalculate"
)
_RESIZE = "cellprofiler.modules.resize:Resize"
_STORED = "cellprofiler_core.measurement._measurements:Measurements"
_VANILLA = "cellprofiler_core.image.abstract_image._vanilla_image:VanillaImage"
_IMAGE = "cellprofiler_core.image._image:Image"

ACCELERATION = Acceleration(
    name="lazy_illumination",
    replaces={
        _RESIZE + ".apply_resize": apply_resize,
        _PROVIDER + ".provide_image": provide_image,
        _AVERAGING + ".run": run,
    },
    sources={
        _PROVIDER: "75f11359547d4dcfdffbd31a10a7aba3a31c2644446686fef291898cc9b3de69",
        _AVERAGING: "b881c8a0202a3408492c3f9a673dbdf33a8dfbf3b0ff5bec742cb662e14cae5d",
        _RESIZE: "cb79cd1fe55683d9ba0ec0c273772a8a1223e5e87e5366f2ea9b31625020678b",
        _STORED: "a93990845c487310e9abdaf4495f44568d6385f9a4d3b830a5859a7e49b83b82",
        _VANILLA: "12172a97d6a6f106109e3f5b40b93781a6618f2093d364db4cce9c17229fec73",
        _IMAGE: "c8c52dcddb02face90d3477970947c3283d967034b57cd31dadab762ed404daa",
    },
    versions={"numpy": "1.24.4", "scikit-image": "0.18.3", "scipy": "1.9.0"},
    self_test=self_test,
)
