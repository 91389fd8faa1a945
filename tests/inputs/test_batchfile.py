"""Batch files: the pipeline and image sets in a good one, and what others are told."""

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from cpengine.errors import InputError
from cpengine.inputs.batchfile import read
from tests.build import batch_file, in_batch_mode, pipeline_text

IMAGE = {
    "FileName_OrigDNA": ["a.tif", "b.tif"],
    "PathName_OrigDNA": ["/images", "/images"],
    "URL_OrigDNA": ["file:/images/a.tif", "file:/images/b.tif"],
    "Metadata_Plate": ["P1", "P1"],
    "Metadata_Site": [2, 10],
    "Group_Length": [1, 1],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good batch file of two image sets."""
    place = tmp_path / "Batch_data.h5"
    batch_file(place, IMAGE, pipeline=pipeline_text("Plate"), tags=["Plate", "Site"])
    return place


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_image_sets_are_rows_with_values_as_cellprofiler_typed_them(
    path: Path,
) -> None:
    table = read(path).table
    assert table.typed
    assert table.header == (
        "FileName_OrigDNA",
        "Metadata_Plate",
        "Metadata_Site",
        "PathName_OrigDNA",
        "URL_OrigDNA",
    )
    assert table.rows == (
        ("a.tif", "P1", "2", "/images", "file:/images/a.tif"),
        ("b.tif", "P1", "10", "/images", "file:/images/b.tif"),
    )


@pytest.mark.parametrize("index", [[(1, 1, 2), (2, 0, 0)], [(1, 1, 2)]])
def test_values_that_are_missing_are_not_those_of_other_image_sets(
    path: Path, index: list[tuple[int, int, int]]
) -> None:
    with h5py.File(path, "a") as file:
        for name in ("Metadata_Site", "FileName_OrigDNA"):
            put(f"Image/{name}/index", index)(file["Measurements/2026-11-22-10-11-24"])
    table = read(path).table
    assert table.column("Metadata_Site") == ["2", "None"]
    assert table.column("FileName_OrigDNA") == ["a.tif", ""]


def test_a_measurement_without_any_value_is_read(path: Path) -> None:
    with h5py.File(path, "a") as file:
        run = file["Measurements/2026-11-22-10-11-24"]
        put("Image/Metadata_Plate/index", [(1, 0, 0), (2, 0, 0)])(run)
        del run["Image/Metadata_Plate/data"]
        run.create_dataset("Image/Metadata_Plate/data", shape=(0,), dtype="int64")
    assert read(path).table.column("Metadata_Plate") == ["None", "None"]


def test_values_go_by_their_image_numbers(path: Path) -> None:
    with h5py.File(path, "a") as file:
        put("Image/Metadata_Site/index", [(2, 1, 2), (1, 2, 3)])(
            file["Measurements/2026-11-22-10-11-24"]
        )
    assert read(path).table.column("Metadata_Site") == ["10", "2"]


def test_lines_are_image_numbers(path: Path) -> None:
    assert read(path).table.lines == (1, 2)


def test_pipeline_is_given_as_text(path: Path) -> None:
    assert read(path).pipeline == in_batch_mode(pipeline_text("Plate"))


def test_grouping_keys_are_those_that_the_file_names(path: Path) -> None:
    assert read(path).grouping_keys == ("Metadata_Plate", "Metadata_Site")


def test_last_run_of_several_is_read(path: Path) -> None:
    with h5py.File(path, "a") as file:
        runs = file["Measurements"]
        runs.copy("2026-11-22-10-11-24", "2027-01-01-00-00-00")
        del runs["2026-11-22-10-11-24/Image"]
    assert len(read(path).table.rows) == 2


def test_missing_file_is_reported(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.h5") == "is not there: put the batch file there"


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_file_is_refused(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    line = refusal(path)
    assert line.startswith("is damaged or not a batch file (")
    assert line.endswith("): write it again with CreateBatchFiles")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty (0 bytes): write one with CreateBatchFiles"),
        (b"FileName_OrigDNA\na.tif\n", "is no HDF5 file: write one with CreateBatch"),
        (b"\x1f\x8b\x08", "is compressed with gzip: unpack it"),
        (
            pipeline_text().encode(),
            "is a pipeline: name it in `pipeline` and set groups",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a Git LFS pointer: fetch",
        ),
    ],
)
def test_file_that_is_no_hdf5_is_refused(
    path: Path, content: bytes, expected: str
) -> None:
    path.write_bytes(content)
    assert refusal(path).startswith(expected)


def test_project_of_cellprofiler_is_no_batch_file(path: Path) -> None:
    with h5py.File(path, "a") as file:
        text = pipeline_text("Plate").encode()
        run = file["Measurements/2026-11-22-10-11-24"]
        put("Experiment/Pipeline_Pipeline/data", [b"", text])(run)
    assert refusal(path).startswith("is a project or measurements, no batch file: wri")


def without(name: str) -> Callable[[h5py.Group], None]:
    def spoil(run: h5py.Group) -> None:
        del run[name]

    return spoil


def put(name: str, value: object) -> Callable[[h5py.Group], None]:
    def spoil(run: h5py.Group) -> None:
        del run[name]
        run[name] = value

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        without("Image"),
        without("Image/ImageNumber"),
        without("Image/Metadata_Plate/index"),
        without("Experiment"),
        without("Experiment/Pipeline_Pipeline"),
        put("Image/Metadata_Plate", 1),
        put("Image/Metadata_Plate/data", [b"P1"]),
        put("Image/Metadata_Plate/data", [b"", b"\xff", b"\xff"]),
        put("Image/Metadata_Plate/index", [1, 2]),
        put("Experiment/Metadata_GroupingTags/data", [b"", b"Plate"]),
        put("Experiment/Metadata_GroupingTags/data", [b"", b"1"]),
        put("Experiment/Metadata_GroupingTags/data", [b"", b'{"a": 1}']),
        put("Experiment/Metadata_GroupingTags/data", [b"", b'[["a"]]']),
    ],
)
def test_hdf5_of_another_make_is_refused(
    path: Path, spoil: Callable[[h5py.Group], None]
) -> None:
    with h5py.File(path, "a") as file:
        spoil(file["Measurements/2026-11-22-10-11-24"])
    assert refusal(path).startswith("is damaged or not a batch file (")


@pytest.mark.parametrize("name", ["Measurements/2026-11-22-10-11-24", "Measurements"])
def test_hdf5_without_measurements_is_refused(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        without(name)(file)
    assert refusal(path).startswith("is damaged or not a batch file (")


def test_file_without_image_sets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    batch_file(path, {name: [] for name in IMAGE}, pipeline=pipeline_text())
    assert refusal(path).startswith("has no image sets: ")


def test_pipeline_that_does_not_group_has_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    batch_file(path, IMAGE, pipeline=pipeline_text(), tags=[])
    assert read(path).grouping_keys == ()
