"""The demo's pipelines for other channels than the demo's. Pure, but for reading them.

What stands in them once for each of the demo's channels comes to stand there once for
each of the others: modules, settings and names in lists. Where a pipeline uses some of
the channels, those of the same name take their place, or those that show nuclei and
cells.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from cpengine.config.steps import STEPS
from cpengine.demo.images import CHANNELS
from cpengine.demo.synthetic_plate import PIPELINES
from cpengine.inputs import pipeline_text

_ORIG = "Orig"
_NUCLEI, _CELLS = "DNA", "RNA"
_STAINS_NUCLEI = re.compile(r"dna|dapi|hoechst|draq|nuc|bfp|405|387", re.IGNORECASE)
_STAINS_CELLS = re.compile(r"rna|syto|agp|actin|phalloidin|er$", re.IGNORECASE)
_NAME = re.compile(
    rf"(?P<kind>Orig|Illum|Corr|Proj)(?P<channel>{'|'.join(CHANNELS)})\b"
)
_WORD = re.compile(rf"\b({'|'.join(CHANNELS)})\b")
_PER_CHANNEL = re.compile(
    r"CorrectIlluminationCalculate|MakeProjection|"
    r"SaveImages:(?=[\s\S]*Select the image to save:(Illum|Proj))"
)
"""Modules that are there once a channel."""
_GROUP = "    Select the input image:"
"""Begins the settings of a channel in CorrectIlluminationApply."""
_GROUP_LINES = 4
_FEWEST_COMPARED = 2
_SITE = r"_s\g<Site>"
"""The part of a saved file's name that tells sites of a well apart."""


@dataclass(frozen=True, slots=True)
class ExamplePipelines:
    """Pipelines by file name, and in which images they find nuclei and cells."""

    texts: Mapping[str, str]
    nuclei: str
    cells: str


def example_pipelines(
    images: Sequence[str], *, stacks: bool = False, timepoints: bool = False
) -> ExamplePipelines:
    """The demo's pipelines with the names of these images.

    Parameters
    ----------
    images
        The image names of the tables, such as `OrigDNA` or `DAPI`.
    stacks
        Whether the images are to be projected first.
    timepoints
        Whether sites have several, which files that are saved are named after, too.
    """
    names = _ChannelImages(images)
    files = dict.fromkeys(kind.pipeline for kind in STEPS.values())
    if not stacks:
        del files[STEPS["zproj"].pipeline]
    texts = {
        file: _filled(PIPELINES.joinpath(file).read_text("utf-8"), names)
        for file in files
    }
    if timepoints:
        tag = rf"{_SITE}_t\g<TimepointID>"
        texts = {file: text.replace(_SITE, tag) for file, text in texts.items()}
    return ExamplePipelines(texts, names.by_role[_NUCLEI], names.by_role[_CELLS])


class _ChannelImages:
    """Which image stands for each of the demo's channels."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = images
        nuclei = _first(images, _NUCLEI, _STAINS_NUCLEI) or images[0]
        others = [image for image in images if image != nuclei] or [nuclei]
        cells = _first(others, _CELLS, _STAINS_CELLS) or others[0]
        self.by_role = {channel: cells for channel in CHANNELS}
        self.by_role |= {_bare(i): i for i in images if _bare(i) in CHANNELS}
        self.by_role |= {_NUCLEI: nuclei, _CELLS: cells}

    def instead_of(self, channels: Iterable[str]) -> list[str]:
        """The images in place of some of the demo's channels; of all, all."""
        wanted = list(channels)
        if set(wanted) == set(CHANNELS):
            return list(self.images)
        return list(dict.fromkeys(self.by_role[channel] for channel in wanted))

    def fill(self, text: str) -> str:
        """A text with the image of each role in place of the demo's."""
        return _NAME.sub(lambda m: _named(m["kind"], self.by_role[m["channel"]]), text)


def _first(images: Iterable[str], name: str, stain: re.Pattern[str]) -> str | None:
    """The image of a channel by its name, else by what it shows."""
    exact = [image for image in images if _bare(image) == name]
    return next(iter([*exact, *filter(stain.search, images)]), None)


def _bare(image: str) -> str:
    return image.removeprefix(_ORIG)


def _named(kind: str, image: str) -> str:
    """The name of an image, or of one that is made of it: `CorrDNA` of `OrigDNA`."""
    return image if kind == _ORIG else f"{kind}{_bare(image)}"


def _filled(text: str, names: _ChannelImages) -> str:
    parts = pipeline_text.split(text)
    return pipeline_text.join(parts.header, _modules(parts.modules, names))


def _modules(blocks: Iterable[str], names: _ChannelImages) -> Iterator[str]:
    for _, alike in groupby(blocks, _kind):
        same = list(alike)
        if _PER_CHANNEL.match(same[0]):
            yield from _repeated(same, names)
        else:
            yield from (_module(block, names) for block in same if _fits(block, names))


def _kind(block: str) -> str:
    """Equal for modules that are there once a channel, one after another."""
    return pipeline_text.module_name(block) if _PER_CHANNEL.match(block) else block


def _repeated(units: Sequence[str], names: _ChannelImages) -> Iterator[str]:
    """The first of some texts, each of a channel, for each image in their place."""
    channels = [found["channel"] for unit in units if (found := _NAME.search(unit))]
    for image in names.instead_of(channels):
        yield _of_image(units[0], image)


def _of_image(text: str, image: str) -> str:
    """A text about one channel, about an image."""
    text = _NAME.sub(lambda m: _named(m["kind"], image), text)
    return _WORD.sub(_bare(image), text)


def _fits(block: str, names: _ChannelImages) -> bool:
    """Whether there are as many images as a module needs."""
    is_compared = pipeline_text.module_name(block) == "MeasureColocalization"
    return not is_compared or len(names.images) >= _FEWEST_COMPARED


def _module(block: str, names: _ChannelImages) -> str:
    lines = block.split("\n")
    if pipeline_text.module_name(block) == "CorrectIlluminationApply":
        return "\n".join(_applied(lines, names))
    return "\n".join(_line(line, names) for line in lines)


def _line(line: str, names: _ChannelImages) -> str:
    """A setting with other images; two of a list at the least."""
    text, _, value = line.partition(":")
    found = list(_NAME.finditer(value))
    if len(found) < _FEWEST_COMPARED:
        return names.fill(line)
    images = names.instead_of(each["channel"] for each in found)
    if len(images) < _FEWEST_COMPARED:
        images = list(names.images)
    kind = found[0]["kind"]
    return f"{text}:{', '.join(_named(kind, image) for image in images)}"


def _applied(lines: Sequence[str], names: _ChannelImages) -> Iterator[str]:
    """The lines of CorrectIlluminationApply, with a group of settings an image."""
    starts = [n for n, line in enumerate(lines) if line.startswith(_GROUP)]
    end = starts[-1] + _GROUP_LINES
    groups = ["\n".join(lines[n : n + _GROUP_LINES]) for n in starts]
    yield from lines[: starts[0]]
    yield from _repeated(groups, names)
    yield from lines[end:]
