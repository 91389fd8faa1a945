"""Which tables cpengine made, and of what, so that it knows its own again.

A small file stands for a table and what it was made of; its name tells both.
They lie beside the ledgers, since a table must stay as CellProfiler and
Distributed-CellProfiler read it, and are only ever added.
"""

import hashlib
import json
import posixpath
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from cpengine.storage.store import Storage
from cpengine.system import private

_SEPARATOR = "~"
_DIGITS = 16


class How(StrEnum):
    """What a table was when it was used."""

    MADE = "made"
    """cpengine wrote it."""
    TAKEN = "taken"
    """It was the user's, beside a table that it could have been made of."""


class Origin(NamedTuple):
    """A table, and what it is or could be made of, as they were when jobs ran."""

    place: str
    """Stands for the table's key."""
    content: str
    """Digest of the table."""
    source: str
    """Digest of what it is made of."""
    how: How

    @classmethod
    def parse(cls, name: str) -> "Origin | None":
        """Read a file's name; None for any other file's."""
        stem, _, how = name.rpartition(".")
        parts = stem.split(_SEPARATOR)
        if len(parts) != 3 or how not in list(How):
            return None
        place, content, source = parts
        return cls(place, content, source, How(how))

    def __str__(self) -> str:
        stem = _SEPARATOR.join((self.place, self.content, self.source))
        return f"{stem}.{self.how}"


def digest_of(data: bytes) -> str:
    """What tells a content from others."""
    return short(hashlib.sha256(data).hexdigest())


def short(sha256: str) -> str:
    """The same, of a content's SHA-256."""
    return sha256[:_DIGITS]


def place_of(key: str) -> str:
    """What stands for a table's key in names of files."""
    return digest_of(key.encode())


@dataclass(frozen=True)
class TableOrigins:
    """What is known of the tables of a batch; listed once, when it is first asked."""

    storage: Storage
    folder: str

    @cached_property
    def _known(self) -> set[Origin]:
        return self._in(self.folder)

    def of(self, key: str) -> Collection[Origin]:
        """What is known of a table, whatever its content was."""
        place = place_of(key)
        return [origin for origin in self._known if origin.place == place]

    def made_of(self, key: str, content: str) -> Collection[str]:
        """Of what cpengine has made just this table; nothing if it is the user's."""
        return {
            origin.source
            for origin in self.of(key)
            if origin.how is How.MADE and origin.content == content
        }

    def made_in_another_batch(self, content: str) -> bool:
        """Whether cpengine made just this table, for another batch of the project."""
        return content in self._made_in_other_batches

    @cached_property
    def _made_in_other_batches(self) -> set[str]:
        batch, name = posixpath.split(self.folder)
        ledgers, own = posixpath.split(batch)
        others = (b for b in self.storage.folders(ledgers) if b != own)
        folders = (posixpath.join(ledgers, other, name) for other in others)
        origins = (origin for folder in folders for origin in self._in(folder))
        return {origin.content for origin in origins if origin.how is How.MADE}

    def _in(self, folder: str) -> set[Origin]:
        names = self.storage.sizes(folder)
        found = {origin for name in names if (origin := Origin.parse(name))}
        return {origin for origin in found if self._counts(folder, origin)}

    def _counts(self, folder: str, origin: Origin) -> bool:
        """Whether what a file tells is so: others could have a user's table replaced.

        In buckets files have no owner.
        """
        key = posixpath.join(folder, str(origin))
        if origin.how is not How.MADE or not self.storage.is_local(key):
            return True
        return private.is_trusted(self.storage.path(key))

    def keep(self, origin: Origin, key: str) -> None:
        """Remember an origin, with the table's key for people to read.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        if origin not in self._known:
            data = json.dumps({"table": key, "how": origin.how}).encode()
            name = posixpath.join(self.folder, str(origin))
            self.storage.write(name, data, durable=True)
            self._known.add(origin)
