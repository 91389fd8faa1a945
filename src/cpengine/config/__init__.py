"""The project file `cpengine.toml`: its keys, their checks and their messages."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import Field, ValidationError, create_model

from cpengine.config import executor_entries
from cpengine.config.aws import AwsSection, DcpWorkerSection, MachinesSection
from cpengine.config.executor_sections import (
    ClusterSection,
    DaskSection,
    ExecutorsSection,
    HTCondorSection,
    LocalSection,
    SlurmSection,
)
from cpengine.config.forms import PATTERNS, Key, Name, Section
from cpengine.config.project import (
    CellProfilerSection,
    DcpDoneSection,
    PlateSection,
    ProjectSection,
    RunSection,
    S3Section,
    StepSection,
    StorageSection,
)
from cpengine.config.qc import QcSection, ThresholdSection
from cpengine.config.steps import STEPS
from cpengine.errors import ConfigError, StorageError
from cpengine.rules import RULES
from cpengine.storage import local_files
from cpengine.wording import did_you_mean

__all__ = [
    "FILE_NAME",
    "AwsSection",
    "CellProfilerSection",
    "ClusterSection",
    "DaskSection",
    "DcpDoneSection",
    "DcpWorkerSection",
    "ExecutorsSection",
    "HTCondorSection",
    "LocalSection",
    "MachinesSection",
    "PlateSection",
    "ProjectFile",
    "ProjectSection",
    "QcSection",
    "RunSection",
    "S3Section",
    "SlurmSection",
    "StepSection",
    "StorageSection",
    "ThresholdSection",
    "cluster",
    "executor_section",
    "load",
    "schema",
]

FILE_NAME = "cpengine.toml"
_LONGEST = 2**20
"""Characters of a project file at the most; one of thousands of plates has fewer."""

_Model = TypeVar("_Model", bound=Section)


class ProjectFile(Section):
    """The whole file."""

    project: ProjectSection
    storage: StorageSection = StorageSection()
    plate: PlateSection = PlateSection()
    steps: dict[Name, StepSection] = Field(
        {}, description="Built-in steps by name, and steps of your own."
    )
    cellprofiler: CellProfilerSection = CellProfilerSection()
    check: dict[Key, Literal["warn", "off"]] = Field(
        {}, description="Rules of the check that only warn, or are left out, by name."
    )
    run: RunSection = RunSection()
    qc: QcSection = QcSection()
    executors: ExecutorsSection = ExecutorsSection()


def load(path: Path) -> ProjectFile:
    """Read and check a project file.

    Raises
    ------
    ConfigError
        It is missing, is not TOML, or holds a key or value that is not allowed.
    """
    missing = "make one with `cpengine init`, or point -C at the project's folder"
    data = _read(path, missing)
    file = _checked(_model_of(data), path, data)
    _check_plates(path, file)
    _check_steps(path, file)
    _check_rules(path, file)
    if file.cellprofiler.path and file.cellprofiler.image:
        raise ConfigError(
            f"{path}: cellprofiler.image: cellprofiler.path is set, too: remove one"
        )
    return file


def _model_of(data: dict[str, Any]) -> type[ProjectFile]:
    """The model of a file, with the sections of other packages' executors in it."""
    named = data.get("executors")
    names = set(named) if isinstance(named, dict) else set()
    models = executor_entries.sections(names - set(ExecutorsSection.model_fields))
    if not models:
        return ProjectFile
    fields: dict[str, Any] = {name: (model, ...) for name, model in models.items()}
    section = create_model("ExecutorsSection", __base__=ExecutorsSection, **fields)
    return create_model("ProjectFile", __base__=ProjectFile, executors=(section, ...))


def executor_section(file: ProjectFile, name: str, model: type[Section]) -> Section:
    """The settings of an executor; its defaults where the file has no such section.

    Raises
    ------
    ConfigError
        There are none, and a key has no default.
    """
    own: Section | None = getattr(file.executors, name, None)
    if own is None:
        own = _checked(model, f"{FILE_NAME}: executors.{name}", {})
    return own


