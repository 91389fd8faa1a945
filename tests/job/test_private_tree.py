"""A job's own folder in place of the user's: copies of what it is held to."""

from pathlib import Path

import pytest

from cpengine.job.private_tree import private_tree
from cpengine.storage.cache import Cache


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of rules and other files."""
    source = tmp_path / "rules"
    (source / "deep").mkdir(parents=True)
    (source / "__pycache__").mkdir()
    for name in ("rules.txt", "model.bin", "deep/more.txt", "deep/other.txt"):
        (source / name).write_text(name)
    return source


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 10**6)


def test_what_is_named_is_copied_and_all_else_linked(
    source: Path, cache: Cache, tmp_path: Path
) -> None:
    tree = private_tree(
        source, tmp_path / "tree", ["rules.txt", "deep/more.txt"], cache
    )
    for name in ("rules.txt", "model.bin", "deep/more.txt", "deep/other.txt"):
        (source / name).write_text("edited")
    found = {
        path.relative_to(tree).as_posix(): path.read_text()
        for path in tree.rglob("*")
        if path.is_file()
    }
    assert found == {
        "rules.txt": "rules.txt",
        "deep/more.txt": "deep/more.txt",
        "model.bin": "edited",
        "deep/other.txt": "edited",
    }


def test_of_a_folder_of_images_only_names_that_are_wanted_are_linked(
    source: Path, cache: Cache, tmp_path: Path
) -> None:
    for number in range(5):
        (source / f"{number}.tif").write_text("image")
    tree = private_tree(source, tmp_path / "tree", ["rules.txt"], cache, {"model.bin"})
    assert sorted(path.name for path in tree.iterdir()) == [
        "deep",
        "model.bin",
        "rules.txt",
    ]
