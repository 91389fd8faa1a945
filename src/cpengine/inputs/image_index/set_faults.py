"""What is wrong with image sets; those with a fault are left out of tables. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from cpengine.inputs.image_checks import usual_and_least
from cpengine.inputs.image_index.image_sets import PlateImageSets, SetKey
from cpengine.inputs.image_index.indexed_image import (
    ImageProblem,
    IndexedImage,
    ProblemKind,
)

_EMPTY = "has 0 bytes, or is a link to a file that is gone"
CutOff = Callable[[Collection[str]], Collection[str]]
"""Which of some files end before their data."""


def leave_out_faulty(
    plate: PlateImageSets, sizes: Mapping[str, int], cut_off: CutOff
) -> None:
    """Take the sets that have a fault out of a plate; note each fault there.

    Parameters
    ----------
    sizes
        The size of each file.
    cut_off
        Is asked for a file of each channel, and for all where sizes differ.
    """
    if not plate.lists_all:
        plate.problems += _missing_sites(plate)
        plate.problems += _missing_steps(plate)
    faults = _Faults(plate, sizes, cut_off)
    faulty: dict[SetKey, None] = {}
    for key, images in plate.sets.items():
        for problem in faults.of_set(key, images):
            plate.problems.append(problem)
            faulty[key] = None
    for key in faulty:
        del plate.sets[key]


@dataclass
class _Faults:
    """Finds what is wrong with the images of a plate."""

    plate: PlateImageSets
    sizes: Mapping[str, int]
    cut_off: CutOff
    least: dict[str, float] = field(init=False, default_factory=dict)
    """How many bytes a sound image has at least, by image name."""
    cut: Collection[str] = field(init=False)
    """Files of the right size that end before their data."""

    def __post_init__(self) -> None:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for images in self.plate.sets.values():
            for name, image in images.items():
                if size := image.there and self.sizes[image.place]:
                    found[name][image.place] = size
        doubtful: list[str] = []
        for name, sizes in found.items():
            usual, least = usual_and_least(list(sizes.values()))
            self.least[name] = max(least, 1)
            large = [place for place in sizes if sizes[place] >= least]
            # Of equal ones, which are not compressed, one speaks for all.
            if least < usual or self.cut_off(large[:1]):
                doubtful += large
        self.cut = self.cut_off(doubtful)

    def of_set(
        self, key: SetKey, images: Mapping[str, IndexedImage]
    ) -> Iterator[ImageProblem]:
        """What is wrong with the images of a set."""
        for name in self.plate.names:
            image = images.get(name)
            if image is None:
                cause, place = f"has no image of {name}", self.plate.call(key)
                yield ImageProblem(ProblemKind.MISSING_IMAGE, place, cause)
            elif (key, name) in self.plate.twice:
                yield from self._duplicates(key, name, image)
            else:
                yield from self._of_file(key, name, image)

    def _duplicates(
        self, key: SetKey, name: str, first: IndexedImage
    ) -> Iterator[ImageProblem]:
        """Each of the images of a channel: nobody knows which one is meant."""
        cause = f"is not the only image of {name} in {self.plate.call(key)}"
        for image in (first, *self.plate.twice[key, name]):
            yield ImageProblem(ProblemKind.DUPLICATE, image.place, cause)

    def _of_file(
        self, key: SetKey, name: str, image: IndexedImage
    ) -> Iterator[ImageProblem]:
        place = image.place
        if not image.there:
            cause = f"is in the index ({self.plate.call(key)}, {name}), but not there"
            yield ImageProblem(ProblemKind.MISSING_IMAGE, place, cause)
        elif not (size := self.sizes[place]):
            yield ImageProblem(ProblemKind.EMPTY_FILE, place, _EMPTY)
        elif size < (least := self.least[name]):
            cause = f"has {size} bytes; sound ones of {name} have {least:.0f} or more"
            yield ImageProblem(ProblemKind.SHORT_FILE, place, cause)
        elif place in self.cut:
            cause = f"has {size} bytes, and ends before its data"
            yield ImageProblem(ProblemKind.SHORT_FILE, place, cause)


def _missing_sites(plate: PlateImageSets) -> Iterator[ImageProblem]:
    """Sites of which a well has no image, and others of the plate have some."""
    sites = {site for _, site, _, _ in plate.sets}
    of_well: dict[str, set[int]] = defaultdict(set)
    for well, site, _, _ in plate.sets:
        of_well[well].add(site)
    cause = "has no image, and other wells have"
    for well, there in of_well.items():
        for site in sorted(sites - there):
            place = f"{plate.plate} {well} site {site}"
            yield ImageProblem(ProblemKind.MISSING_SITE, place, cause)


def _missing_steps(plate: PlateImageSets) -> Iterator[ImageProblem]:
    """Planes and timepoints of which a site has no image, and others have some."""
    steps = {(timepoint, step) for _, _, timepoint, step in plate.sets}
    of_site: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    for well, site, timepoint, step in plate.sets:
        of_site[well, site].add((timepoint, step))
    cause = "has no image, and other sites have"
    for (well, site), there in of_site.items():
        for timepoint, step in sorted(steps - there):
            place = plate.call((well, site, timepoint, step))
            yield ImageProblem(ProblemKind.MISSING_PLANE, place, cause)
