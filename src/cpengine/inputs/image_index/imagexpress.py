"""ImageXpress of Molecular Devices (MetaXpress): an `.HTD`, and the names of files.

The index says which wells were selected and what the channels are called; which image
is where only the names and folders say (`TimePoint_1/ZStep_2/P1_A01_s1_w1.TIF`).
"""

import csv
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from cpengine.errors import InputError
from cpengine.inputs.image_index.file_names import read_names
from cpengine.inputs.image_index.index_folder import IndexFolder
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    ImageProblem,
    PlateIndex,
    ProblemKind,
)
from cpengine.inputs.image_index.known_names import IMAGEXPRESS_NAMES
from cpengine.inputs.image_index.name_pattern import NamePattern, compiled
from cpengine.inputs.image_index.values import ValuePool
from cpengine.plates import well_name

_Settings = Mapping[str, Sequence[str]]
_STEP = re.compile(r"(TimePoint|ZStep)_\d+", re.IGNORECASE)
_ROW = re.compile(r"WellsSelection(\d{1,2})")
_SINGLE = NamePattern(
    "ImageXpress names without sites and channels",
    compiled(r"[^/]*_(?P<well>[A-Z]{1,2}\d{2})(?:[0-9A-F-]{36})?\.tiff?"),
)


def read(folder: IndexFolder) -> PlateIndex:
    """Read the images of a plate, which has the name of the file."""
    settings = _settings(folder)
    _check_whole(folder, settings)
    plate = posixpath.splitext(posixpath.basename(folder.index))[0]
    names = (IMAGEXPRESS_NAMES, _SINGLE)
    read = read_names(folder.top, _places(folder, plate), names, lambda *_: plate)
    found = PlateIndex(IMAGEXPRESS.title, lists_all=False)
    pool = ValuePool(folder.shown)
    for index in read:
        found.passed_over += index.passed_over
        for image in index.images:
            number = image.channel.number
            name = pool["".join(settings.get(f"WaveName{number}", ())[:1])]
            channel = ImageChannel(number, name)
            found.images.append(image._replace(channel=channel))
    found.problems += _missing_wells(folder, settings, found)
    found.problems += _without_images(folder, settings, found)
    return found


def _settings(folder: IndexFolder) -> _Settings:
    """The values of each line, by the name at its beginning."""
    lines = (line.strip() for line in folder.text().split("\n"))
    rows = csv.reader(filter(None, lines), skipinitialspace=True)
    try:
        return {row[0].strip(): row[1:] for row in rows if row}
    except csv.Error as error:
        raise InputError(
            f"{folder.shown}: is no index of ImageXpress ({error}): copy it from the "
            "instrument again, or give --pattern"
        ) from error


def _check_whole(folder: IndexFolder, settings: _Settings) -> None:
    """Refuse an index that ends early: it counts rows and channels before it has them.

    Raises
    ------
    InputError
        A line is missing.
    """
    rows, channels = (_count(settings, name) for name in ("YWells", "NWavelengths"))
    wanted = [f"WellsSelection{number}" for number in range(1, rows + 1)]
    wanted += [f"WaveName{number}" for number in range(1, channels + 1)]
    if _is_true(settings, "Waves") or "Waves" not in settings:
        wanted.append("NWavelengths")
    for name in ("YWells", *wanted):
        if name not in settings:
            raise InputError(
                f"{folder.shown}: is no whole index of ImageXpress (no {name}): copy "
                "it from the instrument again, or give --pattern"
            )


def _count(settings: _Settings, name: str) -> int:
    """A small number that the index has; 0 if it has none of that name."""
    text = "".join(settings.get(name, ())[:1]).strip()
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 0


def _is_true(settings: _Settings, name: str) -> bool:
    return "".join(settings.get(name, ())[:1]).strip().upper() == "TRUE"


def _without_images(
    folder: IndexFolder, settings: _Settings, found: PlateIndex
) -> Iterator[ImageProblem]:
    """Note the channels and sites that were acquired and have no image."""
    numbers = {image.channel.number for image in found.images}
    for number in range(1, _count(settings, "NWavelengths") + 1):
        if str(number) not in numbers and found.images:
            name = "".join(settings.get(f"WaveName{number}", ())[:1])
            channel = ImageChannel(str(number), name)
            place = f"{folder.shown}: channel {channel.label}"
            yield ImageProblem(ProblemKind.NO_IMAGES, place, "has no image")
    sites = len({image.site for image in found.images})
    selected = _sites(settings)
    if found.images and sites < selected:
        cause = f"has {selected} sites a well; there are images of {sites}"
        yield ImageProblem(ProblemKind.NO_IMAGES, folder.shown, cause)


def _sites(settings: _Settings) -> int:
    """How many sites of a well were selected."""
    if not _is_true(settings, "Sites"):
        return 1
    columns, rows = (_count(settings, name) for name in ("XSites", "YSites"))
    selection = (settings.get(f"SiteSelection{row + 1}") for row in range(rows))
    selected = (
        columns
        if values is None
        else sum(v.strip().upper() == "TRUE" for v in values[:columns])
        for values in selection
    )
    return sum(selected)


def _places(folder: IndexFolder, plate: str) -> Iterator[str]:
    """The plate's images: of several plates in one folder, those of its name."""
    several = len(folder.beside(".htd")) > 1
    for place in folder.images:
        if not several or posixpath.basename(place).startswith(f"{plate}_"):
            yield place


def _missing_wells(
    folder: IndexFolder, settings: _Settings, found: PlateIndex
) -> Iterator[ImageProblem]:
    """Wells that were selected, and have no image."""
    there = {image.well for image in found.images}
    for name, selected in settings.items():
        if row := _ROW.fullmatch(name):
            for column, value in enumerate(selected[:99]):
                well = well_name((max(int(row[1]) - 1, 0), column))
                if value.strip().upper() == "TRUE" and well not in there:
                    place, cause = f"{folder.shown}: {well}", "has no image"
                    yield ImageProblem(ProblemKind.MISSING_WELL, place, cause)


def _root(place: str) -> str:
    """The plate's folder: exports have copies of the index in the folders of steps."""
    folder = posixpath.dirname(place)
    while _STEP.fullmatch(posixpath.basename(folder)):
        folder = posixpath.dirname(folder)
    return folder


IMAGEXPRESS = IndexFormat(
    "imagexpress",
    "Molecular Devices ImageXpress",
    re.compile(r".+\.htd", re.IGNORECASE),
    read,
    _root,
)
