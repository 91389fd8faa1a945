"""Modules prepare no windows where there is no screen.

A headless CellProfiler takes each module's window state from the pipeline file, and a
module with an open window computes what the window would show: statistics, pictures,
copies of label images. Nobody ever sees them. Results are the same because a module
only puts its window's content in `workspace.display_data`, which only windows read. The
state is given back after each module: Experiment.csv holds the pipeline's text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellprofiler_core.preferences import get_headless

from .acceleration import Acceleration

if TYPE_CHECKING:
    from collections.abc import Callable


def run_module(original: Callable[..., Any], module: Any, workspace: Any) -> Any:
    """Run a module of a headless CellProfiler as one whose window is closed."""
    if not (get_headless() and module.show_window):
        return original(module, workspace)
    module.show_window = False
    try:
        return original(module, workspace)
    finally:
        module.show_window = True


_RUN_MODULE = "cellprofiler_core.pipeline._pipeline:Pipeline.run_module"

ACCELERATION = Acceleration(
    name="windows",
    replaces={_RUN_MODULE: run_module},
    sources={
        _RUN_MODULE: "a629c58c7be27ada0a972366a648c22fada433a321ec4da48db7d8867e3383a8",
    },
)
