"""Files below a storage root, by key; every access goes through fsspec."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fsspec

from cpengine.errors import ConfigError, InputError, StorageError

BUCKET = "/home/ubuntu/bucket"
"""Where Distributed-CellProfiler mounts the bucket; CSVs made for it begin so."""


class Storage:
    """A storage root. Keys are relative to it; absolute keys stand for themselves.

    Raises
    ------
    ConfigError
        The root is not a local folder that exists. Other storage is not supported.
    """

    def __init__(self, root: str) -> None:
        if "://" in root:
            raise ConfigError(
                f"storage.root: {root} is not a local folder: only those can be used"
            )
        self._fs = fsspec.filesystem("file")
        self._base = Path(root)
        if not self._base.is_dir():
            raise ConfigError(
                f"storage.root: {root} is no folder: make it, or name another"
            )

    def path(self, key: str) -> Path:
        """The local path of a key."""
        return self._base / key

    def locate(self, place: str) -> str:
        """Where a folder or address in a CSV is on this machine.

        DCP's mount stands for the root, and relative places are below the root.
        """
        if place == BUCKET or place.startswith(f"{BUCKET}/"):
            place = place.removeprefix(BUCKET).lstrip("/")
        if place.startswith("file:") or "://" in place:
            return place
        return str(self.path(place))

    def exists(self, key: str) -> bool:
        """Whether there is a file or folder with that key."""
        return bool(self._fs.exists(str(self.path(key))))

    def read(self, key: str) -> bytes:
        """A file's bytes.

        Raises
        ------
        InputError
            There is no such file.
        StorageError
            It cannot be read.
        """
        try:
            data: bytes = self._fs.cat_file(str(self.path(key)))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise InputError(f"{self.path(key)}: is not there: put it there") from error
        except OSError as error:
            raise StorageError(f"{self.path(key)}: {error.strerror}") from error
        return data

    def read_text(self, key: str) -> str:
        """A file's text, UTF-8. Raises as `read`, and InputError for other text."""
        try:
            return self.read(key).decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.path(key)}: is not UTF-8 text (byte {error.start}): "
                "save it as UTF-8"
            ) from error

    def sizes(self, key: str) -> Mapping[str, int]:
        """Names and sizes in bytes of a folder's files, from one listing."""
        try:
            entries: list[dict[str, Any]] = self._fs.ls(
                str(self.path(key)), detail=True
            )
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise StorageError(f"{self.path(key)}: {error.strerror}") from error
        return {
            os.path.basename(entry["name"]): int(entry["size"] or 0)
            for entry in entries
            if entry["type"] != "directory"
        }

    def folders(self, key: str) -> list[str]:
        """Names of a folder's folders, sorted."""
        try:
            entries = self._fs.ls(str(self.path(key)), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            os.path.basename(e["name"]) for e in entries if e["type"] == "directory"
        )

    def write(self, key: str, data: bytes) -> None:
        """Write a file so that readers see all of it or nothing.

        Raises
        ------
        StorageError
            The place cannot be written.
        """
        self._put(key, lambda temporary: temporary.write_bytes(data))

    def publish(self, file: Path, key: str) -> None:
        """Move a local file to a key so that readers see all of it or nothing.

        Raises
        ------
        StorageError
            The place cannot be written.
        """
        self._put(key, lambda temporary: shutil.move(file, temporary))

    def _put(self, key: str, make: Callable[[Path], object]) -> None:
        target = self.path(key)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            make(temporary)
            os.replace(temporary, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise StorageError(
                f"{target}: cannot be written ({error.strerror}): "
                "free the place or change its rights"
            ) from error

    def remove(self, key: str) -> None:
        """Remove a file; it may be gone already."""
        self.path(key).unlink(missing_ok=True)
