"""Each format of instruments, from its folder to image sets and tables."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cpengine.inputs.image_index import ImagesOfPlates, MadeTable, index_images
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.store import Storage
from tests.inputs.image_index.acquisition import Acquisition, Shot, label
from tests.inputs.image_index.harmony_writer import VERSIONS, write_harmony
from tests.inputs.image_index.instruments import (
    write_cellvoyager,
    write_imagexpress,
    write_imagexpress_names,
    write_incell,
    write_ome,
    write_opera_names,
    write_scanr,
    write_scanr_ome,
)
from tests.services.s3.bucket_server import S3Server

Write = Callable[[Path, Acquisition], None]
INDEXED: dict[str, Write] = {
    **{f"Harmony {v}": partial(write_harmony, version=v) for v in VERSIONS},
    "ImageXpress export": write_imagexpress,
    "ImageXpress as acquired": partial(write_imagexpress, exported=False),
    "CellVoyager CV8000": write_cellvoyager,
    "CellVoyager CV7000": partial(write_cellvoyager, model="CV7000"),
    "IN Cell": write_incell,
    "OME companion": write_ome,
}
"""Formats whose indexes name plates and channels."""
SCANR: dict[str, Write] = {
    "ScanR": write_scanr,
    "ScanR by numbers": partial(write_scanr, labels=False),
}
NAMED: dict[str, Write] = {
    "Opera names": write_opera_names,
    "ImageXpress names": write_imagexpress_names,
    "ScanR with OME": write_scanr_ome,
}
"""Those of which plates have the names of their folders."""
ALL = INDEXED | SCANR | NAMED
BY_NUMBER = ("Opera names", "ImageXpress names")
"""Formats of which channels have no names."""
ACQUIRED = {
    "one plane": Acquisition(),
    "planes": Acquisition(wells=("A01",), sites=1, planes=11),
    "timepoints": Acquisition(wells=("A01",), timepoints=2),
}
"""Those that the formats tell apart in several ways."""


def indexed(
    folder: Path | str, channels: dict[str, str] | None = None, endpoint: str = ""
) -> ImagesOfPlates:
    storage = Storage("/", Access(S3Options(endpoint=endpoint or None)))
    return index_images(storage, str(folder), channels=channels)


def mapping_of(name: str) -> dict[str, str]:
    """Image names by channel: by number or name, as far as a format has them."""
    first, second = ("ch1", "w2") if name in BY_NUMBER else ("DAPI", "alexa568")
    return {first: "OrigDNA", second: "OrigAGP"}


def rows_of(made: MadeTable) -> list[dict[str, str]]:
    return [dict(zip(made.table.header, row, strict=True)) for row in made.table.rows]


def shot_of(row: dict[str, str], channel: int) -> Shot:
    """What the row says of an image, in the acquisition's own numbers."""
    return Shot(
        row["Metadata_Well"],
        int(row["Metadata_Site"]),
        int(row.get("Metadata_TimepointID", "1")),
        int(row.get("Metadata_PlaneID", "1")),
        channel,
    )


def _from_one(made: MadeTable) -> list[dict[str, str]]:
    """Rows with planes and timepoints counted from 1, as the acquisition has them."""
    rows = rows_of(made)
    for name in ("Metadata_PlaneID", "Metadata_TimepointID"):
        first = min((int(row[name]) for row in rows if name in row), default=1)
        for row in rows:
            if name in row:
                row[name] = str(int(row[name]) - first + 1)
    return rows


CASES = [
    pytest.param(name, acquired, id=f"{name}, {kind}")
    for name in ALL
    for kind, acquired in ACQUIRED.items()
    if name != "ImageXpress names" or acquired.timepoints == 1  # they have none
]


@pytest.mark.parametrize(("name", "acquired"), CASES)
def test_each_row_names_the_files_of_its_image_set(
    tmp_path: Path, name: str, acquired: Acquisition
) -> None:
    ALL[name](tmp_path / "P1", acquired)
    found = indexed(tmp_path, channels=mapping_of(name))
    assert found.problems == []
    (plate,), (made,) = found.plates, found.tables
    assert plate.plate == made.plate == "P1"
    rows = _from_one(made)
    assert len(rows) == len(list(acquired)) / 2
    for row in rows:
        for channel, image in enumerate(("OrigDNA", "OrigAGP"), 1):
            path = Path(row[f"PathName_{image}"], row[f"FileName_{image}"])
            assert path.read_bytes() == label(shot_of(row, channel))


@pytest.mark.parametrize("name", ALL)
def test_planes_go_to_the_unprojected_table(tmp_path: Path, name: str) -> None:
    ALL[name](tmp_path / "P1", ACQUIRED["planes"])
    (made,) = indexed(tmp_path).tables
    assert made.name == "load_data_unprojected.csv"
    planes = [int(row["Metadata_PlaneID"]) for row in rows_of(made)]
    assert planes == sorted(planes)
    assert len(planes) == 11


