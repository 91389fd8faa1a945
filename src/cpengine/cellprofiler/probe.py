"""Load a pipeline in CellProfiler, and say what CellProfiler itself objects to.

This file runs inside CellProfiler's own Python (3.8 and the standard library only) and
imports nothing of cpengine:

    probe.py PIPELINE CSV INPUT PLUGINS

It prints one JSON object: `modules`, the names of those that could be loaded; `error`,
why loading ended early, or null; `invalid`, what each enabled module says of its
settings, as `number`, `module`, `setting` and `message`. No image is opened and Java
is not started.

Source: `cellprofiler_core/pipeline/_pipeline.py` 4.2.8.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any


def main() -> None:
    """Print what is found."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # modules print, too
    json.dump(_load(*sys.argv[1:]), out)


def _load(path: str, data: str, rules: str, plugins: str) -> dict[str, Any]:
    from cellprofiler_core import preferences

    preferences.set_headless()
    if os.listdir(plugins):
        preferences.set_plugin_directory(plugins, globally=False)
    preferences.set_default_image_directory(rules)
    from cellprofiler_core.pipeline import Pipeline
    from cellprofiler_core.pipeline.event import LoadException

    logging.disable(logging.CRITICAL)
    preferences.set_data_file(data)
    errors = []
    pipeline = Pipeline()
    pipeline.add_listener(
        lambda source, event: (
            errors.append(str(event.error))
            if isinstance(event, LoadException)
            else None
        )
    )
    try:
        pipeline.load(path)
    except Exception as error:  # any module may raise what it likes
        errors.append(str(error) or type(error).__name__)
    return {
        "modules": [module.module_name for module in pipeline.modules()],
        "error": errors[0] if errors else None,
        "invalid": [] if errors else list(_invalid(pipeline)),
    }


def _invalid(pipeline: Any) -> Any:
    for module in pipeline.modules():
        if not module.enabled:
            continue
        try:
            module.test_valid(pipeline)
        except Exception as error:  # ValidationError, or what a plugin raises
            setting = getattr(error, "setting", None)
            yield {
                "number": module.module_num,
                "module": module.module_name,
                "setting": getattr(setting, "text", ""),
                "message": getattr(error, "message", "") or str(error),
            }


if __name__ == "__main__":
    main()
