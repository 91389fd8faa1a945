"""Images of plates put together to image sets. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpengine.errors import ConfigError
from cpengine.group_names import UNFIT
from cpengine.inputs.image_index.channel_names import (
    ChannelNames,
    channel_names,
    channel_order,
)
from cpengine.inputs.image_index.indexed_image import (
    ImageChannel,
    ImageProblem,
    IndexedImage,
    PlateIndex,
)
from cpengine.inputs.image_index.recognise import ImageFolder

SetKey = tuple[str, int, int, int]
"""Well, site, timepoint and plane."""


@dataclass
class PlateImageSets:
    """The image sets of a plate."""

    plate: str
    formats: Sequence[str]
    fields: Sequence[str]
    """The names of the images' values."""
    lists_all: bool
    """Whether an index has listed what was acquired."""
    names: Sequence[str] = ()
    """The image names that each set must have."""
    steps: tuple[bool, bool] = (False, False)
    """Whether several timepoints were acquired, and several planes."""
    sets: dict[SetKey, dict[str, IndexedImage]] = field(default_factory=dict)
    """The images of each set by image name."""
    twice: dict[tuple[SetKey, str], list[IndexedImage]] = field(default_factory=dict)
    """Images whose place in a set is taken, by set and image name."""
    not_taken: Counter[ImageChannel] = field(default_factory=Counter)
    """How many images there are of channels that are not taken."""
    problems: list[ImageProblem] = field(default_factory=list)

    @property
    def places(self) -> Iterator[str]:
        """Where its images are."""
        for images in self.sets.values():
            yield from (image.place for image in images.values())
        for more in self.twice.values():
            yield from (image.place for image in more)

    def count(self, part: int) -> int:
        """How many wells (0), sites, timepoints or planes there are."""
        return len({key[part] for key in self.sets})

    def to_json(self) -> dict[str, Any]:
        """Counts, as JSON."""
        return {
            "plate": self.plate,
            "formats": list(self.formats),
            "wells": self.count(0),
            "sites": self.count(1),
            "timepoints": self.count(2),
            "planes": self.count(3),
            "channels": list(self.names),
            "image_sets": len(self.sets),
            "not_taken": {c.label: n for c, n in self.not_taken.items()},
        }

    def call(self, key: SetKey) -> str:
        """A set as messages name it."""
        well, site, timepoint, plane = key
        several_timepoints, several_planes = self.steps
        more = f" timepoint {timepoint}" if several_timepoints else ""
        more += f" plane {plane}" if several_planes else ""
        return f"{self.plate} {well} site {site}{more}"


def plates_of(
    folder: ImageFolder, channels: Mapping[str, str], plates: Mapping[str, str]
) -> list[PlateImageSets]:
    """Put the images of a folder together to sets, a plate after the other.

    Parameters
    ----------
    channels
        Image names by channel; see `channel_names`.
    plates
        Other names for plates; with the key "" for the only one.

    Raises
    ------
    ConfigError
        A mapping names what is not there, or gives a name that cannot be.
    """
    by_plate = _by_plate(folder, plates)
    names = channel_names(
        [{image.channel for _, image in images} for images in by_plate.values()],
        channels,
    )
    found = []
    for plate in sorted(by_plate):
        images = by_plate.pop(plate)
        made = _put_together(plate, images, names)
        made.steps = made.count(2) > 1, made.count(3) > 1
        own = sorted({image.channel for _, image in images}, key=channel_order)
        ordered = names.values() if channels else (names[channel] for channel in own)
        made.names = list(dict.fromkeys(ordered))
        found.append(made)
    return found


