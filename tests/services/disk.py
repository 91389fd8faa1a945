"""A disk that is watched: `os.fsync` is what puts files and names of folders on it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Name = str | Path


@dataclass
class Disk:
    """What is on the disk, and what was there when each name was given."""

    synced: list[tuple[int, int]] = field(default_factory=list)
    at: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    """By the name of a file that was put in place: what had been synced by then."""

    def sync(self, opened: int) -> None:
        seen = os.fstat(opened)
        self.synced.append((seen.st_dev, seen.st_ino))

    def naming(
        self, give: Callable[[Name, Name], None]
    ) -> Callable[[Name, Name], None]:
        """A call that gives a file a name, watched."""

        def watched(source: Name, to: Name) -> None:
            give(source, to)
            self.at[Path(to).name] = set(self.synced)

        return watched

    def lasts(self, path: Path, when: str = "") -> bool:
        """Whether a path is on the disk: now, or when another file was named."""
        seen = path.stat()
        known = self.at[when] if when else set(self.synced)
        return (seen.st_dev, seen.st_ino) in known


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of a test; nothing is really asked of it."""
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.sync)
    for name in ("link", "rename", "replace"):
        monkeypatch.setattr(os, name, disk.naming(getattr(os, name)))
    return disk
