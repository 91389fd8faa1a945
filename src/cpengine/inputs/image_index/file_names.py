"""Images by the names of their files. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    ImageProblem,
    IndexedImage,
    PassedOver,
    PlateIndex,
    ProblemKind,
)
from cpengine.inputs.image_index.name_pattern import (
    NamePattern,
    steps_of,
    well_of,
)
from cpengine.inputs.image_index.values import unfit

_THUMBNAIL = re.compile(r"_thumb([^/]*)\Z", re.IGNORECASE)
_COPY = re.compile(
    r"(?: - Copy(?: \(\d+\))?| ?\(\d+\)|[ _]copy(?: ?\d+)?)(?=\.\w+\Z)", re.IGNORECASE
)
"""What file managers put at the end of the name of a second copy."""


def read_names(
    top: str,
    places: Iterable[str],
    patterns: Sequence[NamePattern],
    plate_of: Callable[[str, Mapping[str, str]], str] | None = None,
) -> list[PlateIndex]:
    """The images of files, for each pattern that has read some; and what has not been.

    Parameters
    ----------
    top
        The folder that the places are below.
    plate_of
        Gives the plate of a file and its parts; if None, it is the part of that name,
        or the folder.
    """
    found = {p.title: PlateIndex(p.title, lists_all=False) for p in patterns}
    unread = PlateIndex("", lists_all=False)
    for place in places:
        pattern, parts = _read(place, patterns)
        if is_thumbnail(place):
            unread.passed_over.append(PassedOver(place, "thumbnail"))
        elif pattern is None or unfit(place):
            unread.problems.append(_unreadable(place))
        else:
            index = found[pattern.title]
            index.fields = pattern.fields
            of_folder = parts.get("plate") or pattern.plate_folder(top, place)
            plate = plate_of(place, parts) if plate_of else of_folder
            index.images.append(_image(place, plate, parts, pattern.fields))
    for index in found.values():
        leave_projections(index)
    return [i for i in (*found.values(), unread) if i.images or i is unread]


def is_thumbnail(place: str) -> bool:
    """Whether a file is a small picture that ImageXpress writes beside an image."""
    return _THUMBNAIL.search(place) is not None


def without_copy(place: str) -> str:
    """The file that a second copy is of, by its name; any other as it stands."""
    return _COPY.sub("", place)


def _read(
    place: str, patterns: Sequence[NamePattern]
) -> tuple[NamePattern | None, Mapping[str, str]]:
    """The first pattern that reads the name that a file is a copy of, or its own."""
    for name in dict.fromkeys((without_copy(place), place)):
        for pattern in patterns:
            parts = pattern.parts(name)
            if parts and (well_of(parts) or "number" in parts):
                return pattern, parts
    return None, {}


def _image(
    place: str, plate: str, parts: Mapping[str, str], fields: Sequence[str]
) -> IndexedImage:
    timepoint, plane = steps_of(place)
    return IndexedImage(
        place,
        plate,
        well_of(parts) or f"W{parts['number']}",
        int(parts.get("site", "1")),
        ImageChannel(channel_number(parts.get("channel", "1"))),
        int(parts.get("plane", plane or "1")),
        int(parts.get("timepoint", timepoint or "1")),
        values=tuple([parts.get(name, "") for name in fields]),
    )


def channel_number(text: str) -> str:
    """A channel's number without zeros before it; any other text as it stands."""
    return str(int(text)) if text.isascii() and text.isdigit() else text


def leave_projections(index: PlateIndex) -> None:
    """Pass over the projections that ImageXpress puts beside the planes of a stack."""
    planes = [int(steps_of(image.place)[1] or 0) for image in index.images]
    pairs = list(zip(index.images, planes, strict=True))
    stacks = {image.plate for image, plane in pairs if plane}
    if stacks:
        projections = [i for i, plane in pairs if not plane and i.plate in stacks]
        gone = {image.place for image in projections}
        index.images = [image for image in index.images if image.place not in gone]
        index.passed_over += [PassedOver(i.place, "projection") for i in projections]


def _unreadable(place: str) -> ImageProblem:
    cause = unfit(place) or "has a name that says no well that can be read"
    return ImageProblem(ProblemKind.UNREADABLE_NAME, place, cause)
