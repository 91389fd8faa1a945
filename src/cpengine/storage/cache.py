"""Files that many jobs of this machine need, fetched once, kept within bounds."""

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cpengine.storage.store import Storage
from cpengine.system import private
from cpengine.wording import GB


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of fetched files, shared by every process of this machine and user.

    Jobs get hard links, so a file that a job uses has more links than one: such files
    are never removed, and if one were, the job would keep its own.
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
        folder = private.check(scratch / f"cpengine-cache-{os.geteuid()}")
        return cls(folder, int(limit_gb * GB))

    def fetch(self, storage: Storage, key: str, to: Path) -> int:
        """Put a file of a storage at a local path; give the bytes fetched for it.

        Raises as `Storage.fetch`, and ConfigError if the folder is not this user's
        alone: what is in it goes to jobs, plugins too.
        """
        version = storage.version(key)
        name = hashlib.sha256(f"{storage.url(key)}\x1f{version}".encode()).hexdigest()
        entry = private.make(self.folder) / name[:32]
        with private.locked(entry.with_suffix(".lock")):
            if _given(entry, to):
                os.utime(entry)
                return 0
            size = storage.fetch(key, to)
            _given(to, entry)
        self._trim()
        return size

    def _trim(self) -> None:
        """Remove what was used longest ago, but for what is in use."""
        entries = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                entries.append((path.stat(), path))
        total = sum(stat.st_size for stat, _ in entries)
        for stat, path in sorted(entries, key=lambda entry: entry[0].st_mtime):
            if total <= self.limit:
                return
            if stat.st_nlink == 1 and path.suffix != ".lock":
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
                total -= stat.st_size


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
