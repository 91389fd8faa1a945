"""Read a CellProfiler pipeline: modules, grouping keys, channels, traps.

A `.cppipe` is text: header lines, a blank line, then a block a module.

Source: `cellprofiler_core/pipeline/io/_v5.py` 4.2.8.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cpengine import rules
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
_RULED = {
    "FlagImage": ("Flag is based on", {"Rules", "Classifier"}),
    "FilterObjects": ("Select the filtering mode", {"Rules", "Classifiers"}),
    "ClassifyObjects": (
        "Make each classification decision on how many measurements?",
        {"Classifier Model"},
    ),
}
"""Modules that may read a file of rules: the setting that says so, and its values."""


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

    def settings_named(self, *texts: str) -> list[str]:
        """The values of all settings with one of these texts, in order."""
        return [value for name, value in self.settings if name in texts]

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

    def rule_files(self) -> Iterator[tuple[Module, str]]:
        """Give (module, file) of rules and classifiers in the Default Input Folder."""
        for module in self.enabled:
            says, values = _RULED.get(module.name, ("", set()))
            used, folder = False, None
            for text, value in module.settings:
                if text == says:
                    used = value in values
                elif "file location" in text or text.startswith("Select the location"):
                    folder = value
                elif text.lower().endswith("file name") and used and folder is not None:
                    start, _, below = folder.partition("|")
                    if start.startswith("Default Input Folder"):
                        yield module, posixpath.normpath(posixpath.join(below, value))
                    folder = None


def parse(text: str, path: str) -> Pipeline:
    """Read a pipeline's text.

    Raises
    ------
    InputError
        It is not a pipeline that CellProfiler 4 can read.
    """
    if text.lstrip().startswith("{"):
        cause = "is a JSON pipeline of CellProfiler 5"
        raise InputError(
            rules.PIPELINE_UNREADABLE.found(path, cause, "export it as .cppipe")
        )
    lines = text.splitlines()
    if not lines or not lines[0].startswith(_HEAD):
        raise InputError(
            rules.PIPELINE_UNREADABLE.found(
                f"{path}:1",
                "is not a CellProfiler pipeline",
                "export one with File > Export > Pipeline",
            )
        )
    header = dict(_header(lines))
    version = header.get("Version", "0")
    if not version.isdecimal() or int(version) > _NEWEST_FORMAT:
        raise InputError(
            rules.PIPELINE_UNREADABLE.found(
                path,
                f"has pipeline format {version}, CellProfiler 4 reads up to "
                f"{_NEWEST_FORMAT}",
                "export it from CellProfiler 4",
            )
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
