"""`run_batch_general.py` before DCP 2.2.0, whose variables were edited.

Its variables are read as data; what it defines and calls is not run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cpengine.config import PlateSection
from cpengine.config.layout import Layout
from cpengine.config.steps import STEPS
from cpengine.dcp import literals
from cpengine.dcp.config import source_of
from cpengine.dcp.values import Found, Setting, below_bucket, flag, text, texts
from cpengine.errors import InputError

_MAKERS = {
    "MakeZprojJobs": "zproj",
    "MakeIllumJobs": "illum",
    "MakeQCJobs": "qc",
    "MakeQCJobs_persite": "qc_persite",
    "MakeAssayDevJobs": "assaydev",
    "MakeAnalysisJobs": "analysis",
}
_CSVS = {
    "zproj": "csv_unprojected_name",
    "illum": "csvname",
    "qc": "csvname",
    "assaydev": "csv_with_illumname",
    "analysis": "csv_with_illumname",
}
_OUTPUTS = {
    "zproj": "zprojoutpath",
    "illum": "illumoutpath",
    "qc": "QCoutpath",
    "assaydev": "assaydevoutpath",
    "analysis": "analysisoutpath",
}
_STRUCTURES = {"zproj": "zprojoutputstructure", "analysis": "anlysisoutputstructure"}


def read(path: Path) -> Found:
    """Read an old script. See `parse`.

    Raises
    ------
    InputError
        It is missing, or as `parse`.
    """
    return parse(source_of(path), str(path))


def parse(source: str, path: str) -> Found:
    """What the script's variables say, for the steps that it makes jobs of.

    Where all its calls are commented out, that is for all its steps.

    Parameters
    ----------
    path
        The script as messages name it.

    Raises
    ------
    InputError
        A variable is missing, or is not set to data.
    """
    known = literals.script(source, path, _WANTED)
    for name in ("topdirname", "batchsuffix"):
        if name not in known:
            raise InputError(
                f"{path}: {name}: is not set, so this is not a run_batch_general.py "
                "from before DCP 2.2.0: name one, or give the arguments of the new one"
            )
    called = {
        _MAKERS[name]: True in values
        for name, values in literals.calls(source, path)
        if name in _MAKERS
    }
    settings = dict(_project(known)) | dict(_layout(known))
    layout = Layout("default", text(known["topdirname"]), text(known["batchsuffix"]))
    for step, batch in (called or dict.fromkeys(_OUTPUTS, False)).items():
        where = f"{path}: {step}"
        groups = Setting("batch" if batch else "layout", where)
        settings[f"steps.{step}.groups"] = groups
        settings |= dict(_overrides(known, step, layout))
    step = next(iter(called)) if len(called) == 1 else ""
    return Found(settings, step)


def sites(numbers: Sequence[int]) -> int | list[int]:
    """Site numbers as the project file takes them: how many, if they begin at 1."""
    count = len(numbers)
    return count if list(numbers) == list(range(1, count + 1)) else list(numbers)


def _project(known: Mapping[str, Setting]) -> Iterator[tuple[str, Setting]]:
    yield "project.name", _as(text(known["topdirname"]), known["topdirname"])
    yield "project.batch", _as(text(known["batchsuffix"]), known["batchsuffix"])
    app = known.get("appname") or known.get("projectname")
    if app is not None and app.value:
        yield "project.app_name", _as(text(app), app)
    plates = known.get("platelist")
    if plates is not None and plates.value != []:
        if not isinstance(plates.value, list):
            raise plates.wrong("is not a list: write ['a', 'b']")
        yield "project.plates", _as(texts(plates), plates)


def _layout(known: Mapping[str, Setting]) -> Iterator[tuple[str, Setting]]:
    """The plate's layout, as far as it is not cpengine's default."""
    defaults = PlateSection()
    for name, (key, convert) in _PLATE.items():
        if name in known:
            value = convert(known[name])
            if value != getattr(defaults, key):
                yield f"plate.{key}", _as(value, known[name])


def _rows(setting: Setting) -> list[str]:
    """Row letters: a list, or a text of which each letter is one."""
    return list(texts(setting) if isinstance(setting.value, list) else text(setting))


def _numbers(setting: Setting) -> list[int]:
    values = setting.value if isinstance(setting.value, list) else []
    numbers = [value for value in values if type(value) is int]
    if not numbers or len(numbers) < len(values):
        raise setting.wrong("is not a list of whole numbers: write one, or a range")
    return numbers


def _overrides(
    known: Mapping[str, Setting], step: str, layout: Layout
) -> Iterator[tuple[str, Setting]]:
    """What differs from a step's defaults, by key of its section."""
    kind = STEPS[step]
    stem = step.removesuffix("_persite")
    pairs = {
        "pipeline": (f"{stem}pipename", kind.pipeline),
        "pipeline_path": ("pipelinepath", layout.pipelines),
        "data_file": (_CSVS[stem], kind.data_file),
        "data_path": ("datafilepath", layout.load_data),
        "batch_file": (f"batchpipename{stem}", kind.batch_file),
        "batch_path": ("batchpath", layout.batch_files),
        "input": ("inputpath", layout.rules),
        "output": (_OUTPUTS[stem], layout.output(kind.output)),
        "output_structure": (_STRUCTURES.get(stem, ""), kind.output_structure),
    }
    for key, (name, default) in pairs.items():
        if name in known and (value := below_bucket(known[name])) != default:
            yield f"steps.{step}.{key}", _as(value, known[name])


def _as(value: object, setting: Setting) -> Setting:
    return Setting(value, setting.where)


_PLATE: Mapping[str, tuple[str, Callable[[Setting], Any]]] = {
    "rows": ("rows", _rows),
    "columns": ("columns", _numbers),
    "sites": ("sites", lambda setting: sites(_numbers(setting))),
    "well_digit_pad": ("pad_wells", flag),
    "well_bool": ("pad_wells", flag),
}
_WANTED = {
    *("topdirname", "batchsuffix", "appname", "projectname", "platelist", *_PLATE),
    *("pipelinepath", "inputpath", "datafilepath", "batchpath"),
    *(
        name
        for step in _OUTPUTS
        for name in (f"{step}pipename", f"batchpipename{step}")
    ),
    *(*_CSVS.values(), *_OUTPUTS.values(), *_STRUCTURES.values()),
}
