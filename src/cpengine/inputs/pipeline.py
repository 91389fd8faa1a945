"""Read a CellProfiler pipeline: modules, grouping keys, channels, traps.

A `.cppipe` is text: header lines, a blank line, then a block a module. For those in
JSON see `pipeline_json`.

Source: `cellprofiler_core/pipeline/_pipeline.py` 4.2.8.
"""

import contextlib
import io
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, starmap

from cpengine import rules
from cpengine.errors import InputError
from cpengine.inputs import pipeline_json
from cpengine.inputs.file_kind import PIPELINE_HEAD, expect_pipeline
from cpengine.inputs.load_settings import LoadSettings, load_settings

_ENABLED = re.compile(r"\|enabled:(True|False)")
_REVISION = re.compile(r"variable_revision_number:(\d+)")
_NO_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*\\)(?=[^\n\\'\"abfnrtvxuUN0-7])")
_MARK = "ÿþ"
"""The mark of UTF-16, as CellProfiler 3 wrote it before each setting, byte by byte."""
_NEWEST_FORMAT = 5
_DIGITS = 10
LOADS = ("LoadData", "LoadText")
NO_IMAGE = {"", "None", "Do not use", "Leave this blank"}
_TAKES_IMAGES = {
    "Select the input image",
    "Select the illumination function",
    "Select images to measure",
    "Select the images to measure",
}
"""Settings that are in use whenever their module is, and hold names of images, but for
those of a MeasureImageQuality that measures all loaded images."""
_WHICH = "Calculate metrics for which images?"
_ALL_LOADED = "All loaded images"
_RULED = {
    "FlagImage": ("Flag is based on", {"Rules", "Classifier"}),
    "FilterObjects": ("Select the filtering mode", {"Rules", "Classifiers"}),
    "ClassifyObjects": (
        "Make each classification decision on how many measurements?",
        {"Classifier Model"},
    ),
    "UntangleWorms": ("Train or untangle worms?", {"Untangle"}),
    "StraightenWorms": ("", set[str]()),
}
"""Modules that may read a file of rules or of worms to learn from: the setting that
says so, and its values; no setting where they always do."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a pipeline."""

    name: str
    number: int
    enabled: bool
    settings: tuple[tuple[str, str], ...]
    revision: int = 0
    """The version of its settings (`variable_revision_number`)."""

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
        return next((m for m in self.enabled if m.name in LOADS), None)

    @property
    def in_batch_mode(self) -> bool:
        """Whether CreateBatchFiles has written it into a batch file."""
        return any(
            module.name == "CreateBatchFiles"
            and value == "Yes"
            and text.endswith("in batch mode")
            for module in self.enabled
            for text, value in module.settings
        )

    @property
    def grouping_keys(self) -> tuple[str, ...]:
        """The metadata columns that LoadData groups by; none if it does not group."""
        return tuple(f"Metadata_{tag}" for tag in self.loads.tags)

    @property
    def loads(self) -> LoadSettings:
        """What LoadData is set to do; nothing, without one."""
        return load_settings(self.load_data.settings if self.load_data else ())

    def image_base(self, input_folder: str | None) -> str:
        """Where images are whose own place in the table is relative.

        Parameters
        ----------
        input_folder
            CellProfiler's default input folder. If None, the root of images stands
            for it.
        """
        kind, place = self.loads.base
        if not kind.startswith("Default Input"):
            return place if kind.startswith("Elsewhere") else ""
        below = place if "sub-folder" in kind else ""
        if input_folder is None:
            return below
        return posixpath.join(input_folder, below) if below else input_folder

    def images_wanted(self) -> Iterator[tuple[Module, str, str]]:
        """Give (module, setting, image) of images that no earlier module makes.

        What an earlier module selects by name, it does not make. All other texts of
        its settings may be names that it gives.
        """
        made: set[str] = set()
        for module in self.enabled:
            for text, value in module.settings:
                if text in _TAKES_IMAGES and module.setting(_WHICH) != _ALL_LOADED:
                    for image in (name.strip() for name in value.split(",")):
                        if image not in made | NO_IMAGE:
                            yield module, text, image
            made |= {v for text, v in module.settings if not text.startswith("Select")}

    @property
    def file_names(self) -> set[str]:
        """What may be names of files or folders that modules read: of all values."""
        return {
            posixpath.basename(value)
            for module in self.enabled
            for _, value in module.settings
        }

    def rule_files(self) -> Iterator[tuple[Module, str]]:
        """Give (module, file) of what `files_read` has in the Default Input Folder."""
        for module, folder, file in self.files_read():
            start, _, below = folder.partition("|")
            if start.startswith("Default Input Folder"):
                below = below if "sub-folder" in start else ""
                place = posixpath.normpath(posixpath.join(below, file))
                if not posixpath.isabs(place):
                    yield module, place

    def files_read(self) -> Iterator[tuple[Module, str, str]]:
        """Give (module, folder, file) of rules, classifiers and training sets.

        The folder is as the setting has it: `Elsewhere...|/screens/rules`.
        """
        for module in self.enabled:
            if module.name not in _RULED:
                continue
            says, values = _RULED[module.name]
            used, folder = not says, None
            for text, value in module.settings:
                if text == says:
                    used = value in values
                elif "file location" in text or text.startswith("Select the location"):
                    folder = value
                elif text.lower().endswith("file name") and used and folder is not None:
                    yield module, folder, value
                    folder = None


def decode(data: bytes, path: str) -> str:
    """A pipeline's text as CellProfiler reads it: UTF-8, or what older ones wrote.

    Raises
    ------
    InputError
        It is neither.
    """
    expect_pipeline(data, path)
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    try:
        return _unescape(data)
    except UnicodeDecodeError as error:
        raise InputError(
            rules.PIPELINE_UNREADABLE.found(
                path, f"is no text ({error.reason})", "export it again as .cppipe"
            )
        ) from error


def _unescape(data: bytes) -> str:
    r"""Decode Python's escapes; what is none (`\g`) stays, and Python need not warn."""
    return _NO_ESCAPE.sub(rb"\1\\", data).decode("unicode_escape")


@lru_cache(maxsize=16)  # steps, checks and jobs of a run ask for the same few
def parse(text: str, path: str) -> Pipeline:
    """Read a pipeline's text, `.cppipe` or JSON.

    Raises
    ------
    InputError
        It is not a pipeline that CellProfiler 4 can read.
    """
    if text.lstrip().startswith("{"):
        revision, modules = pipeline_json.read(text, path)
        return Pipeline(path, revision, tuple(starmap(Module, modules)))
    lines = [line.strip() for line in io.StringIO(text, newline=None)]
    if not lines or not lines[0].startswith(PIPELINE_HEAD):
        raise InputError(
            rules.PIPELINE_UNREADABLE.found(
                f"{path}:1",
                "is not a CellProfiler pipeline",
                "export one with File > Export > Pipeline",
            )
        )
    header = dict(_header(lines))
    version = header.get("Version", "0")
    if (number := _number(version)) is None or number > _NEWEST_FORMAT:
        raise InputError(
            rules.PIPELINE_UNREADABLE.found(
                path,
                f"has pipeline format {version[:20]}, CellProfiler 4 reads up to "
                f"{_NEWEST_FORMAT}",
                "export it from CellProfiler 4",
            )
        )
    blocks = _modules(lines, _number(header.get("ModuleCount", "")))
    return Pipeline(path, header.get("DateRevision", ""), tuple(blocks))


def _number(text: str) -> int | None:
    """A whole number of the header; None for what is none, or has no end."""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else None


def _header(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines[1:]:
        if not line:
            return
        key, _, value = line.partition(":")
        yield key, value


def _modules(lines: Sequence[str], count: int | None) -> Iterator[Module]:
    """Each block of lines after the header; a list of image files may follow them."""
    blocks = groupby(lines, key=bool)
    _header, *modules = [list(block) for there, block in blocks if there]
    for number, (head, *settings) in enumerate(modules[:count], 1):
        name, _, attributes = head.partition(":")
        enabled = _ENABLED.findall(attributes)[-1:] != ["False"]
        revision = _REVISION.search(attributes)
        yield Module(
            name,
            number,
            enabled,
            tuple(map(_setting, settings)),
            int(revision[1]) if revision else 0,
        )


def _setting(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, decode_setting(value)


def decode_setting(value: str) -> str:
    r"""Decode a setting as CellProfiler does, whichever CellProfiler wrote it.

    Version 2 escapes some characters (`\x7C`), version 3.1 writes each text as the
    bytes of UTF-16, with backslashes before metadata doubled twice.
    """
    if r"\\\\g<" in value:
        bar = (r"\x7C\\\\g<", r"|\g<") if r"\x7C" in value else (r"\\\\g<", r"\g<")
        value = value.replace(*bar)
    if r"\x" in value:
        with contextlib.suppress(UnicodeDecodeError):
            value = _unescape(value.encode())
    return value.replace("\0", "").strip(_MARK) if len(value) > 1 else value