def doubtful_plates(plates: Sequence[PlateImageSets]) -> Iterator[str]:
    """Notes on plates that may be put together wrongly, with what to do."""
    wells = [{well for well, *_ in plate.sets} for plate in plates]
    are_wells = all(
        len(found) == 1 and min(found).casefold() in plate.plate.casefold()
        for plate, found in zip(plates, wells, strict=True)
    )
    if len(plates) > 1 and are_wells:
        yield (
            f"each folder is taken for a plate, such as {plates[0].plate}, and has one "
            "well: if they are wells of a plate, say where its name is: --pattern "
            "'{plate}/*/...'"
        )
    for plate in plates:
        folders = sorted(set(filter(None, map(_above(plate.plate), plate.places))))
        if len(folders) > 1:
            yield (
                f"{plate.plate}: {', '.join(folders[:2])} are taken for one plate: if "
                "they are several, index one folder at a time, with --plate"
            )
        elif plate.twice:
            yield (
                f"{plate.plate}: images are there twice: if they are of several "
                "plates, say by {plate} in --pattern where their name is"
            )


def _above(plate: str) -> Callable[[str], str]:
    """Gives the folder of a plate's name that a file lies in; empty if in none."""
    form = re.compile(rf"(.*?/)?{re.escape(plate)}(?=/)")

    def folder(place: str) -> str:
        found = form.match(place)
        return found[0] if found else ""

    return folder


def _by_plate(
    folder: ImageFolder, names: Mapping[str, str]
) -> dict[str, list[tuple[PlateIndex, IndexedImage]]]:
    """The images of each plate, by the plate's new name."""
    found: dict[str, list[tuple[PlateIndex, IndexedImage]]] = defaultdict(list)
    for index in folder.indexes:
        for image in index.images:
            found[image.plate].append((index, image))
    renamed = _renamed(list(found), names)
    if len(set(renamed.values())) < len(found):
        raise ConfigError("--plate: two plates would have one name: choose another")
    return {renamed[plate]: images for plate, images in found.items()}


def _renamed(plates: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """The new name of each plate, which must fit a folder and a group."""
    new = dict(names)
    if "" in new and len(plates) == 1:
        new = {plates[0]: new[""]}
    for name in sorted(new.keys() - set(plates)):
        if not name:
            raise ConfigError(
                f"--plate {new['']}: there are {len(plates)} plates, {_some(plates)}: "
                "write OLD=NEW for each, or say by {plate} in --pattern where it is"
            )
        raise ConfigError(f"--plate {name}: is not there: there are {_some(plates)}")
    for plate in plates:
        name = new.get(plate, plate)
        if UNFIT.search(name) or name[0] in "@+":
            raise ConfigError(
                f"plate {name!r}: cannot name a folder and a group: give it another "
                f"name by --plate '{plate}=NAME'"
            )
    return {plate: new.get(plate, plate) for plate in plates}


def _some(plates: Sequence[str], most: int = 10) -> str:
    more = f" and {len(plates) - most} more" if len(plates) > most else ""
    return ", ".join(plates[:most]) + more


def _put_together(
    plate: str,
    images: Sequence[tuple[PlateIndex, IndexedImage]],
    names: ChannelNames,
) -> PlateImageSets:
    indexes = list({id(index): index for index, _ in images}.values())
    fields = list(dict.fromkeys(name for i in indexes for name in i.fields))
    made = PlateImageSets(
        plate,
        list(dict.fromkeys(index.format for index in indexes)),
        fields,
        all(index.lists_all for index in indexes),
    )
    for index, image in images:
        name = names.get(image.channel)
        if name is None:
            made.not_taken[image.channel] += 1
            continue
        if list(index.fields) != fields:
            image = image._replace(values=_realigned(index, image, fields))
        key = image.image_set
        if made.sets.setdefault(key, {}).setdefault(name, image) is not image:
            made.twice.setdefault((key, name), []).append(image)
    return made


def _realigned(
    index: PlateIndex, image: IndexedImage, fields: Iterable[str]
) -> tuple[str, ...]:
    """An image's values in the order of fields that are not its index's own."""
    values = dict(zip(index.fields, image.values, strict=True))
    return tuple([values.get(name, "") for name in fields])
