"""What to do about images that are not there: whole folders, names, single files."""

import json
import os.path
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cpengine import rules
from cpengine.rules import Finding
from cpengine.storage.roots import Places, without_file_scheme
from cpengine.wording import counted

_PUT = "put it there or drop the row"
_DISK = re.compile(r"[A-Za-z]:(?=[\\/])|(?:\\\\|//)[^\\/]+[\\/][^\\/]+|/[^\\/]+")
"""A drive or share of Windows, or a first folder: what may be mounted elsewhere."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a row."""

    where: str
    folder: str
    """As the table has it."""
    name: str
    url: str
    column: str
    beside: Mapping[str, int]
    """Names and sizes in bytes of its folder's files."""

    @property
    def size(self) -> int | None:
        """Bytes; None if it is not there."""
        return self.beside.get(self.name)


def findings(places: Places, missing: Sequence[Image]) -> Iterator[Finding]:
    """One for each reason, with the first place."""
    by_disk: dict[str, list[Image]] = defaultdict(list)
    single: list[Image] = []
    for image in missing:
        disk = _DISK.match(without_file_scheme(image.folder))
        if disk and not image.beside and not places.knows(image.folder):
            by_disk[disk[0]].append(image)
        else:
            single.append(image)
    for images in by_disk.values():
        if any(cure(image) == _PUT for image in images):
            yield _whole_folders(images)
        else:  # another step makes them
            single += images
    yield from _single_files(places, single)


def _whole_folders(images: Sequence[Image]) -> Finding:
    folders = {without_file_scheme(image.folder) for image in images}
    return rules.IMAGE_MISSING.found(
        images[0].where,
        f"{images[0].folder} is not on this machine, or empty "
        f"({counted(len(images), 'file')})",
        f"if it is elsewhere now, write {mapping(folders)} below [storage.map], with "
        "the real place",
    )


def mapping(folders: set[str]) -> str:
    r"""The line of `[storage.map]` for folders of one disk, by what they share.

    Where they share one of themselves, it is for the folder above: other plates are
    beside it. `{r"D:\screen\P1"}` gives `"D:\\screen" = "/path/to/screen"`.
    """
    shared = os.path.commonprefix(sorted(folders))  # noqa: RUF071 (cut back next)
    if any(folder[len(shared) :][:1] not in ("", "/", "\\") for folder in folders):
        shared = _above(shared)
    if shared in folders and _DISK.match(f"{_above(shared)}/"):
        shared = _above(shared)
    name = re.split(r"[/\\]", shared)[-1].rstrip(":")
    return f"{_quoted(shared)} = {_quoted(f'/path/to/{name}')}"


def _above(place: str) -> str:
    return place[: max(place.rfind("/"), place.rfind("\\"), 0)]


def _quoted(text: str) -> str:
    """A basic string of TOML, which has the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _single_files(places: Places, missing: Sequence[Image]) -> Iterator[Finding]:
    """Files of folders that are there, or have their place in this project."""
    folders = {image.folder: image.beside for image in missing}
    in_lower_case = {
        folder: {name.lower(): name for name in names}
        for folder, names in folders.items()
    }
    cased: list[Image] = []
    absent: list[Image] = []
    for image in missing:
        there = in_lower_case[image.folder].get(image.name.lower())
        (cased if there else absent).append(image)
    if cased:
        there = in_lower_case[cased[0].folder][cased[0].name.lower()]
        what = f"is not there, but there is {there}: case differs"
        yield of_all(
            rules.IMAGE_MISSING, cased, what, "write the names as the files have them"
        )
    if absent:
        what_to_do = cure(absent[0])
        if what_to_do == _PUT and places.is_mapped(absent[0].folder):
            what_to_do = f"correct [storage.map], {_PUT}"
        yield of_all(rules.IMAGE_MISSING, absent, "is not there", what_to_do)


def of_all(
    rule: rules.Rule, images: Sequence[Image], what: str, what_to_do: str
) -> Finding:
    """One finding for some images, with the first place."""
    others = counted(len(images) - 1, "file")
    more = f" (and {others} more)" if images[1:] else ""
    return rule.found(images[0].where, f"{images[0].url} {what}{more}", what_to_do)


def cure(image: Image) -> str:
    """What to do where an image is not there."""
    step = _step_of(image.column, image.url)
    return f"run the {step} step first" if step else _PUT


def cure_of_folder(image: Image) -> str:
    """What to do where a folder lies in the place of an image."""
    step = _step_of(image.column, image.url)
    made = f"remove it, then run the {step} step first"
    return made if step else "name a file in it, or drop the row"


def cure_of_damage(column: str, url: str) -> str:
    """What to do where a file holds no image, or not all of it."""
    step = _step_of(column, url)
    again = f"run the {step} step again with --force"
    return again if step else "copy it again, or drop its row"


def _step_of(column: str, url: str) -> str | None:
    """The step that makes an image, if one does."""
    if column.startswith(("FileName_Illum", "URL_Illum")):
        return "illum"
    return "zproj" if "/images_projected/" in url else None