@pytest.mark.parametrize("name", INDEXED)
def test_channels_are_called_after_the_index(tmp_path: Path, name: str) -> None:
    INDEXED[name](tmp_path, Acquisition())
    (plate,) = indexed(tmp_path).plates
    assert plate.names == ["DAPI", "Alexa_568"]
    assert plate.plate == "P1"


@pytest.mark.parametrize("name", [n for n in INDEXED if "ImageXpress" not in n])
def test_positions_are_metadata(tmp_path: Path, name: str) -> None:
    INDEXED[name](tmp_path, Acquisition())
    (made,) = indexed(tmp_path).tables
    for row in rows_of(made):
        site = int(row["Metadata_Site"])
        x, y = float(row["Metadata_PositionX"]), float(row["Metadata_PositionY"])
        unit = 1e-6 if "Harmony" in name else 1
        assert (x, y) == (
            pytest.approx(100 * site * unit),
            pytest.approx(-50 * site * unit),
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_all_versions_of_harmony_give_the_same_columns(
    tmp_path: Path, version: str
) -> None:
    write_harmony(tmp_path, Acquisition(), version)
    (made,) = indexed(tmp_path).tables
    row = rows_of(made)[0]
    assert row["Metadata_ChannelName_Alexa_568"] == "Alexa 568"
    assert row["Metadata_ExposureTime_DAPI"] == "0.01"
    assert row["Metadata_AbsPositionZ"] == "0.134611905"
    assert row["Metadata_ImageSizeX"] == "1080"
    assert (row["Metadata_Row"], row["Metadata_Col"]) == ("1", "1")
    assert len(made.table.header) == 4 + 3 + 23 + 6  # six differ between channels


def test_thumbnails_and_corrections_are_left_out_and_counted(tmp_path: Path) -> None:
    acquired = Acquisition()
    write_imagexpress(tmp_path / "a", acquired, exported=False)
    write_cellvoyager(tmp_path / "b", acquired)
    write_incell(tmp_path / "c", acquired)
    causes = [entry.cause for entry in indexed(tmp_path).passed_over]
    number = len(list(acquired))
    assert causes.count("thumbnail") == 2 * number
    assert causes.count("shading correction") == 3


def test_pages_of_a_stack_are_frames(tmp_path: Path) -> None:
    acquired = Acquisition(wells=("A01",), sites=1, planes=3)
    write_ome(tmp_path, acquired, stacks=True)
    (made,) = indexed(tmp_path).tables
    rows = rows_of(made)
    assert [row["Frame_DAPI"] for row in rows] == ["0", "1", "2"]
    assert {row["Series_DAPI"] for row in rows} == {"0"}
    assert {row["FileName_DAPI"] for row in rows} == {"P1_A01_1_c1.ome.tif"}


def test_projections_beside_a_stack_are_left_out(tmp_path: Path) -> None:
    write_imagexpress(tmp_path, Acquisition(planes=2))
    step = tmp_path / "TimePoint_1"
    for path in list((step / "ZStep_1").glob("*.TIF")):
        target = step / "ZStep_0" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    found = indexed(tmp_path)
    assert {entry.cause for entry in found.passed_over} == {"projection"}
    assert found.plates[0].count(3) == 2
    assert found.problems == []


def test_indexes_of_one_plate_name_get_those_of_their_folders(tmp_path: Path) -> None:
    for measurement in ("P1__1", "P1__2"):
        write_harmony(tmp_path / measurement, Acquisition())
    found = indexed(tmp_path)
    assert [plate.plate for plate in found.plates] == ["P1__1", "P1__2"]
    assert found.notes == [
        "P1: 2 indexes name their plate so: called P1__1, P1__2, after folders"
    ]


@pytest.mark.parametrize("name", ALL)
def test_a_bucket_gives_the_rows_of_a_folder_by_listings_and_index_files(
    tmp_path: Path, name: str, s3: S3Server, bucket: str
) -> None:
    ALL[name](tmp_path / "P1", Acquisition())
    s3.upload(bucket, tmp_path, "screen/")
    s3.reset_counts()
    top = f"s3://{bucket}/screen"
    remote = indexed(top, mapping_of(name), s3.url)
    counts = s3.counts(bucket)
    local = indexed(tmp_path, channels=mapping_of(name))
    assert remote.problems == []
    (made,), (other,) = remote.tables, local.tables
    assert made.table.to_csv() == other.table.to_csv().replace(str(tmp_path), top)
    assert counts["list"] <= 2
    assert sum(counts.values()) <= counts["list"] + 8
