"""`run_batch_general.py` before DCP 2.2.0, whose variables were edited.

Its variables and messages are read as data; what it defines and calls is not run.
"""

import ast
import math
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cpengine.config import PlateSection
from cpengine.config.layout import Layout
from cpengine.config.steps import STEPS
from cpengine.dcp import literals, old_messages, python2
from cpengine.dcp.config import source_of
from cpengine.dcp.old_messages import PLATE
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
_PERSITE = "MakeQCJobs_persite"


def read(path: Path) -> Found:
    """Read an old script. See `parse`.

    Raises
    ------
    InputError
        It is missing, or as `parse`.
    """
    return parse(source_of(path), str(path))


def parse(source: str, path: str) -> Found:
    """What the script means, for the steps that it makes jobs of.

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
    body = python2.statements(source, path)
    functions = {
        name: function
        for name, function in literals.functions(body).items()
        if name in _MAKERS
    }
    called = {name: c for name, c in literals.calls(body).items() if name in _MAKERS}
    first = min((call.lineno for each in called.values() for call in each), default=0)
    wanted = _WANTED | old_messages.names(functions)
    known = literals.script(body, path, wanted, last=first or math.inf)
    for name in ("topdirname", "batchsuffix"):
        if name not in known:
            raise InputError(
                f"{path}: {name}: is not set, so this is not a run_batch_general.py "
                "from before DCP 2.2.0: name one, or give the arguments of the new one"
            )
    steps = _SentSteps(path, known, functions)
    for name, each in called.items():
        steps.add(name, each[-1])
        if len(each) > 1:
            steps.notes.append(
                f"{path}:{each[-1].lineno}: {name}: is called {len(each)} times: the "
                "last one is taken; import the others from scripts of their own"
            )
    steps.notes += _other_uses(body, path, called)
    for name in () if called else functions:
        if name != _PERSITE:  # else for the same pipeline as MakeQCJobs
            steps.add(name, None)
    step = _MAKERS[next(iter(called))] if len(called) == 1 else ""
    settings = dict(_project(known)) | dict(_layout(known)) | steps.settings
    return Found(settings, step, tuple(steps.notes))


def _other_uses(
    body: Sequence[ast.stmt], path: str, called: Mapping[str, Sequence[ast.Call]]
) -> Iterator[str]:
    """A note for each place that names a function without calling it at once."""
    direct = {id(call.func) for each in called.values() for call in each}
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.Name) and node.id in _MAKERS and id(node) not in direct:
            yield (
                f"{path}:{node.lineno}: {node.id}: is not read: see which steps "
                "`cpengine plan` has"
            )


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


class _SentSteps:
    """Turns what functions send into the sections of steps."""

    def __init__(
        self,
        path: str,
        known: Mapping[str, Setting],
        functions: Mapping[str, ast.FunctionDef],
    ) -> None:
        self.path = path
        self.known = known
        self.functions = functions
        self.layout = Layout(
            "default", text(known["topdirname"]), text(known["batchsuffix"])
        )
        self.settings: dict[str, Setting] = {}
        self.notes: list[str] = []

    def add(self, name: str, call: ast.Call | None) -> None:
        """Take in the step of a function, as it is called."""
        step = _MAKERS[name]
        self._put(step, "groups", Setting("layout", f"{self.path}: {step}"))
        if name not in self.functions:
            self.notes.append(
                f"{self.path}: {name}: is not in it: {step} is left as cpengine has it"
            )
            return
        function = self.functions[name]
        sent = old_messages.template(function, call, self.known, self.path, step)
        self.notes += sent.notes
        self._places(step, sent.values)
        if "data_file" in sent.values:
            self._data(step, sent.values)

    def _put(self, step: str, key: str, value: Setting, default: object = None) -> None:
        if value.value != default:
            self.settings[f"steps.{step}.{key}"] = value

    def _places(self, step: str, sent: Mapping[str, Setting]) -> None:
        kind = STEPS[step]
        if "group" in sent:
            self._put(step, "group", sent["group"], list(kind.group))
        defaults = {
            "input": self.layout.rules,
            "output": self.layout.output(kind.output),
            "output_structure": kind.output_structure,
        }
        for key, default in defaults.items():
            if key in sent:
                self._put(step, key, _key(sent[key]), default)

    def _data(self, step: str, sent: Mapping[str, Setting]) -> None:
        """What jobs run: a batch file, or a pipeline with a CSV a plate."""
        data, kind = _key(sent["data_file"]), STEPS[step]
        folder, name = posixpath.split(data.value)
        if name.endswith(".h5"):
            self._put(step, "groups", _as("batch", data))
            self._put(step, "batch_file", _as(name, data), kind.batch_file)
            self._put(step, "batch_path", _as(folder, data), self.layout.batch_files)
            return
        if "pipeline" in sent:
            self._pipeline(step, _key(sent["pipeline"]))
        above, plate = posixpath.split(folder)
        if plate == PLATE and PLATE not in above + name:
            self._put(step, "data_file", _as(name, data), kind.data_file)
            self._put(step, "data_path", _as(above, data), self.layout.load_data)
        else:
            place = posixpath.join(self.layout.load_data, PLATE, kind.data_file)
            self.notes.append(
                f"{data.where}: {step} took {data.value}, and cpengine takes a folder "
                f"a plate: copy it to {place}"
            )

    def _pipeline(self, step: str, pipeline: Setting) -> None:
        folder, name = posixpath.split(pipeline.value)
        self._put(step, "pipeline", _as(name, pipeline), STEPS[step].pipeline)
        self._put(step, "pipeline_path", _as(folder, pipeline), self.layout.pipelines)


def _key(setting: Setting) -> Setting:
    return _as(below_bucket(setting), setting)


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
    *("topdirname", "batchsuffix", "appname", "projectname", "platelist", *_PLATE)
}
