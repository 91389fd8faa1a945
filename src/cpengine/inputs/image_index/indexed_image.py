"""What instruments' indexes and the names of files say of images. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from cpengine.wording import on_one_line


class ImageChannel(NamedTuple):
    """A channel as an index or the name of a file has it."""

    number: str
    """By which it is told apart: `1` of `w1`, `ch1` or `C01`; a name where there are
    no numbers."""
    name: str = ""
    """What the index calls it; empty where it has numbers alone."""

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.number} ({self.name})" if self.name else self.number


class IndexedImage(NamedTuple):
    """One image: where its file is, and what it shows."""

    place: str
    """The file, below the folder that was indexed; where no such file is there, as the
    index has it."""
    plate: str
    well: str
    site: int
    channel: ImageChannel
    plane: int = 1
    timepoint: int = 1
    page: int = 0
    """The page of the file, from 0."""
    values: tuple[str, ...] = ()
    """What else the index says of it, in the order of the index's fields."""
    there: bool = True
    """Whether the file is there."""

    @property
    def image_set(self) -> tuple[str, int, int, int]:
        """Well, site, timepoint and plane: what one image of each channel makes."""
        return self.well, self.site, self.timepoint, self.plane


class ProblemKind(StrEnum):
    """What can be wrong with images; those of `NOTES` leave no image set out."""

    MISSING_IMAGE = "missing-image"
    MISSING_PLANE = "missing-plane"
    MISSING_SITE = "missing-site"
    MISSING_WELL = "missing-well"
    DUPLICATE = "duplicate"
    EMPTY_FILE = "empty-file"
    SHORT_FILE = "short-file"
    SEVERAL_PAGES = "several-pages"
    UNREADABLE_FOLDER = "unreadable-folder"
    NOT_ACQUIRED = "not-acquired"
    UNREADABLE_NAME = "unreadable-name"
    NOT_IN_INDEX = "not-in-index"
    NO_IMAGES = "no-images"


NOTES = frozenset(
    {ProblemKind.UNREADABLE_NAME, ProblemKind.NOT_IN_INDEX, ProblemKind.NO_IMAGES}
)


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """Something that is wrong with one file, image set, site or well."""

    kind: ProblemKind
    place: str
    """The file, or the site."""
    cause: str

    @property
    def is_note(self) -> bool:
        """Whether no image set is left out for it."""
        return self.kind in NOTES

    def __str__(self) -> str:
        return on_one_line(f"{self.place}: {self.cause} ({self.kind})")

    def to_json(self) -> dict[str, Any]:
        """The problem as JSON."""
        return {"kind": str(self.kind), "place": self.place, "cause": self.cause}


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that is none of the plate's images, and why."""

    place: str
    cause: str


@dataclass
class PlateIndex:
    """What one index file, or the names of files without one, say of images."""

    format: str
    """What it was recognised as, in words."""
    images: list[IndexedImage] = field(default_factory=list)
    fields: Sequence[str] = ()
    """The names of the images' values, as metadata columns get them."""
    passed_over: list[PassedOver] = field(default_factory=list)
    problems: list[ImageProblem] = field(default_factory=list)
    lists_all: bool = True
    """Whether the index lists what was acquired, so that nothing else is missing."""
