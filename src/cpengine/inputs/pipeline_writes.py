"""Which files a pipeline will write, as its modules' settings say.

Source: `exporttospreadsheet.py`, `exporttodatabase.py`, `saveimages.py` and
`savecroppedobjects.py` of CellProfiler 4.2.8. Settings that another one switches off
are in the text all the same.
"""

import posixpath
from collections.abc import Iterator

from cpengine.inputs.pipeline import Module, Pipeline
from cpengine.inputs.pipeline_checks import OUTPUT_FOLDER, PLACES

_ENDINGS = {"tif": "tiff", "jpg": "jpeg", "8-bit tiff": "tiff", "16-bit tiff": "tiff"}
"""What CellProfiler makes of formats, older ones included."""
_NO_OBJECTS = {"Image", "Experiment", "Object relationships"}
_HOW_MANY_TABLES = (
    "Create one table per object, a single object table or a single object view?"
)


def writes(pipeline: Pipeline) -> list[str]:
    """Names below a job's folder; `*` stands for what image sets and objects name."""
    modules = (module for module in pipeline.enabled if module.name in _NAMES)
    return list(dict.fromkeys(name for module in modules for name in _files(module)))


def fixed_names(pipeline: Pipeline) -> list[str]:
    r"""Of those, the names that image sets change by metadata alone (`\g<Well>`).

    Where all tables are exported, that of images is one of them.
    """
    modules = [m for m in pipeline.enabled if m.name in _NAMES and _is_in_output(m)]
    found = [
        name.replace("*", "Image" if module.name == "ExportToSpreadsheet" else "*")
        for module in modules
        for name in _files(module)
    ]
    return [name for name in dict.fromkeys(found) if "*" not in name]


def _is_in_output(module: Module) -> bool:
    return next(iter(module.settings_named(*PLACES)), "").startswith(OUTPUT_FOLDER)


def _files(module: Module) -> Iterator[str]:
    folder = _below(module)
    return (posixpath.join(folder, name) for name in _NAMES[module.name](module))


def _tables(module: Module) -> Iterator[str]:
    prefix = ""
    if module.setting("Add a prefix to file names?") == "Yes":
        prefix = module.setting("Filename prefix") or ""
    is_csv = module.setting("Select the column delimiter") in (None, 'Comma (",")')
    ending = "csv" if is_csv else "txt"
    if module.setting("Export all measurement types?") == "Yes":
        yield f"{prefix}*.{ending}"
        return
    kinds = module.settings_named("Data to export")
    names = module.settings_named("File name")
    own = module.settings_named("Use the object name for the file name?")
    joined = module.settings_named(
        "Combine these object measurements with those of the previous object?"
    )
    before = ""
    for kind, name, is_own, is_joined in zip(kinds, names, own, joined, strict=False):
        objects = kind not in _NO_OBJECTS
        if not (objects and before and is_joined == "Yes"):
            yield prefix + (f"{kind}.{ending}" if is_own == "Yes" else name)
        before = kind if objects else ""


def _database(module: Module) -> Iterator[str]:
    file = module.setting("Name the SQLite database file") or "*.db"
    if module.setting("Database type") == "SQLite":
        yield file
    else:
        file = "*"
    name = file.rpartition(".")[0] or file
    if module.setting("Add a prefix to table names?") == "Yes":
        name += f"_{(module.setting('Table prefix') or '').removesuffix('_')}"
    if module.setting("Create a CellProfiler Analyst properties file?") == "Yes":
        is_each = module.setting(_HOW_MANY_TABLES) == "One table per object type"
        yield f"{name}{'_*' if is_each else ''}.properties"
    if module.setting("Create a CellProfiler Analyst workspace file?") == "Yes":
        yield f"{name}.workspace"


def _image(module: Module) -> Iterator[str]:
    method = module.setting("Select method for constructing file names")
    texts = module.settings_named("Enter single file name", "Enter file prefix")
    name = next(iter(texts), "*") if method != "From image filename" else "*"
    if method == "Sequential numbers":
        name += "*"
    elif method == "From image filename":
        if module.setting("Append a suffix to the image file name?") == "Yes":
            name += module.setting("Text to append to the image name") or ""
        if module.setting("Create subfolders in the output folder?") == "Yes":
            name = f"*/{name}"
    is_stack = module.setting("Select the type of image to save") == "Movie/Stack"
    yield f"{name}.{'tiff' if is_stack else _ending(module)}"


def _crops(module: Module) -> Iterator[str]:
    objects = module.setting("Objects") or "*"
    name = f"{objects}_*.{_ending(module)}"
    prefixed = module.setting("Prefix saved crop image name with input image name?")
    if prefixed != "No":
        name = f"*_{name}"
    if module.setting("Save output crops in nested folders?") == "Yes":
        name = f"{'*' if prefixed != 'No' else objects}/{name}"
    yield name


def _ending(module: Module) -> str:
    kind = module.setting("Saved file format") or "tiff"
    return _ENDINGS.get(kind, kind)


_NAMES = {
    "ExportToDatabase": _database,
    "ExportToSpreadsheet": _tables,
    "SaveCroppedObjects": _crops,
    "SaveImages": _image,
}


def _below(module: Module) -> str:
    """The sub-folder of the output folder."""
    text = next(iter(module.settings_named(*PLACES)), "")
    place, _, folder = text.partition("|")
    return folder if place == f"{OUTPUT_FOLDER} sub-folder" else ""
