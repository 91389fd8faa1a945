"""Files beyond the input folder that a pipeline names by their whole paths.

CellProfiler opens them where they are, so they must be on the machine that runs it.

Source: `filterobjects.py`, `flagimage.py`, `classifyobjects.py`, `untangleworms.py`,
`straightenworms.py`, `matchtemplate.py` and `runimagejmacro.py` of CellProfiler 4.2.8.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from cpengine.inputs.pipeline import Pipeline


def named_files(pipe: Pipeline) -> set[str]:
    """The paths of rules, classifiers, training sets, templates and macros."""
    return {path for path in _paths(pipe) if path.startswith("/")}


def _paths(pipe: Pipeline) -> Iterator[str]:
    for _, folder, file in pipe.files_read():
        kind, _, below = folder.partition("|")
        yield os.path.join(below if kind.startswith("Elsewhere") else "", file)
    for module in pipe.enabled:
        if module.name == "MatchTemplate":
            yield module.setting("Template") or ""
        if module.name == "RunImageJMacro":
            below = (module.setting("Macro directory") or "").partition("|")[2]
            yield os.path.join(below, module.setting("Macro") or "")


def read_named_files(pipe: Pipeline) -> dict[str, bytes]:
    """What those hold that can be read on this machine, by their paths."""
    found = {}
    for path in named_files(pipe):
        with contextlib.suppress(OSError, ValueError):  # no path of this machine
            if os.path.isfile(path):  # a pipe would be waited for
                found[path] = Path(path).read_bytes()
    return found
