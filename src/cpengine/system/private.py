"""Folders and locks of one user, in places where others may write, too."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cpengine.errors import ConfigError


def make(folder: Path) -> Path:
    """Make a folder for this user alone, unless there is one; give it.

    Raises
    ------
    ConfigError
        What is there is not this user's alone.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)
    return check(folder)


def check(folder: Path) -> Path:
    """Refuse a folder that others may have filled; give it.

    Raises
    ------
    ConfigError
        It is there, and it is a link, another user's, or others may write to it.
    """
    with contextlib.suppress(FileNotFoundError):
        if why := _foreign(folder.lstat()):
            raise ConfigError(
                f"{folder}: {why}, so what is in it may be anybody's: remove it, or "
                "name another scratch folder"
            )
    return folder


def is_own(path: Path) -> bool:
    """Whether a file or folder is this user's; a link counts by itself."""
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def is_trusted(path: Path) -> bool:
    """Whether a file or folder is this user's or the system's; a link by itself."""
    try:
        return path.lstat().st_uid in (0, os.geteuid())
    except OSError:
        return False


def _foreign(seen: os.stat_result) -> str:
    if not stat.S_ISDIR(seen.st_mode):
        return "is a link or a file"
    if seen.st_uid != os.geteuid():
        return "is another user's"
    # A POSIX access list shows here, too: its mask stands for the group.
    return "others may write to it" if seen.st_mode & 0o022 else ""


def no_link(path: str, flags: int) -> int:
    """Open a file as `open` does (as its `opener`), but never through a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes; it falls with the process."""
    with open(path, "ab", opener=no_link) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
