"""The folders of a source as listings have them: each is listed once."""

import posixpath
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from cpengine.gallery.names import full_names
from cpengine.storage.entry import Entry
from cpengine.storage.store import Storage

Files = Mapping[str, Entry]
IMAGES, ILLUM = "images", "illum"
WORKSPACE, TABLES, METADATA = "workspace", "load_data_csv", "metadata"


class FolderContents(NamedTuple):
    """What lies in a folder."""

    folders: list[str]
    files: set[str]


@dataclass(frozen=True)
class SourceTree:
    """The folder of one institution's part of a project."""

    storage: Storage
    root: str
    """Its key or address."""
    project: str
    source: str
    """Its name; empty where images and workspace lie in the project itself."""
    wanted: frozenset[str] = frozenset()
    """The batches to look at; all if empty."""
    _listed: dict[str, FolderContents] = field(default_factory=dict, repr=False)

    def key(self, *parts: str) -> str:
        """The key of what lies below the source."""
        return posixpath.join(self.root, *parts)

    def url(self, *parts: str) -> str:
        """The path or address of what lies below the source."""
        return self.storage.url(self.key(*parts))

    def contents(self, *parts: str) -> FolderContents:
        """What lies in a folder, from one listing; nothing if it is not there."""
        key = self.key(*parts)
        if key not in self._listed:
            self._listed[key] = FolderContents(*self.storage.contents(key))
        return self._listed[key]

    def files(self, *parts: str) -> Files:
        """All files below a folder: a request for a thousand of them."""
        return self.storage.files(self.key(*parts))

    def batches(self, *parts: str) -> list[str]:
        """The names of the batches in a folder that has one for each."""
        found = self.contents(*parts).folders
        return [name for name in found if not self.wanted or name in self.wanted]


@dataclass(frozen=True)
class GalleryBatch:
    """One batch of a source: its plates in images, illum and tables."""

    tree: SourceTree
    name: str

    @cached_property
    def full(self) -> list[str]:
        """The plates by the names of their folders of images."""
        return self.tree.contents(IMAGES, self.name, IMAGES).folders

    @cached_property
    def kinds(self) -> set[str]:
        """The folders of images and functions: raw ones, and what was made of them."""
        return {*self.tree.contents(IMAGES, self.name).folders}

    @cached_property
    def illum(self) -> Mapping[str, Files]:
        """The illumination functions of each plate."""
        return by_folder(self.tree.files(IMAGES, self.name, ILLUM))

    @cached_property
    def tables(self) -> Mapping[str, Files]:
        """The LoadData tables of each plate."""
        return by_folder(self.tree.files(WORKSPACE, TABLES, self.name))

    @cached_property
    def plates(self) -> list[str]:
        """The names of plates that tables have and that images are there of."""
        return [p for p in self.tables if p and full_names(p, self.full)]


def by_folder(files: Files) -> dict[str, dict[str, Entry]]:
    """Files by the first folder of their names; those in none have none."""
    found: dict[str, dict[str, Entry]] = {}
    for name, entry in sorted(files.items()):
        folder, _, rest = name.partition("/") if "/" in name else ("", "", name)
        found.setdefault(folder, {})[rest] = entry
    return found


def more(names: Sized) -> str:
    """How many there are beside the first that a message names."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
