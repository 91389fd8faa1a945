"""Keys that others wrote: names below a folder, and what leads out of it."""

from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.storage import keys
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage

BELOW = ["a", "a/b.txt", "..a", "a..", "a/.hidden", "a b/%2e%2e", "ä\n"]
OUT = ["", "..", "../a", "a/../../b", "a/..", "/etc/passwd", "a//b", "a/", ".", "a\0b"]


@pytest.mark.parametrize(("name", "good"), [(n, n in BELOW) for n in BELOW + OUT])
def test_a_name_is_of_a_file_below_its_folder_or_of_none(name: str, good: bool) -> None:
    assert keys.is_below(name) == good
    if good:
        assert keys.below("f/g", name) == f"f/g/{name}"
        return
    with pytest.raises(InputError, match=r"f/g/.*: names no file of that folder"):
        keys.below("f/g", name)


@pytest.mark.parametrize("text", [*OUT, "../../x", "DNA/405", "a%2Fb/c", "..."])
def test_any_text_names_one_folder(text: str) -> None:
    name = keys.folder_name(text)
    assert keys.is_below(name)
    assert "/" not in name
    assert name == text or name not in (keys.folder_name(other) for other in BELOW)


def test_most_texts_name_a_folder_as_they_stand() -> None:
    for text in ("OrigDNA", "DNA blue_ER green", "P1", "50%", "a..b", ".x"):
        assert keys.folder_name(text) == text


@pytest.mark.parametrize("key", ["..", "../x", "a/../../x", "a/b/../../../x"])
def test_a_key_that_leads_out_of_its_root_is_refused(key: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    (tmp_path / "root/a/b").mkdir(parents=True)
    storage = Storage(str(tmp_path / "root"))
    for use in (storage.read, storage.remove, storage.tree, storage.exists):
        with pytest.raises(InputError, match=r"leads out of .*root: name a place"):
            use(key)
    with pytest.raises(InputError, match="leads out of"):
        storage.write(key, b"theirs")
    assert (tmp_path / "x").read_text() == "mine"


def test_a_table_may_name_images_above_its_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    places = Places.single_root(Storage(str(tmp_path / "root")))
    assert places.locate("../images") == f"{tmp_path}/root/../images"
