"""A written plate is one that LoadData and the engine can read."""

import csv
from pathlib import Path

import pytest
import tifffile

from cpengine.demo.images import CHANNELS, site_images
from cpengine.demo.synthetic_plate import wells_of, write_plate
from cpengine.errors import ConfigError
from cpengine.storage.roots import BUCKET


def write(
    root: Path, *, plates: tuple[str, ...] = ("P1",), sites: int = 2, planes: int = 1
) -> Path:
    """A small plate; returns the project's folder."""
    write_plate(
        root,
        project="demo",
        batch="B1",
        plates=plates,
        wells=["A01", "A02"],
        sites=sites,
        size=128,
        planes=planes,
    )
    return root / "projects" / "demo"


def load_data(home: Path, plate: str, name: str) -> list[dict[str, str]]:
    path = home / "workspace" / "load_data_csv" / "B1" / plate / name
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def images_in(home: Path) -> list[Path]:
    return sorted((home / "B1" / "images").rglob("*.tiff"))


def test_load_data_has_file_and_path_columns_then_metadata(tmp_path: Path) -> None:
    row = load_data(write(tmp_path), "P1", "load_data.csv")[0]
    pairs = [
        f"{kind}_Orig{name}" for name in CHANNELS for kind in ("FileName", "PathName")
    ]
    assert list(row) == [*pairs, "Metadata_Plate", "Metadata_Well", "Metadata_Site"]


def test_load_data_has_one_row_a_site_of_its_plate(tmp_path: Path) -> None:
    home = write(tmp_path, plates=("P1", "P2"))
    rows = load_data(home, "P2", "load_data.csv")
    assert [
        (r["Metadata_Plate"], r["Metadata_Well"], r["Metadata_Site"]) for r in rows
    ] == [
        ("P2", "A01", "1"),
        ("P2", "A01", "2"),
        ("P2", "A02", "1"),
        ("P2", "A02", "2"),
    ]


def test_every_image_in_load_data_is_below_the_bucket(tmp_path: Path) -> None:
    for row in load_data(write(tmp_path), "P1", "load_data.csv"):
        for channel in CHANNELS:
            key = Path(row[f"PathName_Orig{channel}"]).relative_to(BUCKET)
            folder = tmp_path / key
            assert (folder / row[f"FileName_Orig{channel}"]).is_file()


def test_an_image_file_holds_the_drawn_site(tmp_path: Path) -> None:
    path = write(tmp_path, sites=1) / "B1" / "images" / "P1" / "A02_s1_ER.tiff"
    assert (
        tifffile.imread(path) == site_images("P1", "A02", 1, size=128)["ER"][0]
    ).all()


def test_image_bytes_do_not_depend_on_when_they_are_written(tmp_path: Path) -> None:
    first, second = (images_in(write(tmp_path / name, sites=1)) for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_second_write_leaves_images_alone_but_replaces_empty_ones(
    tmp_path: Path,
) -> None:
    edited, emptied, *_ = images_in(write(tmp_path))
    edited.write_bytes(b"mine")
    emptied.write_bytes(b"")
    write(tmp_path)
    assert edited.read_bytes() == b"mine"
    assert emptied.stat().st_size > 0


def test_a_stack_is_listed_plane_by_plane_in_the_unprojected_csv_only(
    tmp_path: Path,
) -> None:
    home = write(tmp_path, sites=1, planes=3)
    rows = load_data(home, "P1", "load_data_unprojected.csv")
    assert [row["Metadata_PlaneID"] for row in rows] == ["1", "2", "3"] * 2
    assert rows[2]["FileName_OrigDNA"] == "A01_s1_z3_DNA.tiff"
    assert len(images_in(home)) == 2 * 3 * len(CHANNELS)
    assert not list(home.rglob("load_data.csv"))


@pytest.mark.parametrize(("planes", "more"), [(1, set()), (2, {"Zproj"})])
def test_pipelines_are_copied_that_have_something_to_do(
    planes: int, more: set[str], tmp_path: Path
) -> None:
    """A check of the fresh demo finds nothing."""
    home = write(tmp_path, sites=1, planes=planes)
    folder = home / "workspace" / "pipelines" / "B1"
    names = {path.stem for path in folder.glob("*.cppipe")}
    assert names == {"qc", "illum", "assaydev", "analysis"} | more


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    assert not [p for p in write(tmp_path).rglob("*") if p.name.startswith(".")]


def test_progress_counts_sites(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_plate(
        tmp_path,
        project="demo",
        batch="B1",
        plates=["P1"],
        wells=["A01"],
        sites=2,
        size=128,
        planes=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_six_wells_are_a_block_of_two_rows() -> None:
    assert wells_of(6) == ["A01", "A02", "A03", "B01", "B02", "B03"]


def test_wells_are_as_many_as_asked_for_and_on_the_plate() -> None:
    whole_plate = set(wells_of(96))
    for n in range(1, 97):
        assert len(set(wells_of(n))) == n
        assert set(wells_of(n)) <= whole_plate


@pytest.mark.parametrize("n", [0, 97])
def test_more_wells_than_a_plate_has_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match="1 to 96"):
        wells_of(n)
