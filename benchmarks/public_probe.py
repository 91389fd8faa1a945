"""Ask plain CellProfiler about many pipelines in one process.

This file runs inside CellProfiler's own Python (3.8, CellProfiler's own packages only)
and imports nothing of cpengine:

    public_probe.py asks     a pipeline's file a line on standard input
    public_probe.py passes   {"pipeline": ..., "table": ..., "input": ...} a line

It answers each line with a JSON object. `asks`: what a pipeline wants of a LoadData
table. `passes`: whether it loads and `prepare_run` goes through on a table, as in
`cellprofiler -c -r`; `error` is CellProfiler's own if not.

Source: `cellprofiler_core/pipeline/_pipeline.py` 4.2.8.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
import traceback
from typing import Any

LOADERS = ("LoadData", "LoadText")
COLOUR = ("ColorToGray", "UnmixColors")
RULED = ("FlagImage", "FilterObjects")
EXPORTS = ("ExportToSpreadsheet", "ExportToDatabase")
IN_NAME = re.compile(r"\\g<(\w+)>")
COLUMN = re.compile(r"(?<![A-Za-z])Metadata_(\w+)")


def main() -> None:
    """Answer each line."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # modules print, too
    from cellprofiler_core import preferences

    preferences.set_headless()
    logging.disable(logging.CRITICAL)
    answer = {"asks": _asks, "passes": _passes}[sys.argv[1]]
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            preferences.set_default_output_directory(folder)
            out.write(json.dumps(answer(json.loads(line))) + "\n")
            out.flush()


def _load(path: str) -> tuple[Any, str | None]:
    """The pipeline, and why loading ended early."""
    from cellprofiler_core.pipeline import LoadException, Pipeline

    errors: list[str] = []
    pipeline = Pipeline()
    pipeline.add_listener(
        lambda source, event: (
            errors.append(_traceback_of(event.error))
            if isinstance(event, LoadException)
            else None
        )
    )
    try:
        pipeline.load(path)
    except Exception as error:  # any module may raise what it likes
        errors.append(_traceback_of(error))
    return pipeline, errors[0] if errors else None


def _traceback_of(error: BaseException) -> str:
    """An exception with its traceback, as CellProfiler's log has it."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(lines).rstrip()


def _asks(path: str) -> dict[str, Any]:
    pipeline, error = _load(path)
    modules = [module for module in pipeline.modules(False) if module.enabled]
    loader = next((m for m in modules if m.module_name in LOADERS), None)
    group = []
    if loader is not None and loader.wants_image_groupings.value:
        group = list(loader.metadata_fields.selections)
    images, objects = _wanted(modules)
    return {
        "error": error,
        "load_data": loader is not None,
        "group": group,
        "tags": sorted(set(group).union(*map(_tags, modules))),
        "images": images,
        "objects": objects,
        "rules": {k: v for module in modules for k, v in _rules(module).items()},
    }


def _wanted(modules: list[Any]) -> tuple[dict[str, str], list[str]]:
    """Images, by how they are used, and objects that no earlier module makes."""
    from cellprofiler_core.setting.subscriber import Subscriber
    from cellprofiler_core.setting.text.alphanumeric.name import Name

    made: dict[str, set[str]] = {"imagegroup": set(), "objectgroup": set()}
    wanted: dict[str, dict[str, str]] = {"imagegroup": {}, "objectgroup": {}}
    for module in modules:
        if module.module_name in EXPORTS:
            continue  # what it does not find, it leaves out
        settings = module.visible_settings()
        for setting in settings:
            if isinstance(setting, Subscriber) and setting.group in wanted:
                for name in _names(setting):
                    if name not in made[setting.group]:
                        use = _use(module, setting)
                        wanted[setting.group].setdefault(name, use)
        for setting in settings:
            if isinstance(setting, Name) and setting.group in made:
                made[setting.group].add(setting.value)
    return wanted["imagegroup"], sorted(wanted["objectgroup"])


def _names(setting: Any) -> list[str]:
    """What a setting names; some have the whole of an older list as one name."""
    if setting.is_blank:
        return []
    value = setting.value
    text = ",".join(value) if isinstance(value, list) else value
    return [name for name in re.split(", *", text) if name not in ("", "None")]


def _use(module: Any, setting: Any) -> str:
    if "illumination function" in setting.text:
        return "function"
    return "colour" if module.module_name in COLOUR else "image"


def _tags(module: Any) -> set[str]:
    """Metadata that a module's settings name, but for columns that it only exports."""
    texts = [str(setting.value_text) for setting in module.visible_settings()]
    found = {tag for text in texts for tag in IN_NAME.findall(text)}
    if module.module_name not in EXPORTS:
        found.update(tag for text in texts for tag in COLUMN.findall(text))
    return found


def _rules(module: Any) -> dict[str, str]:
    """Rules files below the Default Input Folder, and of what their measurements are.

    Classifiers are left out: nobody can make one up.
    """
    from cellprofiler_core.preferences import get_default_image_directory
    from cellprofiler_core.setting.text import Directory, Filename

    if module.module_name not in RULED:
        return {}
    found: dict[str, str] = {}
    folder, top = "", get_default_image_directory()
    of = module.x_name.value if module.module_name == "FilterObjects" else "Image"
    for setting in module.visible_settings():
        if isinstance(setting, Directory):
            folder = setting.get_absolute_path()
        elif isinstance(setting, Filename):
            place = os.path.relpath(os.path.join(folder, setting.value), top)
            if not place.startswith(os.pardir):
                found[place] = of
    return found


def _passes(asked: dict[str, str]) -> dict[str, str | None]:
    from cellprofiler_core import preferences

    preferences.set_default_image_directory(asked["input"])
    preferences.set_data_file(asked["table"])
    pipeline, error = _load(asked["pipeline"])
    return {"error": error or _prepare(pipeline)}


def _prepare(pipeline: Any) -> str | None:
    """Why `prepare_run` does not go through; None if it does."""
    from cellprofiler_core.image import ImageSetList
    from cellprofiler_core.measurement import Measurements
    from cellprofiler_core.pipeline import PrepareRunError
    from cellprofiler_core.pipeline.event.run_exception import PrepareRunException
    from cellprofiler_core.workspace import Workspace

    errors: list[str] = []

    def listen(source: Any, event: Any) -> None:
        if isinstance(event, PrepareRunException):
            errors.append(_traceback_of(event.error))
        elif isinstance(event, PrepareRunError):
            errors.append(str(event.message))

    pipeline.add_listener(listen)
    measurements = Measurements()
    try:
        workspace = Workspace(
            pipeline, None, None, None, measurements, ImageSetList(), None
        )
        if pipeline.prepare_run(workspace) and not errors:
            return None
    except Exception as error:  # as above
        errors.append(_traceback_of(error))
    finally:
        measurements.close()
    return errors[0] if errors else "prepare_run gave False: the run ends there"


if __name__ == "__main__":
    main()
