"""The cache: fetched once a machine, within bounds, never taken from under a job."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.storage.cache import Cache
from cpengine.storage.store import Storage
from tests.services.disk import Disk, disk

__all__ = ["disk"]
SIZE = 1000


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A root with the files a to e, of 1000 bytes each."""
    (tmp_path / "root").mkdir()
    for name in "abcde":
        (tmp_path / "root" / name).write_bytes(name.encode() * SIZE)
    return Storage(str(tmp_path / "root"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 2 * SIZE)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job's folder."""
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def cached(cache: Cache) -> set[bytes]:
    """The first bytes of the files in the cache."""
    files = (p for p in cache.folder.iterdir() if p.suffix != ".lock")
    return {path.read_bytes()[:1] for path in files}


def test_a_file_is_fetched_once(cache: Cache, storage: Storage, job: Path) -> None:
    fetched = [cache.fetch(storage, "a", job / str(i)) for i in range(3)]
    assert fetched == [SIZE, 0, 0]
    assert {(job / str(i)).read_bytes() for i in range(3)} == {b"a" * SIZE}


def test_many_at_once_fetch_it_once(cache: Cache, storage: Storage, job: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        fetched = list(
            pool.map(lambda i: cache.fetch(storage, "a", job / str(i)), range(64))
        )
    assert sum(fetched) == SIZE


def test_a_file_that_was_replaced_is_fetched_again(
    cache: Cache, storage: Storage, job: Path
) -> None:
    cache.fetch(storage, "a", job / "old")
    storage.write("a", b"new")
    assert cache.fetch(storage, "a", job / "new") == 3
    assert (job / "old").read_bytes() == b"a" * SIZE
    assert (job / "new").read_bytes() == b"new"


def test_what_was_used_longest_ago_goes_first(
    cache: Cache, storage: Storage, job: Path
) -> None:
    for number, name in enumerate("abac"):
        cache.fetch(storage, name, job / str(number))
        (job / str(number)).unlink()
    assert cached(cache) == {b"a", b"c"}


def test_files_in_use_are_never_removed(
    cache: Cache, storage: Storage, job: Path
) -> None:
    for name in "abcde":
        cache.fetch(storage, name, job / name)
    assert cached(cache) == {b"a", b"b", b"c", b"d", b"e"}
    for name in "abcd":
        (job / name).unlink()
    storage.write("f", b"f")
    cache.fetch(storage, "f", job / "f")
    assert b"e" in cached(cache)
    assert (job / "e").read_bytes() == b"e" * SIZE
    assert sum(p.stat().st_size for p in cache.folder.iterdir()) <= 2 * SIZE


def test_without_links_files_are_copied(
    cache: Cache, storage: Storage, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:  # as file systems without links do
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert [cache.fetch(storage, "a", job / n) for n in "12"] == [SIZE, 0]
    assert (job / "2").read_bytes() == b"a" * SIZE


def test_a_file_that_is_not_there_is_bad_input(
    cache: Cache, storage: Storage, job: Path
) -> None:
    with pytest.raises(InputError, match="gone: is not there"):
        cache.fetch(storage, "gone", job / "x")


def test_nothing_is_in_the_cache_before_it_is_on_the_disk(
    cache: Cache, storage: Storage, job: Path, disk: Disk
) -> None:
    cache.fetch(storage, "a", job / "fetched")
    cache.copy(storage.path("b"), job / "copied")
    for name in ("fetched", "copied"):
        assert disk.lasts(job / name)
        (entry,) = (p for p in cache.folder.iterdir() if p.samefile(job / name))
        assert disk.lasts(job / name, when=entry.name)


# Copies of local files


def test_a_content_is_copied_once_whatever_it_is_called(
    cache: Cache, tmp_path: Path, job: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("same")
    second.write_text("same")
    for number, source in enumerate((first, second, first)):
        cache.copy(source, job / str(number))
    assert len({(job / str(i)).stat().st_ino for i in range(3)}) == 1
    assert cached(cache) == {b"s"}


def test_an_edit_does_not_reach_a_copy_and_is_copied_anew(
    cache: Cache, tmp_path: Path, job: Path
) -> None:
    source = tmp_path / "source"
    source.write_text("old")
    cache.copy(source, job / "old")
    seen = source.stat()
    source.write_text("new")
    os.utime(source, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    cache.copy(source, job / "new")
    source.write_text("old")
    cache.copy(source, job / "again")
    texts = [(job / name).read_text() for name in ("old", "new", "again")]
    assert texts == ["old", "new", "old"]
    assert (job / "old").stat().st_ino == (job / "again").stat().st_ino


def test_a_copy_that_the_cache_has_dropped_is_made_again(
    cache: Cache, tmp_path: Path, job: Path
) -> None:
    source = tmp_path / "source"
    source.write_text("text")
    cache.copy(source, job / "first")
    shutil.rmtree(cache.folder)
    cache.copy(source, job / "second")
    assert (job / "second").read_text() == "text"


def test_a_file_replaced_while_it_was_fetched_is_not_taken_for_the_old_one(
    cache: Cache, storage: Storage, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, path = storage.fetch, storage.path("a")

    def replaced_first(key: str, to: Path) -> int:
        path.write_text("longer than before" * SIZE)
        return fetch(key, to)

    seen = path.stat()
    monkeypatch.setattr(storage, "fetch", replaced_first)
    cache.fetch(storage, "a", job / "first")
    monkeypatch.undo()
    path.write_bytes(b"a" * SIZE)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    cache.fetch(storage, "a", job / "second")
    assert (job / "second").read_bytes() == b"a" * SIZE
