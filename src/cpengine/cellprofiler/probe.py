"""Load pipelines in CellProfiler, and say what CellProfiler itself makes of them.

This file runs inside CellProfiler's own Python (3.8 and the standard library only) and
imports nothing of cpengine:

    probe.py [PLUGINS]

Each line of standard input names a folder that holds `any.cppipe` or `any.json`,
`load_data.csv` and `input`; for each one, a JSON object is printed as a line:

`error`, `failed`
    why loading ended early and in which module, or null; of a module whose plugin
    failed, why it did;
`loaded`
    how many modules could be loaded;
`newer`
    modules that a newer CellProfiler has saved, with both revisions;
`without_mysqldb`
    ExportToDatabase modules, where the library is not there that they load;
`objections`
    what each setting and module that is not valid says.

No image is opened and Java is not started.

Source: `cellprofiler_core/pipeline/_pipeline.py` and `cellprofiler_core/module/
_module.py` of CellProfiler 4.2.8.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import glob
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

BY_IMAGE_FILES = ("Images", "Metadata", "NamesAndTypes", "Groups")
"""Modules that need Java to say whether they are valid."""


def main() -> None:
    """Print what is found, a line a pipeline, until standard input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # modules print, too
    from cellprofiler_core import preferences

    preferences.set_headless()
    if sys.argv[1:]:
        preferences.set_plugin_directory(sys.argv[1], globally=False)
    # The import fills CellProfiler's table of modules, plugins included.
    import cellprofiler_core.modules  # noqa: F401 - for what its import does

    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        folder = line.rstrip("\n")
        preferences.set_data_file(os.path.join(folder, "load_data.csv"))
        preferences.set_default_image_directory(os.path.join(folder, "input"))
        (path,) = glob.glob(os.path.join(folder, "any.*"))
        out.write(json.dumps(_seen(path)) + "\n")
        out.flush()


def _seen(path: str) -> dict[str, Any]:
    from cellprofiler_core.pipeline import Pipeline
    from cellprofiler_core.pipeline.event import LoadException

    errors: list[tuple[str, str | None]] = []
    pipeline = Pipeline()
    pipeline.add_listener(
        lambda source, event: (
            errors.append((str(event.error), event.module_name))
            if isinstance(event, LoadException)
            else None
        )
    )
    with _Revisions() as newer:
        try:
            pipeline.load(path)
        except Exception as error:  # any module may raise what it likes
            errors.append((str(error) or type(error).__name__, None))
    why, failed = errors[0] if errors else (None, None)
    return {
        "error": why and why + _why_no_plugin(why),
        "failed": failed,
        "loaded": len(pipeline.modules(False)),
        "newer": newer,
        "without_mysqldb": [_name(m) for m in pipeline.modules() if _lacks_mysqldb(m)],
        "objections": [] if errors else list(_objections(pipeline)),
    }


def _why_no_plugin(error: str) -> str:
    """Why a plugin failed whose module an error says is missing."""
    from cellprofiler_core.utilities.core.modules import badmodules

    for name, why in badmodules:
        if error.lower() == f"could not find the {name} module":
            return f": {type(why).__name__}: {why}"
    return ""


class _Revisions:
    """While pipelines are loaded: collects modules of a newer revision than ours."""

    def __enter__(self) -> list[dict[str, Any]]:
        from cellprofiler_core.module import Module

        self._class, self._original = Module, Module.set_settings_from_values
        found: list[dict[str, Any]] = []

        def load(module: Any, values: Any, revision: Any, name: str) -> Any:
            ours = module.variable_revision_number
            # From JSON it is the path of its class.
            own = name.rpartition(".")[2] == module.module_name
            if own and int(revision) > ours:
                numbers = {"revision": int(revision), "installed": ours}
                found.append(dict(_name(module), **numbers))
            return self._original(module, values, revision, name)

        Module.set_settings_from_values = load
        return found

    def __exit__(self, *error: object) -> None:
        self._class.set_settings_from_values = self._original


def _name(module: Any) -> dict[str, Any]:
    return {"number": module.module_num, "module": module.module_name}


def _lacks_mysqldb(module: Any) -> bool:
    """Whether it cannot write a database, not even one of SQLite."""
    return not getattr(sys.modules[type(module).__module__], "HAS_MYSQL_DB", True)


def _visible(module: Any) -> list[Any]:
    try:
        return list(module.visible_settings())
    except Exception:  # a module may not know what it shows for a value
        return list(module.settings())


def _objections(pipeline: Any) -> Iterator[dict[str, Any]]:
    objects: dict[str, int] = {}
    for module in pipeline.modules():
        if module.module_name in BY_IMAGE_FILES:
            continue
        yield from _made_again(module, objects)
        for setting in _visible(module):
            error = _error(setting.test_valid, pipeline)
            lacking = _lacking(setting, module, pipeline) if error else None
            if error and lacking is not False:
                yield _objection(module, setting, error, lacking or [])
        if error := _error(module.validate_module, pipeline):
            yield dict(_objection(module, error.setting, error, []), whole=True)


def _made_again(module: Any, objects: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Objects that an earlier module makes, too; CellProfiler looks at that late."""
    from cellprofiler_core.setting import ValidationError
    from cellprofiler_core.setting.text import LabelName

    for setting in _visible(module):
        if isinstance(setting, LabelName):
            before = objects.setdefault(setting.value, module.module_num)
            if before != module.module_num:
                message = f"{setting.value} are objects of module {before} already"
                yield _objection(module, setting, ValidationError(message, setting), [])


def _error(check: Any, pipeline: Any) -> Any:
    """The objection that a check raises; other exceptions are no opinion."""
    from cellprofiler_core.setting import ValidationError

    try:
        check(pipeline)
    except ValidationError as error:
        return error
    except Exception:  # a fault of the module: its run may never come there
        return None


def _lacking(setting: Any, module: Any, pipeline: Any) -> Any:
    """What a setting names and nothing provides; False if all of it is there.

    LoadData gives its images to modules before it, too.
    """
    from cellprofiler_core.setting.subscriber import ListSubscriber, Subscriber

    if not isinstance(setting, (ListSubscriber, Subscriber)):
        return None
    value = setting.value
    names = value if isinstance(setting, ListSubscriber) else [value]
    loaded = {
        name
        for other in pipeline.modules()
        for name in other.other_providers(setting.group)
    }
    fit = {choice[0] for choice in setting.get_choices(pipeline)} | loaded
    made = loaded | set(pipeline.get_provider_dictionary(setting.group, module))
    return not fit.issuperset(names) and [name for name in names if name not in made]


def _objection(
    module: Any, setting: Any, error: Any, lacking: list[str]
) -> dict[str, Any]:
    return dict(
        _name(module),
        setting=getattr(setting, "text", ""),
        value=str(getattr(setting, "value_text", ""))[:100],
        message=error.message,
        kinds=[kind.__name__ for kind in type(setting).__mro__],
        lacking=lacking,
        whole=False,
    )


if __name__ == "__main__":
    main()
