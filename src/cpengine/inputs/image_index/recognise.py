"""A folder of images: which instrument wrote it, and what each image shows."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from cpengine.errors import InputError
from cpengine.inputs.image_index.file_names import (
    is_thumbnail,
    read_names,
    without_copy,
)
from cpengine.inputs.image_index.format_table import FORMATS
from cpengine.inputs.image_index.index_folder import IndexFolder, is_image
from cpengine.inputs.image_index.index_format import IndexFormat
from cpengine.inputs.image_index.indexed_image import (
    ImageProblem,
    PassedOver,
    PlateIndex,
    ProblemKind,
)
from cpengine.inputs.image_index.known_names import KNOWN_NAMES
from cpengine.inputs.image_index.name_pattern import NamePattern, plate_folder
from cpengine.storage import local_files
from cpengine.storage.store import Storage
from cpengine.wording import counted

_Found = tuple[IndexFormat, str]
"""An index file and its format."""


@dataclass
class ImageFolder:
    """What was recognised in a folder."""

    top: str
    """Its path or address."""
    sizes: Mapping[str, int]
    """The size of each file, by its place below it."""
    indexes: list[PlateIndex] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unlisted: list[ImageProblem] = field(default_factory=list)
    """The folders that cannot be listed."""

    @property
    def problems(self) -> Iterator[ImageProblem]:
        """What indexes and names say that is wrong, and what cannot be listed."""
        yield from self.unlisted
        for index in self.indexes:
            yield from index.problems

    @property
    def passed_over(self) -> Iterator[PassedOver]:
        """The files that are none of a plate's images."""
        return (entry for index in self.indexes for entry in index.passed_over)


def recognise(
    storage: Storage, top: str, pattern: NamePattern | None = None
) -> ImageFolder:
    """Find the images below a folder, by the indexes there and by names.

    It takes one listing, and reads index files alone.

    Parameters
    ----------
    top
        The folder's path or address.
    pattern
        How files are named; if None, indexes and known namings are tried.

    Raises
    ------
    InputError
        There is no image, none can be read, or an index is damaged.
    """
    folder = ImageFolder(top.rstrip("/") or "/", {})
    folder.sizes = _sizes(storage, top)
    if storage.is_local(top):
        folder.unlisted = _unlisted(storage, folder.top)
    images = list(filter(is_image, folder.sizes))
    if not images:
        what = "has no images" if folder.sizes else "is no folder, or an empty one"
        if folder.unlisted:
            what = f"{folder.unlisted[0].place} in it cannot be listed"
        raise InputError(f"{top}: {what}: name the folder that the images are below")
    if pattern is None:
        images = _read_indexes(storage, folder, images)
    patterns = KNOWN_NAMES if pattern is None else (pattern,)
    folder.indexes += read_names(folder.top, images, patterns)
    if not any(index.images for index in folder.indexes):
        raise InputError(_unknown(folder, pattern))
    _call_apart(folder)
    return folder


def _sizes(storage: Storage, top: str) -> dict[str, int]:
    """The files below a folder, but for those that systems hide."""
    return {
        place: size
        for place, size in storage.tree(top).items()
        if not place.startswith(".") and "/." not in place
    }


def _unlisted(storage: Storage, top: str) -> list[ImageProblem]:
    """The folders below a local one that may not be listed: a listing passes over."""
    found = (
        str(path).removeprefix(f"{top}/")
        for path in local_files.unlisted(storage.path(top))
    )
    kind, cause = ProblemKind.UNREADABLE_FOLDER, "cannot be listed"
    return [ImageProblem(kind, place, cause) for place in found]


def _unknown(folder: ImageFolder, pattern: NamePattern | None) -> str:
    images = [place for place in folder.sizes if is_image(place)]
    number, first = counted(len(images), "image"), images[0]
    what, cure = "is in no naming that is known", "say how they are named, such as"
    if pattern:
        what = "does not match"
        cure = "say how whole names are, with * for what stands before, such as"
    return (
        f"{folder.top}: {first} {what} (of {number}): {cure} "
        "--pattern '{well}_s{site}_w{channel}.tif'"
    )


