"""Read a CellProfiler pipeline: modules, grouping keys, channels, traps.

A `.cppipe` is text: header lines, a blank line, then a block a module.

Source: `cellprofiler_core/pipeline/io/_v5.py` 4.2.8.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cpengine.errors import InputError

_HEAD = "CellProfiler Pipeline:"
_MODULE = re.compile(r"(?P<name>\w+):\[(?P<attributes>.*)\]$")
_ESCAPE = re.compile(r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}")
_NEWEST_FORMAT = 5
_NO_IMAGE = {"", "None", "Do not use", "Leave this blank"}
_TAKES_IMAGES = {
    "Select the input image",
    "Select the illumination function",
    "Select images to measure",
    "Select the images to measure",
}
"""Settings that are in use whenever their module is, and hold names of images."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a pipeline."""

    name: str
    number: int
    enabled: bool
    settings: tuple[tuple[str, str], ...]

    def setting(self, text: str) -> str | None:
        """The value of the first setting with that text."""
        return next((value for name, value in self.settings if name == text), None)

    def __str__(self) -> str:
        return f"module {self.number} {self.name}"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline as its file describes it."""

    path: str
    """The file as messages name it."""
    revision: str
    """The CellProfiler that wrote it, digits only: `428`."""
    modules: tuple[Module, ...]

    @property
    def enabled(self) -> list[Module]:
        """The modules that run."""
        return [module for module in self.modules if module.enabled]

    @property
    def load_data(self) -> Module | None:
        """The LoadData module, if it runs."""
        return next(
            (m for m in self.enabled if m.name in ("LoadData", "LoadText")), None
        )

    @property
    def grouping_keys(self) -> tuple[str, ...]:
        """The metadata columns that LoadData groups by; none if it does not group."""
        module = self.load_data
        if module is None or module.setting("Group images by metadata?") != "Yes":
            return ()
        tags = module.setting("Select metadata tags for grouping") or ""
        return tuple(
            f"Metadata_{tag.strip()}" for tag in tags.split(",") if tag.strip()
        )

    def images_wanted(self) -> Iterator[tuple[Module, str, str]]:
        """Give (module, setting, image) of images that no earlier module makes."""
        made: set[str] = set()
        for module in self.enabled:
            for text, value in module.settings:
                if text in _TAKES_IMAGES:
                    for image in (name.strip() for name in value.split(",")):
                        if image not in made | _NO_IMAGE:
                            yield module, text, image
            made |= {v for text, v in module.settings if text.startswith("Name ")}


def parse(text: str, path: str) -> Pipeline:
    """Read a pipeline's text.

    Raises
    ------
    InputError
        It is not a pipeline that CellProfiler 4 can read.
    """
    if text.lstrip().startswith("{"):
        raise InputError(
            f"{path}: is a JSON pipeline of CellProfiler 5: export it as .cppipe"
        )
    lines = text.splitlines()
    if not lines or not lines[0].startswith(_HEAD):
        raise InputError(
            f"{path}:1: is not a CellProfiler pipeline: export one with "
            "File > Export > Pipeline"
        )
    header = dict(_header(lines))
    version = header.get("Version", "0")
    if not version.isdecimal() or int(version) > _NEWEST_FORMAT:
        raise InputError(
            f"{path}: has pipeline format {version}, CellProfiler 4 reads "
            f"up to {_NEWEST_FORMAT}: export it from CellProfiler 4"
        )
    return Pipeline(path, header.get("DateRevision", ""), tuple(_modules(lines)))


def _header(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines[1:]:
        if not line.strip():
            return
        key, _, value = line.partition(":")
        yield key, value.strip()


def _modules(lines: Sequence[str]) -> Iterator[Module]:
    opened: re.Match[str] | None = None
    settings: list[tuple[str, str]] = []
    for line in [*lines, ""]:
        if opened is None:
            opened = _MODULE.match(line)
            settings = []
        elif line.startswith("    "):
            name, _, value = line.strip().partition(":")
            settings.append((name, _unescape(value)))
        elif not line.strip():
            yield _module(opened, settings)
            opened = None


def _module(match: re.Match[str], settings: Sequence[tuple[str, str]]) -> Module:
    attributes = match["attributes"]
    number = re.search(r"module_num:(\d+)", attributes)
    return Module(
        match["name"],
        int(number[1]) if number else 0,
        "enabled:False" not in attributes,
        tuple(settings),
    )


def _unescape(value: str) -> str:
    r"""Decode the `\xNN` and `\uNNNN` escapes that older pipelines carry."""
    return _ESCAPE.sub(lambda match: chr(int(match[0][2:], 16)), value)


def check(
    pipeline: Pipeline,
    group: Sequence[str],
    images: Sequence[str],
    data_file: str,
    cellprofiler: str = "",
) -> None:
    """Refuse a pipeline that cannot run over these groups and images.

    Parameters
    ----------
    group
        The step's metadata columns.
    images
        The image names that the CSV provides.
    cellprofiler
        The version that would run it; not compared if empty.

    Raises
    ------
    InputError
        One line for each thing that is wrong.
    """
    errors = [
        *_load_data_errors(pipeline, group),
        *_trap_errors(pipeline, cellprofiler),
        *_image_errors(pipeline, images, data_file),
    ]
    if errors:
        raise InputError("\n".join(errors))


def _load_data_errors(pipeline: Pipeline, group: Sequence[str]) -> Iterator[str]:
    module = pipeline.load_data
    if module is None:
        yield f"{pipeline.path}: has no enabled LoadData module: add it as module 1"
        return
    if set(pipeline.grouping_keys) != set(group):
        yield (
            f"{pipeline.path}: {module} groups by "
            f"{_tags(pipeline.grouping_keys) or 'nothing'}, the step by "
            f"{_tags(group)}: change the pipeline's metadata tags for grouping, or "
            "the step's `group`"
        )
    if module.setting("Process just a range of rows?") == "Yes":
        yield (
            f"{pipeline.path}: {module} processes just a range of rows: "
            "set 'Process just a range of rows?' to No"
        )


def _tags(keys: Sequence[str]) -> str:
    return ", ".join(key.removeprefix("Metadata_") for key in keys)


def _trap_errors(pipeline: Pipeline, cellprofiler: str) -> Iterator[str]:
    for module in pipeline.enabled:
        if module.name == "CreateBatchFiles":
            yield (
                f"{pipeline.path}: {module} is enabled, so CellProfiler would stop "
                "after writing Batch_data.h5: disable it"
            )
    yield from _revision_errors(pipeline, cellprofiler)


def check_revision(pipeline: Pipeline, cellprofiler: str) -> None:
    """Refuse a pipeline that a newer CellProfiler saved; `check` does so, too.

    Raises
    ------
    InputError
        The CellProfiler that would run it is older; one that is not named is not.
    """
    for error in _revision_errors(pipeline, cellprofiler):
        raise InputError(error)


def _revision_errors(pipeline: Pipeline, cellprofiler: str) -> Iterator[str]:
    if cellprofiler and _digits(pipeline.revision) > _digits(cellprofiler):
        yield (
            f"{pipeline.path}: was saved by CellProfiler "
            f"{'.'.join(pipeline.revision[:3])}, {cellprofiler} is installed: "
            "install the newer one, or export the pipeline from the older"
        )


def _digits(version: str) -> tuple[int, ...]:
    """`428`, `4281` and `4.2.8.1` all give (4, 2, 8); dates of CellProfiler 2: ()."""
    if "." in version:
        return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    digits = version[:3] if version.isdecimal() and len(version) < 8 else ""
    return tuple(map(int, digits))


def _image_errors(
    pipeline: Pipeline, images: Sequence[str], data_file: str
) -> Iterator[str]:
    told: set[str] = set()
    for module, setting, image in pipeline.images_wanted():
        if image not in {*images, *told}:
            told.add(image)
            yield (
                f"{data_file}: has no columns for {image}, which {module} of "
                f"{pipeline.path} wants ({setting}): add FileName_{image} and "
                f"PathName_{image}{_illum_hint(image)}"
            )


def _illum_hint(image: str) -> str:
    return ", or run the illum step first" if image.startswith("Illum") else ""
