"""Read a pipeline in JSON, as CellProfiler 4.2 and 5 export it beside `.cppipe`.

CellProfiler reads a file as JSON if its name ends in `.json`.

Source: `cellprofiler_core/pipeline/io/_v6.py` 4.2.8.
"""

import json
from collections.abc import Iterator
from typing import Any

from cpengine import rules
from cpengine.errors import InputError

_EXPORT = "export it again with File > Export > Pipeline"

ModuleFields = tuple[str, int, bool, tuple[tuple[str, str], ...], int]
"""A module's name, its number, whether it is enabled, settings and revision."""


def read(text: str, path: str) -> tuple[str, list[ModuleFields]]:
    """The CellProfiler that wrote a pipeline, digits only, and the modules' fields.

    Raises
    ------
    InputError
        It is not JSON, or not what CellProfiler writes.
    """
    try:
        content = json.loads(text)
        return str(content["date_revision"]), list(_modules(content["modules"]))
    except json.JSONDecodeError as error:
        cause = f"is no JSON ({error})"
    except (
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
    ) as error:
        cause = f"is JSON, but no pipeline ({type(error).__name__}: {error})"
    raise InputError(rules.PIPELINE_UNREADABLE.found(path, cause, _EXPORT))


def _modules(content: list[dict[str, Any]]) -> Iterator[ModuleFields]:
    for module in content:
        attributes = module["attributes"]
        settings = module["settings"]
        yield (
            attributes["module_name"],
            int(attributes["module_num"]),
            bool(attributes["enabled"]),
            tuple((text.get("text") or "", str(text["value"])) for text in settings),
            int(attributes.get("variable_revision_number", 0)),
        )
