"""Which files a pipeline will write, as its modules' settings say.

Source: `exporttospreadsheet.py` and `saveimages.py` of CellProfiler 4.2.8.
"""

import posixpath
from collections.abc import Iterator

from cpengine.inputs.pipeline import Module, Pipeline
from cpengine.inputs.pipeline_checks import OUTPUT_FOLDER

_ALL = "Export all measurement types?"


def writes(pipeline: Pipeline) -> list[str]:
    """Names below a job's folder; `*` stands for what image sets and objects name."""
    found: dict[str, None] = {}
    for module in pipeline.enabled:
        if module.name == "ExportToSpreadsheet":
            found |= dict.fromkeys(_tables(module))
        elif module.name == "SaveImages":
            found[_image(module)] = None
    return list(found)


def _tables(module: Module) -> Iterator[str]:
    prefix = ""
    if module.setting("Add a prefix to file names?") == "Yes":
        prefix = module.setting("Filename prefix") or ""
    folder = _below(module)
    if module.setting(_ALL) == "Yes":
        yield posixpath.join(folder, f"{prefix}*.csv")
        return
    kinds = module.settings_named("Data to export")
    names = module.settings_named("File name")
    own = module.settings_named("Use the object name for the file name?")
    for kind, name, is_own in zip(kinds, names, own, strict=False):
        yield posixpath.join(
            folder, prefix + (f"{kind}.csv" if is_own == "Yes" else name)
        )


def _image(module: Module) -> str:
    name = "*"
    if module.setting("Select method for constructing file names") == "Single name":
        name = module.setting("Enter single file name") or "*"
    if module.setting("Append a suffix to the image file name?") == "Yes":
        name += module.setting("Text to append to the image name") or ""
    kind = module.setting("Saved file format") or "tiff"
    return posixpath.join(_below(module), f"{name}.{kind}")


def _below(module: Module) -> str:
    """The sub-folder of the output folder."""
    place, _, folder = (module.setting("Output file location") or "").partition("|")
    return folder if place.startswith(f"{OUTPUT_FOLDER} sub-folder") else ""
