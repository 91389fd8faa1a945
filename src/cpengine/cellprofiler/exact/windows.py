"""Measuring modules and Resize prepare no windows where there is no screen.

A headless CellProfiler takes each module's window state from the pipeline file, and a
module with an open window computes what the window would show: statistics, copies of
images. Nobody ever sees them. Results are the same because these modules only put what
they have into `workspace.display_data`, which only windows read, and none of it can
raise an error. Of other modules some can (DisplayHistogram, of a column of text), and
those have their windows. The state is given back after each module: Experiment.csv
holds the pipeline's text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellprofiler_core.preferences import get_headless

from .acceleration import Acceleration

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN_MODULE = "cellprofiler_core.pipeline._pipeline:Pipeline.run_module"
_MODULES = "cellprofiler.modules."
_WINDOWS = {
    _MODULES + "measurecolocalization:MeasureColocalization.run": (
        "dd77ad4cc3d8a8e0dadd2454d3322d612ab509cb568f7f06f574fe5c15ad4c2b"
    ),
    _MODULES + "measuregranularity:MeasureGranularity.run": (
        "fb58e27c0fc6bcde0571ca73ba9476d016375106309a06b59e1f8ea02807542b"
    ),
    _MODULES + "measureobjectintensity:MeasureObjectIntensity.run": (
        "3618d7831b5d66f5c79c78472eac639d5382e8096e2985f80b42cdd5cfd98f8b"
    ),
    _MODULES + "measureobjectintensitydistribution:"
    "MeasureObjectIntensityDistribution.run": (
        "21c2c363bcf17529a692f01ae2eef1fdd99f14114ec0d5f4ce7688295201f455"
    ),
    _MODULES + "measureobjectsizeshape:MeasureObjectSizeShape.record_measurement": (
        "607a7b9b607e2e6e10c4d94f40594f87f33198d0c782d9bb3e71b4484f4abfbf"
    ),
    _MODULES + "measureobjectsizeshape:MeasureObjectSizeShape.run": (
        "d9a6f0b799c6e0a796d59d480fa33f09df583afc777b5f6de0013092e3bc304a"
    ),
    _MODULES + "measuretexture:MeasureTexture.run": (
        "a3e44d18050c9af7211e43c78c751e1a3af6546a8177e70c3e15f44086d215cc"
    ),
    _MODULES + "resize:Resize.apply_resize": (
        "4701a47029f99edc168e2cbfd1d90bd0662ac2dad10204c533bbc50e47132ca5"
    ),
}
"""Where the content of windows is put together, and the sha256 of what was read."""
_TYPES = {path.partition(":")[2].partition(".")[0] for path in _WINDOWS}


def run_module(original: Callable[..., Any], module: Any, workspace: Any) -> Any:
    """Run a module of a headless CellProfiler as one whose window is closed."""
    if not (get_headless() and module.show_window and _is_known(module)):
        return original(module, workspace)
    module.show_window = False
    try:
        return original(module, workspace)
    finally:
        module.show_window = True


def _is_known(module: Any) -> bool:
    """Whether it is one of those modules itself, and none made of it."""
    kind = type(module)
    return kind.__name__ in _TYPES and kind.__module__.startswith(_MODULES)


ACCELERATION = Acceleration(
    name="windows",
    replaces={_RUN_MODULE: run_module},
    sources={
        _RUN_MODULE: "a629c58c7be27ada0a972366a648c22fada433a321ec4da48db7d8867e3383a8",
        **_WINDOWS,
    },
)
