"""Pipelines that a new project is given, each for a step."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpengine.config.steps import STEPS
from cpengine.errors import ConfigError, InputError
from cpengine.inputs import pipeline
from cpengine.inputs.pipeline import Pipeline
from cpengine.inputs.pipeline_checks import finds_images_itself, without_load_data
from cpengine.storage import local_files
from cpengine.wording import did_you_mean

_OPTION = "--pipeline"
_VARIANT = re.compile("_without_batchfile$")
_BY_FILE = {
    **{name.casefold(): name for name in STEPS},
    **{
        Path(kind.pipeline).stem.casefold(): kind.name
        for kind in reversed(STEPS.values())
    },
}
"""The first step whose pipeline has that name, without its ending."""


@dataclass(frozen=True, slots=True)
class UserPipeline:
    """A pipeline and the step that it is for."""

    step: str
    path: Path
    data: bytes
    text: str
    parsed: Pipeline

    @property
    def finds_images(self) -> bool:
        """Whether Images, Metadata and NamesAndTypes stand where LoadData would."""
        return finds_images_itself(self.parsed) is not None

    @property
    def is_json(self) -> bool:
        """Whether CellProfiler reads it as JSON, which it does by the name alone."""
        return self.path.suffix == ".json"

    @property
    def problem(self) -> str:
        """Why a project cannot be made with it; empty if it can."""
        if self.finds_images and self.is_json:
            return (
                "begins with Images and is JSON, to which CreateBatchFiles cannot be "
                "added: export it as .cppipe"
            )
        return ""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the project file says of it, by dotted key."""
        if self.finds_images:
            return {f"steps.{self.step}.groups": "batch"}
        if self.is_json:
            name = Path(STEPS[self.step].pipeline).with_suffix(".json").name
            return {f"steps.{self.step}.pipeline": name}
        return {}


def read_pipelines(entries: Iterable[str]) -> Sequence[UserPipeline]:
    """Read pipelines that are given as PATH or STEP=PATH.

    Raises
    ------
    ConfigError
        One names no step, or two are for one.
    InputError
        One is missing, no pipeline, or has nothing that loads images.
    """
    found: dict[str, UserPipeline] = {}
    for entry in entries:
        step, path = _parts(entry)
        other = found.setdefault(STEPS[step].pipeline, _read(step, path))
        if other.path != path:
            raise ConfigError(
                f"{_OPTION} {entry}: {other.path} is for {STEPS[step].pipeline}, too: "
                "give one of them"
            )
    return list(found.values())


def _parts(entry: str) -> tuple[str, Path]:
    """The step and the file of an entry."""
    step, equals, path = entry.partition("=")
    if equals and step in STEPS:
        return step, Path(path).expanduser()
    if equals and not Path(entry).exists():
        hint = did_you_mean(step, list(STEPS), form="{} ")
        raise ConfigError(
            f"{_OPTION} {entry}: {step} is not a step: {hint}choose from "
            f"{', '.join(STEPS)}"
        )
    file = Path(entry).expanduser()
    known = _BY_FILE.get(_VARIANT.sub("", file.stem.casefold()))
    if known is None:
        raise ConfigError(
            f"{_OPTION} {entry}: its name says no step: write STEP={entry}, such as "
            f"analysis={entry}"
        )
    return known, file


def _read(step: str, path: Path) -> UserPipeline:
    try:
        data = local_files.read(str(path))
    except OSError as error:
        cause = error.strerror or error
        raise InputError(f"{path}: cannot be read ({cause}): name another") from error
    text = pipeline.decode(data, str(path))
    parsed = pipeline.parse(text, str(path))
    made = UserPipeline(step, path, data, text, parsed)
    if not made.finds_images and (missing := list(without_load_data(parsed))):
        raise InputError(*missing)
    if made.problem:
        raise InputError(f"{path}: {made.problem}")
    return made
