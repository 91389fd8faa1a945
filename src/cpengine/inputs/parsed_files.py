"""What this process has read and parsed of input files, so that it does so once.

A file whose size and times in a listing are those of before is not read again, and of
one content nothing is parsed twice, whichever copy it comes from. What is parsed is
remembered within bounds: beyond them a file is read and parsed again.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from typing import Any, Generic, NamedTuple, TypeVar

from cpengine.errors import InputError
from cpengine.inputs.loaddata import Table
from cpengine.storage.entry import Entry
from cpengine.storage.store import Storage

T = TypeVar("T")
Parse = Callable[[bytes, str], T]
"""Makes something of a file's bytes and of how messages name it."""

_MOST = 32 * 2**20
"""So many bytes of text, as in files, may be remembered as parsed. A table takes about
as much memory as its text."""
_IDLE_S = 60.0
"""What was not used for so long gives way. What was stays: a batch that is larger than
all that may be remembered would push itself out, each time it is gone through."""


class InputFile(NamedTuple, Generic[T]):
    """A file as it was read."""

    content: str
    """Its SHA-256."""
    parse: Callable[[], T]


class _Remembered(NamedTuple):
    value: Any
    size: int
    used: float


@dataclass
class ParsedFiles:
    """Reads and parses files, each once.

    Parameters
    ----------
    most
        So many bytes are remembered, by the sizes of files.
    """

    most: int = _MOST
    _contents: dict[str, tuple[Entry, str]] = field(default_factory=dict)
    """What each file held, and when."""
    _values: OrderedDict[Hashable, _Remembered] = field(default_factory=OrderedDict)
    """What was parsed; what was used last is last."""
    _size: int = 0
    _lock: RLock = field(default_factory=RLock)

    def file(
        self, storage: Storage, key: str, entry: Entry | None, parse: Parse[T]
    ) -> InputFile[T] | None:
        """A file of a storage; None if it is not there.

        Parameters
        ----------
        entry
            What a listing says of it, if that is known: else it is read.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        url = storage.url(key)
        if content := self.content(url, entry):
            again = partial(self._parse_again, storage, key, content, parse)
            return InputFile(content, again)
        data = storage.read_if_there(key)
        if data is None:
            return None
        content = sha256(data)
        self.note(url, entry, content)
        return InputFile(content, partial(self.parse, data, url, parse, content))

    def _parse_again(
        self, storage: Storage, key: str, content: str, parse: Parse[T]
    ) -> T:
        """What was parsed of a file, which is read if that is not known any more."""
        url = storage.url(key)
        with self._lock:
            if found := self._values.get((parse, content, url)):
                value: T = found.value
                return value
        data = storage.read(key)
        if sha256(data) != content:
            raise InputError(f"{url}: has changed just now: run again")
        return self.parse(data, url, parse, content)

    def parse(
        self, data: bytes, shown: str, parse: Parse[T], content: str | None = None
    ) -> T:
        """What is parsed of some bytes. Raises as `parse`.

        Parameters
        ----------
        content
            Their SHA-256, if that is known.
        """
        name = parse, content or sha256(data), shown
        return self.once(name, len(data), partial(parse, data, shown))

    def once(self, name: Hashable, size: int, make: Callable[[], T]) -> T:
        """What was made under a name, or is made now.

        Parameters
        ----------
        size
            So many bytes it has as text.
        """
        with self._lock:
            found = self._values.pop(name, None)
            value: T = found.value if found else make()
            if not found:
                size = max(size, _text_size(value))
                if not self._has_room(size):
                    return value
                value = _compact(value)
                self._size += size
            self._values[name] = _Remembered(value, size, time.monotonic())
            return value

    def _has_room(self, size: int) -> bool:
        """Whether so much more can be remembered; what is idle gives way."""
        while self._size + size > self.most:
            name, oldest = next(iter(self._values.items()), ("", None))
            is_idle = oldest and time.monotonic() - oldest.used > _IDLE_S
            if size > self.most or not is_idle:
                return False
            self._size -= self._values.pop(name).size
        return True

    def content(self, url: str, entry: Entry | None) -> str:
        """The SHA-256 of a file as it was read before; empty if it has changed."""
        seen, content = self._contents.get(url, (None, ""))
        return content if seen == entry else ""

    def note(self, url: str, entry: Entry | None, content: str) -> None:
        """Remember what a file held when a listing had this of it.

        Not of one so young that a change after this might leave it the same.
        """
        if entry and entry.is_settled(time.time()):
            self._contents[url] = entry, content

    def written(self, storage: Storage, key: str, data: bytes, parse: Parse[T]) -> None:
        """Remember what this process has just written, so as not to read it back."""
        entry, url, content = storage.entry(key), storage.url(key), sha256(data)
        if entry and entry.size == len(data):
            self._contents[url] = entry, content
            with self._lock:
                if self._has_room(len(data)):
                    self.parse(data, url, parse, content)


def _text_size(value: object) -> int:
    """How much text a table has, which is more than its file where it is compressed."""
    return value.text_size if isinstance(value, Table) else 0


def _compact(value: T) -> T:
    """The same in fewer bytes."""
    return value.interned() if isinstance(value, Table) else value


def sha256(data: bytes) -> str:
    """The digest that stands for a content."""
    return hashlib.sha256(data).hexdigest()


PARSED = ParsedFiles()
"""Those of this process."""
