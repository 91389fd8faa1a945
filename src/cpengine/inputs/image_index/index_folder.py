"""The folder of an index file: its files, and the bytes of those that describe it."""

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cpengine.errors import InputError
from cpengine.storage.store import Storage

IMAGE_SUFFIXES = (
    *(".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".bmp", ".gif"),
    *(".c01", ".dib", ".flex", ".stk"),
)
"""How the names of files end that CellProfiler opens as images."""
_MOST_TEXT_BYTES = 2**20


@dataclass(frozen=True)
class IndexFolder:
    """What a format reads: an index file, and the files below its folder."""

    storage: Storage
    top: str
    """The path or address of the folder that is indexed."""
    index: str
    """The index file, below `top`."""
    root: str
    """The folder of the plate, below `top`; empty for that itself."""
    names: Sequence[str]
    """The files below the plate's folder, as they are called below `top`."""
    sizes: Mapping[str, int]
    """The size of each file below `top`."""

    @cached_property
    def shown(self) -> str:
        """The index as messages name it."""
        return posixpath.join(self.top, self.index)

    @property
    def images(self) -> Iterator[str]:
        """Those of the files that are images."""
        return filter(is_image, self.names)

    def pieces(self, name: str = "") -> Iterator[bytes]:
        """The bytes of the index, or of a file beside it."""
        place = posixpath.join(self._beside, name) if name else self.index
        return self.storage.pieces(posixpath.join(self.top, place))

    def text(self) -> str:
        """The index, where that is a small text; any bytes have letters."""
        data = self.storage.read_if_there(self.shown, _MOST_TEXT_BYTES)
        if data is None:
            raise InputError(f"{self.shown}: is not there any more: run again")
        return data.decode("latin-1")

    @cached_property
    def _beside(self) -> str:
        return posixpath.dirname(self.index)

    def has(self, name: str) -> bool:
        """Whether a file lies beside the index."""
        return posixpath.join(self._beside, name) in self.sizes

    def beside(self, suffix: str) -> list[str]:
        """The names of the files beside the index that end so, whatever their case."""
        names = map(posixpath.basename, filter(self._is_beside, self.names))
        return sorted(name for name in names if name.lower().endswith(suffix))

    def _is_beside(self, place: str) -> bool:
        return posixpath.dirname(place) == self._beside

    def find(self, name: str) -> tuple[str, bool]:
        """The file of a name in the index, and whether it is there.

        It is where the index says, or else the only file of that name below the plate's
        folder: files are moved to other folders, and addresses are of other machines.
        """
        bare = name.replace("\\", "/")
        place = f"{self._beside}/{bare}" if self._beside else bare
        if place in self.sizes:
            return place, True
        found = self._by_name.get(posixpath.basename(bare), ())
        return (found[0], True) if len(found) == 1 else (bare, False)

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for place in self.names:
            found[posixpath.basename(place)].append(place)
        return found


def is_image(place: str) -> bool:
    """Whether CellProfiler would open a file as an image, by its name."""
    return place.lower().endswith(IMAGE_SUFFIXES)
