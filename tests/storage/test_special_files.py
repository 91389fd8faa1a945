"""Pipes and devices under names of files, and files that are too large."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cpengine.errors import StorageError
from cpengine.rules import Finding
from cpengine.storage import own_files
from cpengine.storage.cache import Cache
from cpengine.storage.own_files import OwnFile
from cpengine.storage.store import Storage

READ: dict[str, Callable[[Storage, Path], object]] = {
    "read": lambda storage, _: storage.read("file"),
    "read-if-there": lambda storage, _: storage.read_if_there("file"),
    "first-line": lambda storage, _: storage.first_line("file"),
    "fetch": lambda storage, to: storage.fetch("file", to),
    "cache": lambda storage, to: Cache(to.with_name("cache"), 10).fetch(
        storage, "file", to
    ),
    "copy": lambda storage, to: Cache(to.with_name("cache"), 10).copy(
        storage.path("file"), to
    ),
}


@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
@pytest.mark.parametrize("way", READ)
def test_what_is_no_regular_file_is_not_read(
    tmp_path: Path, way: str, target: str
) -> None:
    """A pipe would wait for somebody who writes; a device never ends."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").symlink_to(target)
    with pytest.raises(StorageError, match="file: is no regular file: remove it"):
        READ[way](Storage(str(tmp_path)), tmp_path / "to")


def test_a_pipe_is_a_damaged_file_of_cpengine(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = OwnFile(str, "remove it").look_up(Storage(str(tmp_path)), "pipe")
    assert isinstance(found, Finding)
    assert "is no regular file" in str(found)


def test_a_pipe_is_synced_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    Storage(str(tmp_path)).sync(["pipe"])


def test_a_file_of_cpengine_that_is_too_large_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_files, "_MOST", 9)
    (tmp_path / "fits").write_text('"1234567"')
    (tmp_path / "large").write_text('"12345678"')
    kind, storage = OwnFile(str, "remove it"), Storage(str(tmp_path))
    assert kind.look_up(storage, "fits") == "1234567"
    found = kind.look_up(storage, "large")
    assert isinstance(found, Finding)
    assert "has more than 9 bytes" in str(found)
