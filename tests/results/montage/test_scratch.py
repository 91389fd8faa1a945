"""What a montage takes: room in its scratch folder, which it leaves empty; memory."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cpengine.results.montage.on_disk import new_array
from cpengine.system import scratch
from cpengine.system.capacity import MemoryLeft
from tests.build import Built
from tests.results.montage.plates import (
    call,
    colour,
    named,
    picture,
    png,
    project,
    publish,
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", folder]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        assert "CI" not in os.environ
        pytest.skip("only root can mount a disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _on(tmp_path: Path, folder: Path, size: tuple[int, int] = (60, 40)) -> Built:
    wells = ("A01", "A02")
    toml = f'\n[executors.local]\nscratch = "{folder}"\n'
    built = project(tmp_path / "project", wells, toml=toml)
    publish(built, wells, size=size)
    return built


def test_an_array_in_a_file_has_all_its_room_at_once(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    array = new_array(path, np.uint16, (1000, 1000))
    assert not array.any()
    assert path.stat().st_blocks * 512 >= array.nbytes


@pytest.mark.parametrize("size", [(150, 100), (600, 400)], ids=["whole", "tiles"])
def test_a_full_scratch_disk_is_one_line(
    tmp_path: Path, small: Path, size: tuple[int, int]
) -> None:
    built = _on(tmp_path, small, size)
    (small / "ballast").write_bytes(b"\1" * 180_000)
    command = [sys.executable, "-m", "cpengine", "montage", "assaydev"]
    done = subprocess.run(
        [*command, "-C", built.root], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {small}: cannot be written (No space left on device): free space, "
        "or set executors.local.scratch or TMPDIR\n",
    )
    assert [path.name for path in small.iterdir()] == ["ballast"]


def test_a_file_that_the_system_does_not_let_grow_is_one_line(tmp_path: Path) -> None:
    work = tmp_path / "scratch"
    work.mkdir()
    built = _on(tmp_path, work, (600, 400))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        result = call(built)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 2
    assert f"error: {work}: cannot be written (File too large)" in result.stderr
    assert not list(work.iterdir())


def test_what_a_killed_montage_has_left_is_removed(tmp_path: Path) -> None:
    work = tmp_path / "scratch"
    work.mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = work / f"{scratch.owned(ended.pid)}montage-abc"
    left.mkdir()
    (left / "0.npy").touch()
    assert call(_on(tmp_path, work)).exit_code == 0
    assert not list(work.iterdir())


def test_a_picture_larger_than_the_memory_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryLeft, "__call__", lambda left: 100_000)
    built = _on(tmp_path, tmp_path)
    bomb = picture(built, "A02", named("A02", "1"))
    bomb.write_bytes(png(colour("A02"), (600, 400)))
    result = call(built)
    assert result.exit_code == 1
    assert f"warning: {bomb}: takes 0.0 GB of memory when it is de" in result.stderr
    assert "P1 outlines: 1 picture, 1 unreadable -> " in result.stdout
