"""Files below a storage root, by key; every access goes through fsspec."""

import contextlib
import logging
import os
import posixpath
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fsspec import Callback
from fsspec.core import split_protocol

from cpengine import rules
from cpengine.errors import ConfigError, CpengineError, InputError, StorageError
from cpengine.storage import causes, keys, local_files, remote_files
from cpengine.storage.entry import Entry
from cpengine.storage.filesystems import WHOLE, Access, is_local
from cpengine.system import fsync
from cpengine.wording import visible

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_LOG = logging.getLogger(__name__)
_AT_ONCE = 16
_PIECE = 2**18
"""Bytes that are asked for where a file is not read whole."""
_BLOCK = 2**23
"""Bytes of one request where all of a file is read, piece by piece."""


class Storage:
    """A storage root: a local folder, or any address that fsspec knows.

    Keys are relative to it; absolute paths and addresses stand for themselves.

    Raises
    ------
    ConfigError
        The root is a local folder that does not exist, or no package opens it.
    """

    def __init__(
        self, root: str, access: Access | None = None, setting: str = "storage.root"
    ) -> None:
        self.root = root if root == "/" else root.rstrip("/")
        self._access = access or Access()
        if is_local(self.root):
            self.root = self.root.removeprefix("file://")
            if not os.path.isdir(self.root):
                raise ConfigError(
                    f"{setting}: {root} is no folder: make it, or name another"
                )
        self._filesystem(self.root)  # refuse a protocol that nothing opens

    def below(self, key: str) -> "Storage":
        """A folder of this storage as a root. Raises ConfigError as the class."""
        return Storage(self.url(key), self._access)

    def url(self, key: str) -> str:
        """The local path or the address of a key.

        Raises
        ------
        InputError
            It leads out of the root.
        """
        if key.startswith("/") or "://" in key:
            return key.removeprefix("file://")
        return self.join(keys.check_in_root(self.root, key))

    def join(self, place: str) -> str:
        """The path or address of a relative place, wherever that leads."""
        return posixpath.join(self.root, place) if place else self.root

    def is_local(self, key: str = "") -> bool:
        """Whether a key is a file of this machine."""
        return is_local(self.url(key))

    def is_anonymous(self, key: str = "") -> bool:
        """Whether a key is in a bucket that is read without credentials."""
        return self._access.is_anonymous(self.url(key))

    @property
    def ignores_case(self) -> bool:
        """Whether the root's file system takes names that differ in case for one."""
        other = self.root.swapcase()
        if other == self.root or not self.is_local():
            return False
        return os.path.exists(other) and os.path.samefile(other, self.root)

    def at_once(self, key: str = "") -> int:
        """How many files are worth having under way: one where nothing is waited for.

        On local disks a thread costs more than what it would do.
        """
        return 1 if self.is_local(key) else _AT_ONCE

    def path(self, key: str) -> Path:
        """The local path of a key for which `is_local` holds."""
        assert self.is_local(key), key
        return Path(self.url(key))

    def _filesystem(self, key: str) -> "AbstractFileSystem":
        return self._access.filesystem(self.url(key))

    def exists(self, key: str) -> bool:
        """Whether there is a file or folder with that key."""
        with self._telling(key, "cannot be looked up"):
            return bool(self._filesystem(key).exists(self.url(key)))

    def read(self, key: str) -> bytes:
        """A file's bytes.

        Raises
        ------
        InputError
            There is no such file.
        StorageError
            It cannot be read.
        """
        data = self.read_if_there(key)
        if data is None:
            raise InputError(f"{self.url(key)}: is not there: put it there")
        return data

    def read_if_there(self, key: str, most: int | None = None) -> bytes | None:
        """A file's bytes, or None if there is no such file; one request.

        Parameters
        ----------
        most
            A local file that has more bytes is refused.
        """
        try:
            with self._telling(key, "cannot be read", _ABSENT):
                url = self.url(key)
                if is_local(url):
                    return local_files.read(url, most)
                data: bytes = self._filesystem(key).cat_file(url)
        except _ABSENT:
            return None
        return data

    def head(self, key: str, most: int) -> bytes:
        """A file's first bytes, so many at the most; one request.

        Raises
        ------
        StorageError
            It cannot be read, or is not there.
        """
        with self._telling(key, "cannot be read"):
            url = self.url(key)
            if is_local(url):
                with local_files.opened(url) as file:
                    return file.read(most)
            data: bytes = self._filesystem(key).cat_file(url, start=0, end=most)
        return data

    def first_line(self, key: str) -> bytes | None:
        """A file's first line, or None if there is no such file; the rest stays there.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        try:
            with (
                self._telling(key, "cannot be read", _ABSENT),
                self._opened(key) as file,
            ):
                line: bytes = file.readline()
        except _ABSENT:
            return None
        return line

    def _opened(self, key: str, block: int = _PIECE) -> BinaryIO:
        url = self.url(key)
        if is_local(url):
            return local_files.opened(url)
        file: BinaryIO = self._filesystem(key).open(url, block_size=block)
        return file

    def pieces(self, key: str) -> Iterator[bytes]:
        """A file's bytes, piece by piece, for files that are too large to hold.

        Raises
        ------
        InputError
            There is no such file.
        StorageError
            It cannot be read.
        """
        try:
            with (
                self._telling(key, "cannot be read", _ABSENT),
                self._opened(key, _BLOCK) as file,
            ):
                while piece := file.read(_PIECE):
                    yield piece
        except _ABSENT as error:
            raise _missing(self.url(key)) from error

    def read_text(self, key: str) -> str:
        """A file's text, UTF-8. Raises as `read`, and InputError for other text."""
        return as_text(self.read(key), self.url(key))

    def sizes(self, key: str) -> dict[str, int]:
        """Names and sizes in bytes of a folder's files, from one listing."""
        return {name: entry.size for name, entry in self.entries(key).items()}

    def entries(self, key: str) -> dict[str, Entry]:
        """A folder's files by name, from one listing."""
        return {
            name: Entry.read(info)
            for name, info in self._listing(key)
            if info["type"] != "directory"
        }

    def entry(self, key: str) -> Entry | None:
        """A file's size and time; None if there is no such file."""
        try:
            with self._telling(key, "cannot be looked up", _ABSENT):
                return Entry.read(self._filesystem(key).info(self.url(key)))
        except _ABSENT:
            return None

    def folders(self, key: str) -> list[str]:
        """Names of a folder's folders, sorted; with our own links to folders."""
        found = self._listing(key)
        return sorted(
            name
            for name, info in found
            if info["type"] == "directory" or local_files.is_own_link(info)
        )

    def contents(self, key: str) -> tuple[list[str], set[str]]:
        """Names of a folder's folders, sorted, and of its files; one listing."""
        found = dict(self._listing(key))
        is_folder = {name: info["type"] == "directory" for name, info in found.items()}
        files = {name for name in found if not is_folder[name]}
        return sorted(found.keys() - files), files

    def names(self, key: str) -> set[str]:
        """Names of all that a folder holds, links to folders too; one listing."""
        return {name for name, _ in self._listing(key)}

    def _listing(self, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What a folder holds, by name, but for names that lead elsewhere."""
        for info in self._ls(key):
            is_folder = info["type"] == "directory"
            place = info["name"].rstrip("/") if is_folder else info["name"]
            name = posixpath.basename(place)
            if keys.is_below(name) and _is_text(place):
                yield name, info

    def _ls(self, key: str) -> list[dict[str, Any]]:
        try:
            with self._telling(key, "cannot be listed", _ABSENT):
                found: list[dict[str, Any]] = self._filesystem(key).ls(
                    self.url(key), detail=True
                )
        except _ABSENT:
            return []
        return found

    def tree(self, key: str) -> dict[str, int]:
        """Sizes in bytes of all files below a folder, by their place below it.

        On S3 it takes one list request for a thousand files. Objects whose names lead
        elsewhere (`..`, `//`) are no files of the folder.
        """
        return {place: entry.size for place, entry in self.files(key).items()}

    def files(self, key: str) -> dict[str, Entry]:
        """What a listing says of all files below a folder, as `tree`.

        Our own links to folders count as folders.
        """
        filesystem = self._filesystem(key)
        with self._telling(key, "cannot be listed", _ABSENT):
            found = filesystem.find(self.url(key), detail=True)
        start = len(filesystem._strip_protocol(self.url(key)).rstrip("/")) + 1
        files = {}
        for path, info in found.items():
            place = path[start:]
            if not (keys.is_below(place) and _is_text(path)):
                continue
            if not local_files.is_own_link(info):
                files[place] = Entry.read(info)
            elif not local_files.is_loop(path):
                below = self.files(path)
                files |= {f"{place}/{name}": below[name] for name in below}
        return files

    def version(self, key: str) -> str:
        """Text that changes when a file is replaced.

        Raises
        ------
        InputError
            There is no such file.
        """
        try:
            with self._telling(key, "cannot be looked up", _ABSENT):
                info = self._filesystem(key).info(self.url(key))
        except _ABSENT as error:
            raise _missing(self.url(key)) from error
        return Entry.read(info).version

    def fetch(self, key: str, to: Path) -> int:
        """Copy a file to a local path; give its size in bytes.

        Raises
        ------
        InputError
            There is no such file, or it is empty.
        StorageError
            It cannot be read whole.
        """
        try:
            with self._telling(key, "cannot be fetched", _ABSENT):
                sent = self._get(self.url(key), to)
        except _ABSENT as error:
            raise _missing(self.url(key)) from error
        size = to.stat().st_size
        if sent is not None and size != sent:
            raise StorageError(
                f"{self.url(key)}: came as {size} of {sent} bytes: run again"
            )
        return size

    def _get(self, url: str, to: Path) -> int | None:
        """Copy a file to a local path; give how large it was said to be."""
        if is_local(url):
            return local_files.copy(url, to)
        seen = Callback()
        self._filesystem(url).get_file(url, str(to), callback=seen)
        size: int | None = seen.size
        return size

    def write(self, key: str, data: bytes, *, durable: bool = False) -> None:
        """Write a file so that readers see all of it or nothing.

        Parameters
        ----------
        durable
            Whether it outlasts a power cut from now on; see `sync`.

        Raises
        ------
        StorageError
            The place cannot be written.
        """
        self._put(
            key,
            lambda url: local_files.write(data, url, durable=durable),
            lambda files, url: files.pipe_file(url, data, **remote_files.about(url)),
        )
        if durable:
            self.sync([key])

    def sync(self, keys: Iterable[str]) -> None:
        """Have files, with the folders that lead to them, outlast a power cut.

        That is so on all storages but local disks as soon as they are written.

        Raises
        ------
        StorageError
            The disk does not take them, or one is gone.
        """
        local = [key for key in keys if self.is_local(key)]
        for key in local:
            self._check_way(key)
        for key in local[:1]:
            with self._telling(key, "cannot be written"):
                fsync.sync(map(self.path, local), self.path(""))

    def create(self, key: str, data: bytes) -> bool:
        """Write a small file unless it is there already; whether it was written.

        Of two at the same time one writes it, on local disks and on S3.
        """
        self._check_way(key)
        with self._telling(key, "cannot be written"):
            self._make_parent(key)
            if self.is_local(key):
                return local_files.create(self.path(key), data)
            try:
                self._filesystem(key).pipe_file(self.url(key), data, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, key: str, old: bytes, new: bytes) -> bool:
        """Write a small file if it still holds what was read; whether it was written.

        Of several at the same time one writes it, on local disks and on S3.
        """
        self._check_way(key)
        with self._telling(key, "cannot be written"):
            if self.is_local(key):
                return local_files.replace(self.path(key), old, new)
            return remote_files.replace(self._filesystem(key), self.url(key), old, new)

    def move_beside(self, file: Path, key: str) -> Path:
        """Bring a local file so near to a key that to publish it wants no more room.

        On local disks it is moved beside its place; elsewhere it stays where it is.

        Raises
        ------
        StorageError
            The place cannot be written.
        """
        if not self.is_local(key):
            return file
        self._check_way(key)
        with self._telling(key, "cannot be written"):
            self._make_parent(key)
            return local_files.move_beside(file, self.url(key))

    def publish(self, file: Path, key: str) -> None:
        """Move a local file to a key so that readers see all of it or nothing.

        Raises
        ------
        StorageError
            The place cannot be written, or holds another size than was sent.
        """
        size = file.stat().st_size
        self._put(
            key,
            lambda url: local_files.move(file, url),
            lambda files, url: files.put_file(str(file), url),
        )
        if not self.is_local(key):
            with self._telling(key, "cannot be looked up"):
                there = self._filesystem(key).info(self.url(key))["size"]
            if there != size:
                raise StorageError(
                    f"{self.url(key)}: has {there} of {size} bytes: run again"
                )

    def _put(
        self,
        key: str,
        put: Callable[[str], object],
        send: Callable[["AbstractFileSystem", str], object],
    ) -> None:
        """Put a file in place by `put` on local disks, by `send` elsewhere.

        Where objects do not appear whole, they get another name first.
        """
        url = self.url(key)
        self._check_way(key)
        with self._telling(key, "cannot be written"):
            if is_local(url):
                try:
                    put(url)
                except FileNotFoundError:  # mostly its folder is there
                    self._make_parent(key)
                    put(url)
                return
            self._make_parent(key)
            files = self._filesystem(key)
            if split_protocol(url)[0] in WHOLE:
                send(files, url)
            else:
                temporary = local_files.beside(url)
                send(files, temporary)
                files.mv(temporary, url)

    def _make_parent(self, key: str) -> None:
        url = self.url(key)
        if is_local(url):
            os.makedirs(posixpath.dirname(url), exist_ok=True)
        elif split_protocol(url)[0] not in WHOLE:
            self._filesystem(key).makedirs(posixpath.dirname(url), exist_ok=True)

    def remove(self, key: str, *, durable: bool = False) -> None:
        """Remove a file; it may be gone already. See `write` for `durable`."""
        self._check_way(key)
        with (
            self._telling(key, "cannot be removed", _ABSENT),
            contextlib.suppress(FileNotFoundError),
        ):
            self._filesystem(key).rm_file(self.url(key))
            if durable and self.is_local(key):
                fsync.sync_path(self.path(key).parent)

    def is_behind_link(self, folder: str, name: str) -> bool:
        """Whether a folder, or one between it and a file below it, is a link.

        Nobody can say then whose files they are. The root may be one.
        """
        if not self.is_local(folder):
            return False
        place = os.path.normpath(self.url(folder))
        linked = place != os.path.normpath(self.root) and os.path.islink(place)
        return linked or local_files.has_link(place, f"{place}/{name}")

    def _check_way(self, key: str) -> None:
        url = self.url(key)
        if is_local(url):
            local_files.check_way(self.root, url)

    def check_writable(self, key: str) -> None:
        """Refuse a folder below which nothing can be written.

        Raises
        ------
        StorageError
            Its nearest existing parent is no folder, or it takes no file; or another
            user has laid the way there.
        """
        self._check_way(posixpath.join(key, local_files.PART))
        with self._telling(key, "cannot be written"):
            if self.is_local(key):
                place = self.path(key)
                nearest = next(p for p in (place, *place.parents) if p.exists())
                with tempfile.TemporaryFile(dir=nearest):
                    return
        probe = posixpath.join(
            key, f".cpengine-{secrets.token_hex(4)}{local_files.PART}"
        )
        self.write(probe, b"can it be written?")
        self.remove(probe)

    def refusals(self, folders: Iterable[str]) -> Iterator[StorageError]:
        """Why nothing can be written to local folders; nothing is made to see that."""
        known: set[str] = set()
        for key in folders:
            try:
                with self._telling(key, "cannot be written"):
                    local_files.check_open(self.root, self.url(key), known)
            except StorageError as error:
                yield error

    @contextlib.contextmanager
    def _telling(
        self, key: str, what: str, passing: tuple[type[OSError], ...] = ()
    ) -> Iterator[None]:
        """Say in one line what a storage could not do.

        Each package that opens a protocol raises errors of its own, so any error is
        one of storage, but for those `passing`: the caller tells what they mean.
        """
        try:
            yield
        except CpengineError:
            raise
        except Exception as error:  # see above
            if isinstance(error, passing) and not causes.is_no_bucket(error):
                raise
            raise causes.error_of(self.url(key), what, error) from error


def _is_text(place: str) -> bool:
    """Whether a name in a listing can be written down; if not, that is told."""
    if keys.is_text(place):
        return True
    shown = visible(place)
    _LOG.warning("%s: has a name that is no UTF-8: it is passed over: rename it", shown)
    return False


def as_text(data: bytes, shown: str) -> str:
    """Bytes of a file as UTF-8 text. Raises InputError for any other."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        cause = f"is not UTF-8 text (byte {error.start})"
        raise InputError(
            rules.CSV_ENCODING.found(shown, cause, "save it as UTF-8")
        ) from error


def _missing(url: str) -> InputError:
    return InputError(f"{url}: is not there: put it there")
