"""How two runs' files differ, but for measured times."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pytest

from cpengine.job.exact_differences import compare

IMAGE = (
    "Count_Nuclei,ExecutionTime_01LoadData,Intensity_Mean_DNA,Metadata_Note\r\n"
    '3,{time},{value},"a, ""b""\r\nc"\r\n'
)
NUCLEI = (
    "ImageNumber,Texture_Contrast_DNA_3_00_256,AreaShape_Area\r\n1,{a},9\r\n1,2,8\r\n"
)
EXPERIMENT = "Key,Value\r\nCellProfiler_Version,4.2.8.1\r\nRun_Timestamp,{time}\r\n"
OBJECTS = "Image,Nuclei,Nuclei\r\nImageNumber,ObjectNumber,Texture_X\r\n1,1,{a}\r\n"


@pytest.fixture
def differences(tmp_path: Path) -> Callable[..., list[str]]:
    """What differs where a file of that name has one content or another."""

    def of(name: str, plain: bytes | str, exact: bytes | str) -> list[str]:
        for folder, data in (("plain", plain), ("exact", exact)):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        files, found = compare(tmp_path / "plain", tmp_path / "exact")
        assert files == 1
        return list(map(str, found))

    return of


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Image.csv", IMAGE),
        ("sub/MyExpt_Image.csv", IMAGE),
        ("Image.csv", "Image_ExecutionTime_01X,Image_A\n{time},{value}\n"),
        ("Image.txt", IMAGE.replace(",", "\t").replace("a\t", "a,")),
        ("Experiment.csv", EXPERIMENT),
        ("Image.csv", "A,ExecutionTime_01X\n1,{time}"),
    ],
)
def test_measured_times_are_no_difference(
    differences: Callable[..., list[str]], name: str, text: str
) -> None:
    times = ("0.1", "12.25")
    assert differences(name, *(text.format(time=t, value=1) for t in times)) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "Image.csv",
            IMAGE.replace("{time}", "1").replace("{value}", "{a}"),
            "MeasureImageIntensity: Image.csv: column Intensity_Mean_DNA differs in 1 "
            "row, in row 1: 2.0 instead of 2",
        ),
        (
            "Nuclei.csv",
            NUCLEI,
            "MeasureTexture: Nuclei.csv: column Texture_Contrast_DNA_3_00_256 differs "
            "in 1 row, in row 1: 2.0 instead of 2",
        ),
        (
            "Objects.csv",
            OBJECTS,
            "MeasureTexture: Objects.csv: column Nuclei_Texture_X differs in 1 row, in "
            "row 1: 2.0 instead of 2",
        ),
        (
            "Cells.csv",
            "Intensity_Mean_DNA,ModuleError_03Crop\n{a},{a}\n",
            "MeasureObjectIntensity: Cells.csv: column Intensity_Mean_DNA differs in 1 "
            "row, in row 1: 2.0 instead of 2",
        ),
    ],
)
def test_module_and_column_of_a_difference_are_named(
    differences: Callable[..., list[str]], name: str, text: str, expected: str
) -> None:
    first, *_ = differences(name, text.format(a="2"), text.format(a="2.0"))
    assert first == expected


def test_columns_are_counted_by_module(differences: Callable[..., list[str]]) -> None:
    text = "Texture_A_1,Texture_B_1,AreaShape_Area\n{0},{0},{0}\n"
    assert differences("Cells.csv", text.format(1), text.format(2)) == [
        "MeasureTexture: Cells.csv: column Texture_A_1 differs in 1 row, in row 1: 2 "
        "instead of 1, and 1 more column",
        "MeasureObjectSizeShape: Cells.csv: column AreaShape_Area differs in 1 row, in "
        "row 1: 2 instead of 1",
    ]


def test_rows_and_columns_that_are_missing_are_named(
    differences: Callable[..., list[str]],
) -> None:
    head, row = "Count_Nuclei,Texture_A_1\n", "1,2\n"
    (first, _) = differences("Cells.csv", head + 3 * row, head + row)
    assert first == "Cells.csv: column Count_Nuclei has 1 row instead of 3"
    (less,) = differences("Cells.csv", "A,Texture_B_1\n1,2\n", "A\n1\n")
    assert less == (
        "MeasureTexture: Cells.csv: column Texture_B_1 is not written by accelerated "
        "modules"
    )


def test_quotes_of_a_cell_are_bytes_that_count(
    differences: Callable[..., list[str]],
) -> None:
    assert differences("Cells.csv", 'A\n"1"\n', "A\n1\n")


def test_other_pixels_are_those_of_saved_images(
    differences: Callable[..., list[str]],
) -> None:
    assert differences("a/b.tiff", b"II*1", b"II*2") == [
        "SaveImages: a/b.tiff: has other bytes"
    ]


def test_files_of_one_way_alone_are_named(tmp_path: Path) -> None:
    for folder, name in (("plain", "Cells.csv"), ("exact", "Nuclei.csv")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("A\n1\n")
    files, found = compare(tmp_path / "plain", tmp_path / "exact")
    assert (files, list(map(str, found))) == (
        2,
        [
            "Cells.csv: is not written by accelerated modules",
            "Nuclei.csv: is written by accelerated modules alone",
        ],
    )


@pytest.mark.parametrize(
    ("changed", "expected"), [("time", []), ("value", ["MeasureTexture"])]
)
def test_a_database_is_compared_but_for_times(
    tmp_path: Path, changed: str, expected: list[str]
) -> None:
    for folder in ("plain", "exact"):
        (tmp_path / folder).mkdir()
        values = {"time": 1, "value": 1}
        if folder == "exact":
            values[changed] = 2
        with closing(sqlite3.connect(tmp_path / folder / "out.db")) as database:
            database.execute(
                "CREATE TABLE Per_Image (Image_ExecutionTime_01X REAL, "
                "Mean_Nuclei_Texture_A REAL)"
            )
            row = (values["time"], values["value"])
            database.execute("INSERT INTO Per_Image VALUES (?, ?)", row)
            database.commit()
    _, found = compare(tmp_path / "plain", tmp_path / "exact")
    assert [difference.module for difference in found] == expected


@pytest.mark.parametrize(
    ("changed", "expected"), [("time", []), ("value", ["MeasureTexture"])]
)
def test_measurements_are_compared_but_for_times(
    tmp_path: Path, changed: str, expected: list[str]
) -> None:
    for folder in ("plain", "exact"):
        (tmp_path / folder).mkdir()
        values = {"time": 1.0, "value": 1.0}
        if folder == "exact":
            values[changed] = 2.0
        with h5py.File(tmp_path / folder / "out.h5", "w") as file:
            place = f"Measurements/2026-01-0{values['time']:.0f}-10-00-00"
            for name, value in (
                ("Image/ExecutionTime_01X", values["time"]),
                ("Experiment/Run_Timestamp", values["time"]),
                ("Nuclei/Texture_A_1", values["value"]),
            ):
                file[f"{place}/{name}/data"] = np.array([value])
            file[f"{place}/Image/Metadata/data"] = ["text"]
    _, found = compare(tmp_path / "plain", tmp_path / "exact")
    assert [difference.module for difference in found] == expected


def test_what_cannot_be_read_is_a_difference(
    differences: Callable[..., list[str]],
) -> None:
    magic = b"\x89HDF\r\n\x1a\n"
    (found,) = differences("out.h5", magic + b"1", magic + b"2")
    assert found.startswith("out.h5: has other bytes, and cannot be read (")
