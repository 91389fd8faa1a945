"""Cache and scratch folders where another user of the machine may write, too."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cpengine.errors import ConfigError
from cpengine.storage.cache import Cache
from cpengine.storage.store import Storage
from cpengine.system.scratch import owned, sweep
from tests.services.other_user import OtherUser

PLUGIN = b"class Own: pass\n"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    (tmp_path / "own.py").write_bytes(PLUGIN)
    return Storage(str(tmp_path))


def entry(storage: Storage, tmp_path: Path) -> str:
    """The name that the file has in anybody's cache."""
    (tmp_path / "try").mkdir()
    cache = Cache.below(tmp_path / "try", 1)
    cache.fetch(storage, "own.py", tmp_path / "tried.py")
    (found,) = (path for path in cache.folder.iterdir() if path.suffix != ".lock")
    return found.name


def test_nothing_is_taken_from_a_cache_that_another_user_made(
    other_user: OtherUser, storage: Storage, tmp_path: Path
) -> None:
    name = f"cpengine-cache-{os.geteuid()}"
    planted = entry(storage, tmp_path)
    cache = Cache(other_user.shared / name, 10)  # as a worker that is running has it
    other_user.run(f"mkdir {name}; chmod 777 {name}; echo evil > {name}/{planted}")
    with pytest.raises(ConfigError, match="is another user's, so what is in it"):
        Cache.below(other_user.shared, 1)
    with pytest.raises(ConfigError, match="is another user's"):
        cache.fetch(storage, "own.py", tmp_path / "got.py")
    assert not (tmp_path / "got.py").exists()


def test_a_lock_that_another_user_made_a_link_empties_no_file(
    other_user: OtherUser, storage: Storage, tmp_path: Path
) -> None:
    name = f"cpengine-cache-{os.geteuid()}"
    lock = f"{name}/{entry(storage, tmp_path)}.lock"
    secret = tmp_path / "secret"
    secret.write_text("mine")
    cache = Cache(other_user.shared / name, 10)
    other_user.run(f"mkdir {name}; chmod 777 {name}; ln -s {secret} {lock}")
    with pytest.raises(ConfigError, match="is another user's"):
        cache.fetch(storage, "own.py", tmp_path / "got.py")
    assert secret.read_text() == "mine"


def linked(folder: Path) -> None:
    folder.with_name("real").mkdir()
    folder.symlink_to("real")


def writable(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


@pytest.mark.parametrize(
    ("make", "why"), [(linked, "is a link"), (writable, "others may write to it")]
)
def test_a_cache_is_a_folder_of_ones_own(
    make: Callable[[Path], None], why: str, storage: Storage, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache", 10)
    make(cache.folder)
    with pytest.raises(ConfigError, match=why):
        cache.fetch(storage, "own.py", tmp_path / "got.py")


def test_locks_of_a_cache_follow_no_link(storage: Storage, tmp_path: Path) -> None:
    name = entry(storage, tmp_path)
    cache = Cache(tmp_path / "cache", 10)
    cache.folder.mkdir(0o700)
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (cache.folder / f"{name}.lock").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        cache.fetch(storage, "own.py", tmp_path / "got.py")
    assert secret.read_text() == "mine"


def test_an_own_cache_is_for_its_user_alone(storage: Storage, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 10)
    cache.fetch(storage, "own.py", tmp_path / "got.py")
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "got.py").read_bytes() == PLUGIN


def test_what_killed_processes_left_is_swept_if_it_is_ones_own(
    other_user: OtherUser,
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = f"{owned(ended.pid)}P1"
    (other_user.shared / f"{left}-own").mkdir()
    other_user.run(f"mkdir -m 777 {left}-other")
    sweep(other_user.shared)
    assert [path.name for path in other_user.shared.iterdir()] == [f"{left}-other"]
