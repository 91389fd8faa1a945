"""Files that many jobs of this machine need: fetched or copied once, within bounds."""

import contextlib
import hashlib
import os
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cpengine.storage import local_files
from cpengine.storage.store import Storage
from cpengine.system import fsync, private
from cpengine.wording import GB

PREFIX = "cpengine-cache-"
"""How the names of caches in a scratch folder begin; a user has one."""
_DIGITS = 32
_PART = ".part"
_PIECE = 2**20
_names: dict[tuple[Path, tuple[int, ...]], str] = {}
"""The entries of local files that this process has copied, by folder and stamp."""
_copying = threading.Lock()
"""Jobs that begin at the same time have a file read once."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of files, shared by every process of this machine and user.

    Jobs get hard links, so a file that a job uses has more links than one: such files
    are never removed, and if one were, the job would keep its own. A file is on the
    disk before it has its name here, so that a power cut leaves none that is empty.
    """

    folder: Path
    limit: int
    """Bytes to keep."""

    @classmethod
    def below(cls, scratch: Path, limit_gb: float) -> "Cache":
        """The cache in a scratch folder, one a user. Links need one file system.

        Raises
        ------
        ConfigError
            What is there is not this user's alone.
        """
        folder = private.check(scratch / f"{PREFIX}{os.geteuid()}")
        return cls(folder, int(limit_gb * GB))

    def fetch(self, storage: Storage, key: str, to: Path) -> int:
        """Put a file of a storage at a local path; give the bytes fetched for it.

        Raises as `Storage.fetch`, and ConfigError if the folder is not this user's
        alone: what is in it goes to jobs, plugins too.
        """
        version = storage.version(key)
        name = hashlib.sha256(f"{storage.url(key)}\x1f{version}".encode()).hexdigest()
        entry = private.make(self.folder) / name[:_DIGITS]
        with private.locked(entry.with_suffix(".lock")):
            if _given(entry, to):
                _used(entry)
                return 0
            size = storage.fetch(key, to)
            if storage.version(key) == version:  # else it was replaced meanwhile
                fsync.sync_path(to)
                _given(to, entry)
        self._trim()
        return size

    def copy(self, source: Path, to: Path) -> None:
        """Give a job its own copy of a local file that others may edit meanwhile.

        Each content is there once. Raises ConfigError as `fetch`, and OSError.
        """
        private.make(self.folder)
        with _copying:
            known = _names.get((self.folder, _stamp(source)), "")
            if not (known and self._given_again(known, to)):
                self._copy(source, to)

    def _given_again(self, name: str, to: Path) -> bool:
        entry = self.folder / name
        with private.locked(entry.with_suffix(".lock")):
            return _given(entry, to) and _used(entry)

    def _copy(self, source: Path, to: Path) -> None:
        stamp = _stamp(source)
        part = self.folder / f".{secrets.token_hex(8)}{_PART}"
        try:
            digest = _copied(source, part)
            entry = self.folder / digest[:_DIGITS]
            with private.locked(entry.with_suffix(".lock")):
                if not _given(entry, to):
                    fsync.sync_path(part)
                    part.rename(entry)
                    _given(entry, to)
        finally:
            part.unlink(missing_ok=True)
        if _stamp(source) == stamp:  # else it holds some of each
            _names[self.folder, stamp] = entry.name
        self._trim()

    def note(self, about: str) -> str:
        """What was noted about something; empty if nothing was.

        Raises ConfigError as `fetch`, and OSError.
        """
        try:
            return (private.make(self.folder) / _note(about)).read_text("ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def keep_note(self, about: str, text: str) -> None:
        """Note a short text about something. Raises ConfigError as `fetch`, OSError."""
        note = private.make(self.folder) / _note(about)
        local_files.write(text.encode("ascii"), str(note), durable=False)

    def _trim(self) -> None:
        """Remove what was used longest ago, but for what is in use."""
        entries = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                entries.append((path.stat(), path))
        total = sum(stat.st_size for stat, _ in entries)
        for stat, path in sorted(entries, key=lambda entry: entry[0].st_atime):
            if total <= self.limit:
                return
            if stat.st_nlink == 1 and path.suffix not in (".lock", _PART):
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
                total -= stat.st_size


def _note(about: str) -> str:
    """The name of the file that holds a note."""
    return f"{hashlib.sha256(about.encode()).hexdigest()[:_DIGITS]}.note"


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes whenever a file is written or replaced."""
    seen = path.stat()
    times = seen.st_mtime_ns, seen.st_ctime_ns
    return (seen.st_dev, seen.st_ino, seen.st_size, *times)


def _copied(source: Path, to: Path) -> str:
    """Copy a file; give the digest of what the copy holds."""
    digest = hashlib.sha256()
    with local_files.opened(str(source)) as data, to.open("xb") as copy:
        while piece := data.read(_PIECE):
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()


def _used(entry: Path) -> bool:
    """Note that an entry was used. Its own time stays: by that a file is known."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(entry, ns=(time.time_ns(), entry.stat().st_mtime_ns))
    return True


def _given(source: Path, to: Path) -> bool:
    """Give a file another name, whole at once; whether there is such a file."""
    try:
        os.link(source, to)
    except FileNotFoundError:
        return False
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not source.exists():
            return False
        part = to.with_name(f"{to.name}.part")
        shutil.copyfile(source, part)
        part.replace(to)
    return True