def cluster(file: ProjectFile, name: str, folder: Path) -> ClusterSection:
    """The settings of a cluster's executor, those of its site profile included.

    Parameters
    ----------
    name
        The section below `executors`.
    folder
        The project file's: the profile's place is relative to it.

    Raises
    ------
    ConfigError
        The profile is missing or wrong.
    """
    own: ClusterSection = getattr(file.executors, name)
    if own.profile is None:
        return own
    path = folder / Path(os.path.expanduser(own.profile))
    site = _read(path, f"name another in executors.{name}.profile")
    kind = type(own)
    _checked(kind, path, site)
    return kind.model_validate(site | own.model_dump(exclude_unset=True))


def _read(path: Path, missing: str) -> dict[str, Any]:
    """Read a TOML file; `missing` says what to do where there is none."""
    try:
        with local_files.opened(str(path)) as file:
            text = file.read(_LONGEST + 1).decode()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: is not there: {missing}") from error
    except StorageError as error:  # a pipe or a device
        raise ConfigError(str(error)) from error
    except (OSError, ValueError) as error:  # a folder, other text, a NUL in the path
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if len(text) > _LONGEST:
        raise ConfigError(f"{path}: is longer than a project file can be: {missing}")
    try:
        found = tomllib.loads(text)
        nul = next(_with_nul(found), None)
    except tomllib.TOMLDecodeError as error:
        cure = _cure_of(text, str(error))
        raise ConfigError(f"{path}: cannot be read: {error}{cure}") from error
    except (ValueError, RecursionError) as error:
        wrong = "a number is too long, or tables are nested too deeply"
        raise ConfigError(f"{path}: cannot be read: {wrong}: mend it") from error
    if nul is not None:
        raise ConfigError(f"{path}: {nul}: has a NUL character: remove it")
    return found


def _with_nul(value: Any, place: str = "", levels: int = 20) -> Iterator[str]:
    """The keys whose text has a NUL, which no place or name can have.

    Raises
    ------
    RecursionError
        There are more levels, which no key of ours has.
    """
    if not levels:
        raise RecursionError
    if isinstance(value, str) and "\0" in value:
        yield place
    pairs = value.items() if isinstance(value, dict) else ()
    for key, inner in pairs:
        yield from _with_nul(inner, f"{place}.{key}".lstrip("."), levels - 1)
    for inner in value if isinstance(value, list) else ():
        yield from _with_nul(inner, place, levels - 1)


def _cure_of(text: str, error: str) -> str:
    """What to do about what TOML cannot read, where that is known; else nothing."""
    if "Cannot declare" in error and "twice" in error:
        return ": the section is there already: put its keys below that one's heading"
    return _quotes_missing(text, error)


def _quotes_missing(text: str, error: str) -> str:
    """What to do where a text without quotes is what TOML cannot read; else nothing."""
    if "Unescaped '\\'" in error or "Invalid hex value" in error:
        return ": write each \\ twice, or use single quotes"
    place = re.search(r"at line (\d+)", error)
    line = text.splitlines()[int(place[1]) - 1] if place else ""
    _, equals, value = line.partition("=")
    if not equals and "Unclosed array" not in error:
        return ""
    for part in re.split(r"[,\[\]]", (value or line).partition("#")[0]):
        word = part.strip(" \t“”„")
        if word and not set(word) & set("\"'{}") and not _is_value(part):
            return f': put quotes around it: "{word}"'
    return ""


def _is_value(text: str) -> bool:
    """Whether TOML reads a text as a value; `True` is for it as good as one."""
    try:
        tomllib.loads(f"key = {text.lower()}")
    except tomllib.TOMLDecodeError:
        return False
    return True


def _checked(model: type[_Model], place: Path | str, data: dict[str, Any]) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(model, place, error))) from error


