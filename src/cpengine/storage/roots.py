"""Where a project's files are: three roots, and the path map of its CSVs."""

import os
import posixpath
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from cpengine.storage.filesystems import is_local
from cpengine.storage.store import Storage

_DRIVE = re.compile(r"[A-Za-z]:/")
BUCKET = "/home/ubuntu/bucket"
"""Where Distributed-CellProfiler mounts the bucket; CSVs made for it begin so."""


@dataclass(frozen=True, slots=True)
class Places:
    """The roots of one project; they may be one and the same.

    They are Distributed-CellProfiler's SOURCE_BUCKET, WORKSPACE_BUCKET and
    DESTINATION_BUCKET.
    """

    images: Storage
    workspace: Storage
    """Pipelines, CSVs, batch files, rules and plugins."""
    outputs: Storage
    """Results, and the ledger beside them."""
    made: tuple[str, ...] = ()
    """Places where the project's steps put their results, below `outputs`."""
    map: tuple[tuple[str, str], ...] = ()
    """Beginnings of places in CSVs, and what stands for each; the first that fits."""
    _keys: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Keys of places that were asked for: a plate names its folders in every row."""

    @classmethod
    def single_root(cls, storage: Storage) -> "Places":
        """One root for everything."""
        return cls(storage, storage, storage)

    @property
    def local(self) -> bool:
        """Whether all of them are on this machine."""
        return all(s.is_local() for s in (self.images, self.workspace, self.outputs))

    def locate(self, place: str) -> str:
        """Where a folder or an address in a CSV really is: a local path, or a URL.

        DCP's mount and relative places stand for what is below the roots: results of
        the project's own steps are in `outputs` if they are there, else, like anything
        else, in `images`.
        """
        place = self._without_bucket(place)
        if place.startswith("/") or "://" in place:
            return place
        return (self.outputs if self._is_made(place) else self.images).join(place)

    def made_key(self, place: str, own: str) -> str:
        """The key below `outputs` of a folder that another step fills; else empty.

        The folder need not be there.

        Parameters
        ----------
        own
            Where the step that asks puts its results.
        """
        key, own = self.key(place), self.key(own)
        made = map(self.key, self.made)  # some may be one folder
        fillers = (folder for folder in made if f"{key}/".startswith(f"{folder}/"))
        return "" if max(fillers, key=len, default=own) == own else key

    def key(self, place: str) -> str:
        """The key below `outputs` of a folder in a CSV, where it is one that a step
        fills, whatever links and `..` lead there; else the folder as it is named.
        """
        if place not in self._keys:
            self._keys[place] = self._key(self._without_bucket(place).rstrip("/"))
        return self._keys[place]

    def _key(self, place: str) -> str:
        root = self.outputs.root.rstrip("/")
        if folder := _real(root, place):
            for made, real in self._filled(root):
                if f"{folder}/".startswith(f"{real}/"):
                    return made + folder.removeprefix(real)
        return place.removeprefix(f"{root}/")

    def _filled(self, root: str) -> list[tuple[str, str]]:
        """The folders that steps fill, without links; inner ones first."""
        real = ((made, _real(root, made)) for made in self.made)
        below = (pair for pair in real if pair[1] not in ("", _real(root, "")))
        return sorted(below, key=lambda pair: -len(pair[1]))

    def _without_bucket(self, place: str) -> str:
        """A place of a CSV, mapped; without DCP's mount, which stands for the roots."""
        place = self._mapped(without_file_scheme(place))
        if place == BUCKET or place.startswith(f"{BUCKET}/"):
            return place.removeprefix(BUCKET).lstrip("/")
        return place

    def comparable(self, place: str) -> str:
        """A folder of a CSV as all that are the same one have it, whatever links lead
        there. What is below one of the roots is named from there.
        """
        place = self._without_bucket(place)
        roots = self.images.root, self.outputs.root
        place = next(filter(None, (_real(root, place) for root in roots)), place)
        for root in roots:
            place = place.removeprefix(f"{(_real(root, '') or root).rstrip('/')}/")
        return place.rstrip("/")

    def is_opened_as_named(self, place: str) -> bool:
        """Whether a folder or address of a CSV is a local one that needs no change."""
        located = self.locate(place)
        return is_local(located) and located == without_file_scheme(place)

    def _is_made(self, place: str) -> bool:
        if self.outputs.root == self.images.root:
            return False
        key = self.made_key(place, "")
        return bool(key) and self.outputs.exists(key)

    def knows(self, place: str) -> bool:
        """Whether a folder in a CSV is mapped, or below one of the roots."""
        place = f"{without_file_scheme(place)}/"
        roots = (self.images.root, self.workspace.root, self.outputs.root, BUCKET)
        below = any(place.startswith(f"{root.rstrip('/')}/") for root in roots)
        return below or self.is_mapped(place)

    def is_mapped(self, place: str) -> bool:
        """Whether something else stands for a folder in a CSV."""
        place = without_file_scheme(place)
        return self._mapped(place) != place

    def _mapped(self, place: str) -> str:
        same = place.replace("\\", "/")
        for start, real in self.map:
            rest = same.removeprefix(start.replace("\\", "/").rstrip("/"))
            if rest != same and rest[:1] in ("", "/"):
                return real.rstrip("/") + rest
        return place


def _real(root: str, place: str) -> str:
    """A folder of this machine without links; empty for others."""
    if not is_local(root) or not is_local(place) or "\0" in place:
        return ""
    return os.path.realpath(posixpath.join(root, place))


def without_file_scheme(place: str) -> str:
    """A `file:` address as LoadData reads it; with any number of slashes.

    A drive of Windows begins without one.
    """
    if not place.lower().startswith("file:"):
        return place
    path = unquote(place[len("file:") :]).lstrip("/")
    return path if _DRIVE.match(path) else f"/{path}"
