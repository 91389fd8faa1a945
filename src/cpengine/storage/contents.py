"""What files hold, in short: whether it is still the same whatever their times say."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BufferedIOBase, BytesIO
from pathlib import Path

from cpengine.errors import CpengineError
from cpengine.storage import local_files
from cpengine.storage.cache import Cache
from cpengine.storage.entry import Entry
from cpengine.storage.store import Storage

_BYTES = 16
_MOST_LOCAL, _MOST_REMOTE = 2**32, 2**28
_known: dict[str, str] = {}
"""The digests of files that this process has asked for."""


def digest_of(path: Path) -> str:
    """The digest of what a local file holds. Raises as `local_files.opened`."""
    with local_files.opened(str(path)) as file:
        return _digest(file)


def _digest(file: BufferedIOBase) -> str:
    make = partial(hashlib.blake2b, digest_size=_BYTES)
    return hashlib.file_digest(file, make).hexdigest()


@dataclass
class Contents:
    """Digests of files; each is read once by all processes of a user and machine.

    Parameters
    ----------
    cache
        Gives the place where digests are remembered.
    """

    storage: Storage
    cache: Callable[[], Cache]
    _read: int = field(default=0, init=False)
    """Bytes that were read."""

    def digest(self, key: str, entry: Entry) -> str:
        """The digest of a file.

        Empty if it cannot be read, or if so much was read already that it takes long.

        Parameters
        ----------
        entry
            What a listing says of it.
        """
        about = f"{self.storage.url(key)}\x1f{tuple(entry)}"
        if about not in _known:
            try:
                _known[about] = self._remembered(about, key, entry.size)
            except (CpengineError, OSError):
                return ""
        return _known[about]

    def _remembered(self, about: str, key: str, size: int) -> str:
        cache = None
        with contextlib.suppress(CpengineError, OSError):  # without, it is read again
            cache = self.cache()
            if found := cache.note(about):
                return found
        found = self._of_file(key, size)
        with contextlib.suppress(CpengineError, OSError):
            if cache:
                cache.keep_note(about, found)
        return found

    def _of_file(self, key: str, size: int) -> str:
        local = self.storage.is_local(key)
        self._read += size
        if self._read > (_MOST_LOCAL if local else _MOST_REMOTE):
            raise OSError(f"{key}: too much was read")
        if local:
            return digest_of(self.storage.path(key))
        return _digest(BytesIO(self.storage.read(key)))