def _read_indexes(
    storage: Storage, folder: ImageFolder, images: Sequence[str]
) -> list[str]:
    """Read the indexes of a folder; give the images that are of none of them."""
    roots = _roots(folder.sizes)
    owned = _owned(folder.sizes, roots)
    rest = owned.pop(None, [])
    for root, found in roots.items():
        names = owned.get(root, [])
        read = [
            form.read(
                IndexFolder(storage, folder.top, place, root, names, folder.sizes)
            )
            for form, place in found
        ]
        read = [index for index in read if index.images or index.problems]
        for index in read:
            _call(index, plate_folder(folder.top, f"{root}/-".lstrip("/")))
        folder.indexes += read
        if read:
            _note_others(read, filter(is_image, names))
        else:
            rest += names
    return list(filter(is_image, rest))


def _roots(places: Iterable[str]) -> dict[str, list[_Found]]:
    """The indexes by the folders of their plates: of the first format in each."""
    found: dict[str, list[_Found]] = {}
    for place in sorted(places, key=lambda place: (place.count("/"), place)):
        for form in FORMATS:
            if form.matches(place):
                _add(found.setdefault(form.root(place), []), (form, place))
                break
    return found


def _add(indexes: list[_Found], entry: _Found) -> None:
    """Add an index, unless another one of the folder says the same, or goes first."""
    form, place = entry
    others = [other for other, _ in indexes]
    if others and FORMATS.index(form) < FORMATS.index(others[0]):
        indexes.clear()
    elif form in others:
        names = {posixpath.basename(other) for _, other in indexes}
        if form.is_single or posixpath.basename(place) in names:
            return
    elif others:
        return
    indexes.append(entry)


def _owned(
    places: Iterable[str], roots: Mapping[str, object]
) -> dict[str | None, list[str]]:
    """The files by the folder of the plate that they are below, the nearest."""

    @cache
    def root_of(folder: str) -> str | None:
        if folder in roots:
            return folder
        return root_of(posixpath.dirname(folder)) if folder else None

    found: dict[str | None, list[str]] = defaultdict(list)
    for place in places:
        found[root_of(posixpath.dirname(place))].append(place)
    return found


def _call(index: PlateIndex, name: str) -> None:
    """Call a plate after its folder where the index gives it no name."""
    if not all(image.plate for image in index.images):
        index.images = [
            image if image.plate else image._replace(plate=name)
            for image in index.images
        ]


def _note_others(read: Sequence[PlateIndex], images: Iterable[str]) -> None:
    """Note the images below a plate's folder that its index does not list."""
    listed = {image.place for index in read for image in index.images}
    listed |= {entry.place for index in read for entry in index.passed_over}
    last = read[-1]
    for place in sorted(set(images) - listed):
        if is_thumbnail(place):
            last.passed_over.append(PassedOver(place, "thumbnail"))
            continue
        copied = without_copy(place)
        cause = "is not in the index"
        if copied in listed:
            cause += f"; by its name a copy of {posixpath.basename(copied)}"
        last.problems.append(ImageProblem(ProblemKind.NOT_IN_INDEX, place, cause))


def _call_apart(folder: ImageFolder) -> None:
    """Call plates after their folders where several indexes give them one name."""
    of: dict[str, list[PlateIndex]] = defaultdict(list)
    for index in folder.indexes:
        for plate in {image.plate for image in index.images}:
            of[plate].append(index)
    for plate, indexes in of.items():
        names = [_folder_name(folder, index) for index in indexes]
        if len(indexes) > 1 and len(set(names)) == len(indexes):
            for index, name in zip(indexes, names, strict=True):
                _rename(index, plate, name)
            what = f"{plate}: {len(indexes)} indexes name their plate so"
            folder.notes.append(f"{what}: called {', '.join(names)}, after folders")


def _folder_name(folder: ImageFolder, index: PlateIndex) -> str:
    places = (image.place for image in index.images if image.there)
    return plate_folder(folder.top, next(places, ""))


def _rename(index: PlateIndex, plate: str, name: str) -> None:
    index.images = [
        image._replace(plate=name) if image.plate == plate else image
        for image in index.images
    ]