def _lines(model: Any, file: Path | str, error: ValidationError) -> Iterator[str]:
    """Give a line for each wrong key or value, however many forms it may take."""
    refused: dict[str, list[str]] = {}
    places = [_place(item["loc"]) for item in error.errors()]
    for place, item in zip(places, error.errors(), strict=True):
        if item["type"] == "extra_forbidden":
            yield f"{file}: {place}: unknown key{_nearest(model, item['loc'])}"
        elif item["type"] == "missing":
            yield f"{file}: {place}: is missing: add it"
        elif not any(other.startswith(f"{place}.") for other in places):
            value = json.dumps(item["input"], default=str)
            text = f"{file}: {place}: {value} is not allowed"
            refused.setdefault(text, []).append(_allowed(item))
    for text, allowed in refused.items():
        yield f"{text}: {', or '.join(allowed)}"


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if not _is_variant(part))


_VARIANTS = ("bool", "constrained-int")


def _is_variant(part: str | int) -> bool:
    """Whether pydantic added this part for one alternative of a union."""
    return isinstance(part, str) and ("[" in part or part in _VARIANTS)


def _allowed(item: Any) -> str:
    if item["type"] == "string_pattern_mismatch":
        return PATTERNS[item["ctx"]["pattern"]]
    text: str = item["msg"].removeprefix("Value error, ")
    value = item["input"]
    if item["type"] == "string_type" and isinstance(value, int | float | date | time):
        text = "Put quotes around it"  # 2026_11_22 is a number for TOML
    if item["type"] == "list_type" and not isinstance(value, dict):
        text = f"Write a list: [{json.dumps(value, default=str)}]"
    return text[0].lower() + text[1:]


def _nearest(model: Any, loc: tuple[int | str, ...]) -> str:
    for part in loc[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field else _section_in(model)
    known = sorted(_section_in(model).model_fields)
    hint = did_you_mean(str(loc[-1]), known, cutoff=0.5, form=": {}")
    return hint or f" (known: {', '.join(known)})"


def _section_in(annotation: Any) -> Any:
    """The section that a field holds: itself, one of several, or a named one."""
    if hasattr(annotation, "model_fields"):
        return annotation
    found = (_section_in(part) for part in get_args(annotation))
    return next((section for section in found if section), None)


def _check_plates(path: Path, file: ProjectFile) -> None:
    plates = file.project.plates
    twice = [plate for plate in plates if plates.count(plate) > 1]
    if plates != "all" and twice:
        raise ConfigError(f"{path}: project.plates: {twice[0]} twice: remove one")


def _check_steps(path: Path, file: ProjectFile) -> None:
    """Refuse a step of the user's own that does not say enough to be run."""
    for name, step in file.steps.items():
        if step.job_file and step.groups == "layout":
            raise ConfigError(
                f"{path}: steps.{name}.job_file: has the groups, which 'layout' makes, "
                "too: remove one"
            )
        if name in STEPS:
            continue
        needed = ["group", "output"]
        if step.groups != "batch":
            needed.insert(0, "pipeline")
        missing = [key for key in needed if getattr(step, key) is None]
        if missing:
            hint = did_you_mean(name, STEPS, form=" ({})")
            raise ConfigError(
                f"{path}: steps.{name}: is not a built-in step{hint} and has no "
                f"{', '.join(missing)}: add what is missing"
            )
    if file.storage.layout == "cpg" and not file.storage.source:
        raise ConfigError(
            f"{path}: storage.source: is missing: layout 'cpg' needs it (source_4)"
        )


def _check_rules(path: Path, file: ProjectFile) -> None:
    """Refuse to soften what is no rule, or what guards results."""
    lines = []
    for name in file.check:
        if name not in RULES:
            hint = did_you_mean(name, RULES) or "`cpengine explain` lists them"
            lines.append(f"{path}: check.{name}: is no rule: {hint}")
        elif RULES[name].guards:
            lines.append(
                f"{path}: check.{name}: guards against wrong or mixed results and "
                "cannot be set: remove the line"
            )
    if lines:
        raise ConfigError("\n".join(lines))


def schema() -> str:
    """The JSON schema of the project file, for editors."""
    return json.dumps(ProjectFile.model_json_schema(), indent=2) + "\n"
