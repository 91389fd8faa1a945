"""Which columns the tables have, of which types, and that no value is changed."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cpengine.results.collect import work
from cpengine.results.collect.arrow import pa
from tests import build
from tests.results.collect.screen import Screen, cells, csv_of, image
from tests.results.collect.test_collect import JOBS, all_done

MIXED = "1 column of Image.csv with numbers and text, written as text: Image_Odd"


def test_columns_of_all_jobs_are_there_and_empty_where_a_job_has_none(
    screen: Screen,
) -> None:
    for job, more in zip(JOBS, ({}, {"B": 2.5}, {"C": "nan"}, {"B": ""}), strict=True):
        screen.done(job, {"Image.csv": csv_of([image(1, A=1, **more)])})
    screen.collect()
    rows = screen.rows("Image")
    assert [row["Image_B"] for row in rows] == [None, 2.5, None, None]
    assert [row["Image_C"] for row in rows] == [None] * 4
    assert [row["Metadata_Site"] for row in rows] == [1, 2, 1, 2]


def test_columns_that_only_some_jobs_have_are_noted(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_BATCH", 1)  # jobs are compared across batches
    for job, names in zip(JOBS, ("AB", "AC", "BAC", "BA"), strict=True):
        files = {"Image.csv": csv_of([image(1, **dict.fromkeys(names, 1))])}
        screen.done(job, files | {"Cells.csv": csv_of(cells(2, 1))})
    assert screen.collect().notes[0] == (
        "2 columns of Image.csv that only some jobs have: B, C; B is in 3 and not in "
        "1, such as P1-A01-2"
    )


def test_columns_in_another_order_are_the_same(screen: Screen) -> None:
    for job, names in zip(JOBS, ("AB", "BA", "AB", "BA"), strict=True):
        screen.done(job, {"Image.csv": csv_of([image(1, **dict.fromkeys(names, 1))])})
    assert not any("only some" in note for note in screen.collect().notes)


def test_integers_numbers_and_text_keep_their_type(screen: Screen) -> None:
    values = {"Whole": 3, "Real": 0.1, "Text": "a,b", "Date": "2026-01-02"}
    values |= {"Yes": "true", "Time": "12:30"}
    screen.done("P1-A01-1", {"Image.csv": csv_of([image(1, **values)])})
    screen.done("P1-A01-2", {"Image.csv": csv_of([image(2, **values | {"Real": 2})])})
    screen.collect()
    schema = screen.table("Image").schema
    assert schema.field("Image_Whole").type == pa.int64()
    assert schema.field("Image_Real").type == pa.float64()
    for row in screen.rows("Image"):
        assert {name: row[f"Image_{name}"] for name in values if name != "Real"} == {
            name: value for name, value in values.items() if name != "Real"
        }


LARGE = (
    ("1234567890123456789", "9223372036854775807"),
    ("9007199254740993", "0.5"),
    ("9223372036854775808", "18446744073709551615"),
    ("-9223372036854775809", "7"),
    ("123456789012345678901234567890", ""),
)


@pytest.mark.parametrize("at_once", [1, work._BATCH])
@pytest.mark.parametrize("column", ["Metadata_Key", "Key"])
@pytest.mark.parametrize("values", LARGE)
def test_no_digit_of_a_whole_number_is_lost(
    screen: Screen,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    column: str,
    values: tuple[str, str],
) -> None:
    monkeypatch.setattr(work, "_BATCH", at_once)
    for number, (job, value) in enumerate(zip(JOBS, values, strict=False), 1):
        more = {f"Other{number}": 1}  # another header, so that pieces are merged
        row = image(number, **{column: value}, **more)
        screen.done(job, {"Image.csv": csv_of([row])})
    made = screen.collect(float32=True)
    name = column if column.startswith("Metadata_") else f"Image_{column}"
    found = [row[name] for row in screen.rows("Image")]
    assert ["" if value is None else str(value) for value in found] == list(values)
    is_int64 = all(v.isdigit() and int(v) < 2**63 for v in values)
    assert (screen.table("Image").schema.field(name).type == pa.int64()) == is_int64
    assert MIXED not in made.notes


def test_numbers_may_have_32_bits(screen: Screen) -> None:
    screen.done("P1-A01-1", {"Cells.csv": csv_of(cells(1, 0.5))})
    screen.collect(float32=True)
    assert (
        screen.table("Cells").schema.field("Cells_AreaShape_Area").type == pa.float32()
    )
    assert (
        screen.table("Cells").schema.field("Metadata_ObjectNumber").type == pa.int64()
    )


def test_a_column_of_numbers_and_text_is_text_and_that_is_noted(screen: Screen) -> None:
    for job, value in zip(JOBS, ("7", "x", "1.5", ""), strict=True):
        screen.done(job, {"Image.csv": csv_of([image(1, Odd=value)])})
    made = screen.collect()
    assert [row["Image_Odd"] for row in screen.rows("Image")] == ["7", "x", "1.5", None]
    assert MIXED in made.notes


def test_mixed_text_is_found_across_batches(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cpengine.results.collect.work._BATCH", 1)
    for job, value in zip(JOBS, ("7", "x", "1.5", ""), strict=True):
        screen.done(job, {"Image.csv": csv_of([image(1, Odd=value)])})
    made = screen.collect()
    assert [row["Image_Odd"] for row in screen.rows("Image")] == ["7", "x", "1.5", None]
    assert MIXED in made.notes


def test_a_name_of_digits_is_no_number(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=("41744",))
    screen = Screen(built.project(), tmp_path)
    screen.done("41744-A01-1", {"Image.csv": csv_of([image(1, Metadata_Lot="007")])})
    screen.collect()
    (row,) = screen.rows("Image", "41744")
    assert row["Metadata_Plate"] == "41744"
    assert row["Metadata_Lot"] == "007"


def test_an_empty_table_gives_no_rows_and_keeps_its_columns(screen: Screen) -> None:
    all_done(screen)
    header = list(cells(1, 0)[0])
    empty = {"Cells.csv": csv_of([], header), "Nuclei.csv": csv_of([], header)}
    empty["Cytoplasm.csv"] = csv_of([], [*header, "Parent_Cells", "Parent_Nuclei"])
    empty["Image.csv"] = csv_of([image(1, Count_Cells=0.0)])
    screen.done("P1-A01-2", empty)
    assert screen.collect().files[""].rows == 9
    for job in JOBS:
        screen.done(job, empty)
    assert screen.collect().files[""].rows == 0
    assert screen.table("Cells").schema.field("Metadata_ImageNumber").type == pa.int64()
    assert (
        screen.table("Cells").schema.field("Cells_AreaShape_Area").type == pa.float64()
    )


def test_values_with_commas_quotes_and_line_ends_are_whole(screen: Screen) -> None:
    text = 'a "b",\r\nc'
    screen.done("P1-A01-1", {"Image.csv": csv_of([image(1, Text=text, More=1)])})
    screen.collect()
    assert screen.rows("Image")[0]["Image_Text"] == text


def test_batches_change_nothing(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_done(screen)
    screen.collect()
    at_once = screen.rows()
    monkeypatch.setattr("cpengine.results.collect.work._BATCH", 1)
    monkeypatch.setattr("cpengine.results.collect.tables._ROW_GROUP", 1)
    screen.collect(force=True)
    assert screen.rows() == at_once
    assert screen.project.places.outputs.is_local()
    path = screen.project.places.outputs.path(f"{screen.folder()}/P1.parquet")
    assert pq.read_metadata(path).num_row_groups == 4
