"""The path map: what places in CSVs stand for, and from which root."""

from pathlib import Path

import pytest

from cpengine.errors import ConfigError
from cpengine.storage.filesystems import Access
from cpengine.storage.roots import BUCKET, Places
from cpengine.storage.store import Storage
from tests import build


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("images", "outputs"):
        (tmp_path / name).mkdir()
    images, outputs = (Storage(str(tmp_path / n)) for n in ("images", "outputs"))
    mapped = (("s3://gallery", "/data/gallery"), ("D:\\screen", "s3://lab/screen"))
    return Places(images, images, outputs, ("illum",), mapped)


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (f"{BUCKET}/projects/p/images", "{images}/projects/p/images"),
        (BUCKET, "{images}"),
        (f"{BUCKET}s/a", f"{BUCKET}s/a"),
        ("projects/p/images", "{images}/projects/p/images"),
        ("/mnt/a b", "/mnt/a b"),
        ("file:/mnt/a%20b", "/mnt/a b"),
        ("file:///mnt/a%20b", "/mnt/a b"),
        (f"file:{BUCKET}/a", "{images}/a"),
        ("s3://other/a", "s3://other/a"),
        ("https://host/a", "https://host/a"),
        ("s3://gallery", "/data/gallery"),
        ("s3://gallery/p/a", "/data/gallery/p/a"),
        ("s3://gallery2/a", "s3://gallery2/a"),
        ("D:\\screen\\P1\\TimePoint_1", "s3://lab/screen/P1/TimePoint_1"),
    ],
)
def test_a_place_stands_for(
    place: str, found: str, places: Places, tmp_path: Path
) -> None:
    assert places.locate(place) == found.format(images=tmp_path / "images")


def test_what_the_project_made_is_taken_from_its_outputs(
    places: Places, tmp_path: Path
) -> None:
    for name in ("illum/P1", "images/P1"):
        (tmp_path / "outputs" / name).mkdir(parents=True)
    assert places.locate(f"{BUCKET}/illum/P1") == f"{tmp_path}/outputs/illum/P1"
    assert places.locate(f"{BUCKET}/illum/P2") == f"{tmp_path}/images/illum/P2"
    assert places.locate(f"{BUCKET}/images/P1") == f"{tmp_path}/images/images/P1"


def test_one_root_is_asked_nothing() -> None:
    class Unasked(Storage):
        def exists(self, key: str) -> bool:
            raise AssertionError(key)

    places = Places.single_root(Unasked("memory://root", Access()))
    assert places.locate(f"{BUCKET}/a") == "memory://root/a"


def test_roots_of_the_project_file(tmp_path: Path) -> None:
    built = build.project(tmp_path / "p")
    text = '[storage]\nimages = "s3://gallery"\noutputs = "out"\nmap = {"X:" = "/x"}\n'
    build.change(built.toml, "[storage]\n", text)
    (built.root / "out").mkdir()
    places = built.project().places
    assert places.images.root == "s3://gallery"
    assert places.workspace.root == str(built.root)
    assert places.outputs.root == str(built.root / "out")
    assert places.map == (("X:", "/x"),)
    assert "projects/proj/B1/illum" in places.made
    assert not places.local


def test_a_slash_after_a_steps_output_means_nothing(tmp_path: Path) -> None:
    toml = '[steps.illum]\noutput = "illum/"\n'
    places = build.project(tmp_path, toml=toml).project().places
    assert "illum" in places.made


def test_a_root_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    built = build.project(tmp_path)
    build.change(built.toml, "[storage]\n", '[storage]\noutputs = "gone"\n')
    with pytest.raises(ConfigError, match=r"storage\.outputs: .*/gone is no folder"):
        _ = built.project().places
