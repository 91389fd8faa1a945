"""Local files in folders where others may write, too.

They are written whole or not at all, and opened only if they are regular files: a pipe
would keep its reader waiting, and a device has no end. Nothing is written or removed by
a way that somebody else has laid with a link.
"""

import contextlib
import errno
import fcntl
import os
import posixpath
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from io import BufferedReader
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, BinaryIO

from cpengine.errors import PlaceRefusedError, StorageError
from cpengine.system import fsync

PART = ".part"
_PIECE = 2**20


def opened(path: str, flag: int = os.O_RDONLY) -> BufferedReader:
    """Open a regular file to read it, or with another flag to lock it, too.

    Raises
    ------
    OSError
        It cannot be opened.
    StorageError
        It is no regular file.
    """
    number = os.open(path, flag | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(number, "rb")
    os.close(number)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise StorageError(f"{path}: is no regular file: remove it, and run again")


def read(path: str, most: int | None = None) -> bytes:
    """A file's bytes. Raises as `opened`, and StorageError if they are too many.

    Parameters
    ----------
    most
        So many bytes are read at the most.
    """
    with opened(path) as file:
        data = file.read(-1 if most is None else most + 1)
    if most is not None and len(data) > most:
        raise StorageError(f"{path}: has more than {most} bytes: remove it")
    return data


def copy(path: str, to: Path) -> int:
    """Copy a file; give how large it was when it was opened. Raises as `opened`."""
    with opened(path) as file, to.open("wb") as copied:
        size = os.fstat(file.fileno()).st_size
        shutil.copyfileobj(file, copied, _PIECE)
    return size


def check_way(root: str, path: str) -> None:
    """Refuse a file if a link on the way from a root to it is not to be followed.

    Links of one's own and of the system's lead to other disks. A place that is not
    below the root is looked at from the top.

    Raises
    ------
    PlaceRefusedError
        Another user has made a link there, or one leads nowhere.
    """
    for folder in _folders(root, path):
        if not _is_there(folder):
            return


def _is_there(folder: str) -> bool:
    """Whether something is at a place. Raises as `check_way`."""
    try:
        seen = os.lstat(folder)
    except OSError:  # nothing is there; what else it is, is told by who goes on
        return False
    if not stat.S_ISLNK(seen.st_mode):
        return True
    if seen.st_uid not in (0, os.geteuid()):
        raise PlaceRefusedError(
            f"{folder}: is a link that another user has made, so nothing is "
            "written or removed behind it: remove it, or name the place itself"
        )
    if not os.path.exists(folder):
        raise PlaceRefusedError(
            f"{folder}: is a link to {os.readlink(folder)}, which is not there: "
            "make that folder, or remove the link"
        )
    return True


def check_open(root: str, folder: str, known: set[str]) -> None:
    """Refuse a folder below which this user may write nothing; nothing is made there.

    Parameters
    ----------
    known
        Folders that were looked at before; those of this one are added.

    Raises
    ------
    OSError
        It, or the one that it would be made in, is no folder or gives no right.
    PlaceRefusedError
        As `check_way`.
    """
    nearest = root
    for place in _folders(root, f"{folder}/{PART}"):
        if place not in known and not _is_there(place):
            break
        known.add(place)
        nearest = place
    if not os.access(nearest, os.W_OK | os.X_OK):
        code = errno.EACCES if os.path.isdir(nearest) else errno.ENOTDIR
        raise OSError(code, os.strerror(code), nearest)


def is_own_link(info: Mapping[str, Any]) -> bool:
    """Whether a listing names a link to a folder that we, or the system, have made."""
    ours = info.get("uid") in (os.geteuid(), 0)
    return bool(info.get("islink")) and ours and os.path.isdir(info["name"])


def is_loop(link: str) -> bool:
    """Whether a link leads to a folder that it is in itself."""
    above = os.path.realpath(posixpath.dirname(link))
    return posixpath.commonpath([above, real := os.path.realpath(link)]) == real


def has_link(folder: str, path: str) -> bool:
    """Whether a folder between another one and a file below it is a link."""
    return any(map(os.path.islink, _folders(folder, path)))


def _folders(root: str, path: str) -> Iterator[str]:
    """The folders on the way from a root to a file, without the root."""
    start = root.rstrip("/")
    if not path.startswith(f"{start}/"):
        start = ""
    above = posixpath.dirname(path[len(start) + 1 :])
    steps = (f"/{part}" for part in above.split("/") if part)
    return islice(accumulate(steps, initial=start), 1, None)


def beside(url: str) -> str:
    """Another name in the same folder, for what is not whole yet."""
    folder, name = posixpath.split(url)
    return f"{folder}/.{name}.{secrets.token_hex(4)}{PART}"


def write(data: bytes, url: str, *, durable: bool) -> None:
    """Write a file whole, or not at all."""
    temporary = beside(url)
    with _removed_if_it_fails(temporary):
        with open(temporary, "wb") as file:
            file.write(data)
            if durable:  # else its name may be on the disk before what is in it
                fsync.flush(file)
        os.replace(temporary, url)


def move(file: Path, url: str) -> None:
    """Move a file whole, or not at all."""
    try:
        os.replace(file, url)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = beside(url)
        with _removed_if_it_fails(temporary):
            shutil.move(file, temporary)
            os.replace(temporary, url)


def move_beside(file: Path, url: str) -> Path:
    """Move a file to the folder where it is to be, under another name."""
    temporary = beside(url)
    with _removed_if_it_fails(temporary):
        shutil.move(file, temporary)
    return Path(temporary)


def create(path: Path, data: bytes) -> bool:
    """Make a file with all that is in it at once, unless there is one."""
    temporary = Path(beside(str(path)))
    try:
        with temporary.open("wb") as file:
            file.write(data)
            fsync.flush(file)  # once there, it is never made again
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            with path.open("xb") as plain:
                plain.write(data)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def replace(path: Path, old: bytes, new: bytes) -> bool:
    """Write a file that holds something still; durable. Whoever is first has it."""
    try:
        with _locked(str(path)) as file:
            # It may have been replaced while the lock was waited for.
            is_same = os.path.samestat(os.fstat(file.fileno()), path.stat())
            if not is_same or file.read() != old:
                return False
            write(new, str(path), durable=True)
    except FileNotFoundError:
        return False
    fsync.sync_path(path.parent)
    return True


def _locked(path: str) -> BinaryIO:
    """Open a file and wait until nobody else has it so; closing it ends that."""
    try:
        file = opened(path, os.O_RDWR)  # locks over NFS want that
    except PermissionError:  # another user's, in a folder of many
        file = opened(path)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


@contextlib.contextmanager
def _removed_if_it_fails(path: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def unlisted(folder: Path) -> list[Path]:
    """The folders in a folder, and it itself, that this user may not list."""
    found: list[Path] = []

    def note(error: OSError) -> None:
        if isinstance(error, PermissionError):
            found.append(Path(error.filename))

    for _ in os.walk(folder, onerror=note):
        pass
    return found
