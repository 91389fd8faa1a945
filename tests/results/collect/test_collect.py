"""CSVs as Parquet: rows, columns, types, the join, and what is refused."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cpengine.errors import CpengineError, InputError
from cpengine.project import Project
from cpengine.results.collect import record
from cpengine.results.collect.collector import Collector
from tests import build
from tests.results.collect.screen import Screen, cells, compartments, csv_of, image

JOBS = ("P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2")


def all_done(screen: Screen, *, same_number: bool = False) -> None:
    for n, job in enumerate(JOBS):
        files = compartments(1000 * n, 1 if same_number else n + 1)
        screen.done(job, files)


def key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[f"Metadata_{name}"] for name in ("Plate", "Well", "Site"))


# What is made


def test_a_plate_has_a_file_a_table_and_one_of_all(screen: Screen) -> None:
    all_done(screen)
    made = screen.collect()
    tables = ("Cells", "Cytoplasm", "Image", "Nuclei")
    assert screen.files() == sorted(
        ["P1.parquet", *(f"P1_{t}.parquet" for t in tables)]
    )
    assert made.made
    assert made.notes == ()
    assert {name: file.rows for name, file in made.files.items()} == {
        "": 12,
        "Cells": 12,
        "Cytoplasm": 12,
        "Nuclei": 12,
        "Image": 4,
    }


def test_each_row_has_plate_well_site_and_numbers(screen: Screen) -> None:
    all_done(screen)
    screen.collect()
    first = screen.rows("Cells")[3]
    assert list(first)[:5] == [
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_Site",
        "Metadata_ImageNumber",
        "Metadata_ObjectNumber",
    ]
    assert list(first.values())[:5] == ["P1", "A01", 2, 2, 1]
    assert [key(row) for row in screen.rows("Image")] == [
        ("P1", well, site) for well in ("A01", "A02") for site in (1, 2)
    ]


@pytest.mark.parametrize("same_number", [False, True])
def test_cells_are_joined_to_the_nuclei_of_their_own_image(
    screen: Screen, same_number: bool
) -> None:
    all_done(screen, same_number=same_number)
    made = screen.collect()
    rows = screen.rows()
    assert len(rows) == 12
    for at, row in enumerate(rows):
        job, cell = divmod(at, 3)
        start = 1000.0 * job
        assert key(row) == ("P1", f"A0{job // 2 + 1}", job % 2 + 1)
        assert row["Cytoplasm_AreaShape_Area"] == start + 200 + cell + 1
        assert row["Cells_AreaShape_Area"] == start + cell + 1
        assert row["Nuclei_AreaShape_Area"] == start + 100 + 3 - cell
        assert row["Metadata_Nuclei_Number_Object_Number"] == 3 - cell
    shared = [note for note in made.notes if "share image numbers" in note]
    assert bool(shared) == same_number


def test_a_job_of_many_images_takes_the_site_from_its_images(tmp_path: Path) -> None:
    toml = '[steps.analysis]\ngroup = ["Metadata_Plate", "Metadata_Well"]\n'
    toml += 'output_structure = ""\n'
    built = build.project(tmp_path, toml=toml, tags="Plate,Well")
    screen = Screen(built.project(), tmp_path)
    images = [image(n, Metadata_Site=n - 4, Count_Cells=2) for n in (5, 6)]
    both = [*cells(2, 0, 5), *cells(2, 10, 6)]
    files = {"Image.csv": csv_of(images), "Cells.csv": csv_of(both)}
    screen.done("P1-A01", files)
    screen.collect()
    found = [
        (row["Metadata_Site"], row["Cells_AreaShape_Area"])
        for row in screen.rows("Cells")
    ]
    assert found == [(1, 1.0), (1, 2.0), (2, 11.0), (2, 12.0)]


def test_an_object_without_a_parent_keeps_its_row(screen: Screen) -> None:
    plasma = [{**row, "Parent_Cells": 0} for row in cells(1, 0)]
    files = {"Cytoplasm.csv": csv_of(plasma), "Cells.csv": csv_of(cells(2, 50))}
    screen.done("P1-A01-1", files)
    made = screen.collect()
    (row,) = screen.rows()
    assert row["Cells_AreaShape_Area"] is None
    assert row["Metadata_Cells_Number_Object_Number"] is None
    assert "1 of 1 row of Cytoplasm.csv have no parent in Cells.csv" in made.notes


def test_without_parents_there_is_no_joined_table_and_that_is_noted(
    screen: Screen,
) -> None:
    screen.done("P1-A01-1", {"Cells.csv": csv_of(cells(2, 0))})
    made = screen.collect()
    assert screen.files() == ["P1_Cells.parquet"]
    assert any(note.startswith("no joined table") for note in made.notes)


def test_other_objects_have_a_table_of_their_own(screen: Screen) -> None:
    more = {"Speckles.csv": csv_of(cells(5, 7))}
    screen.done("P1-A01-1", {**compartments(0), **more})
    screen.collect()
    assert screen.table("Speckles").column_names[-1] == "Speckles_AreaShape_Area"
    assert "Speckles_AreaShape_Area" not in screen.table().column_names


def test_a_prefix_of_the_csvs_changes_nothing(screen: Screen) -> None:
    all_done(screen)
    screen.collect()
    plain = screen.rows()
    for n, job in enumerate(JOBS):
        files = compartments(1000 * n, n + 1)
        screen.done(job, {f"MyExpt_{name}": text for name, text in files.items()})
    assert screen.collect(force=True).files[""].rows == 12
    assert screen.rows() == plain


def test_another_step_has_a_folder_of_its_own(tmp_path: Path) -> None:
    built = build.project(
        tmp_path, pipeline="qc.cppipe", data_file="load_data.csv", tags="Plate,Well"
    )
    screen = Screen(built.project(), tmp_path, "qc")
    screen.done("P1-A01", {"Image.csv": csv_of([image(1), image(2)])})
    screen.collect()
    assert screen.files() == []
    folder = f"{screen.folder()}/qc"
    assert list(screen.project.places.outputs.sizes(folder)) == ["P1_Image.parquet"]


@pytest.mark.parametrize(
    "settings",
    [
        'output_structure = "Metadata_Plate//Metadata_Well-Metadata_Site/"',
        'output_structure = "./Metadata_Plate/./Metadata_Well/Metadata_Site/."',
        'output = "results/"',
        'output = "./some//results"\n'
        'output_structure = "x/Metadata_Plate-Metadata_Well-Metadata_Site/"',
    ],
)
def test_slashes_too_many_and_points_hide_no_results(
    tmp_path: Path, settings: str
) -> None:
    built = build.project(tmp_path, toml=f"[steps.analysis]\n{settings}\n")
    screen = Screen(built.project(), tmp_path)
    all_done(screen)
    ledger = screen.project.ledger(screen.project.step("analysis"))
    assert ledger.damaged(screen.jobs.values()) == []
    assert screen.collect().files[""].rows == 12


# What is refused


def refused(screen: Screen, **options: bool) -> str:
    with pytest.raises(CpengineError) as caught:
        screen.collect(**options)
    assert screen.files() == []
    assert list(screen.scratch.glob("cpengine-*")) == []
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("cut", [1, 2, 9])
def test_a_csv_that_ends_within_a_line_is_refused(screen: Screen, cut: int) -> None:
    files = compartments(0)
    files["Cells.csv"] = files["Cells.csv"][:-cut]
    screen.done("P1-A01-1", files)
    line = refused(screen)
    assert "/P1-A01-1/Cells.csv: " in line
    assert line.endswith(": run its job again with --force")


def test_a_csv_that_lacks_whole_lines_is_refused(screen: Screen) -> None:
    files = compartments(0)
    files["Cells.csv"] = files["Cells.csv"].rsplit("\r\n", 2)[0] + "\r\n"
    screen.done("P1-A01-1", files)
    assert "has 2 rows of image 1, and Image.csv counts 3 Cells" in refused(screen)


def test_a_csv_without_any_line_is_refused(screen: Screen) -> None:
    screen.done("P1-A01-1", compartments(0) | {"Cells.csv": ""})
    assert "Cells.csv: is empty" in refused(screen)


def test_the_damaged_csv_among_many_is_named(screen: Screen) -> None:
    all_done(screen)
    good = compartments(0, 3)["Nuclei.csv"]
    screen.done("P1-A02-1", {"Nuclei.csv": good.replace(",102", ",102,5")})
    assert "P1-A02-1/Nuclei.csv: is no whole CSV (CSV parse error" in refused(screen)


def test_a_blank_line_is_refused(screen: Screen) -> None:
    text = csv_of(cells(2, 0))
    screen.done("P1-A01-1", {"Cells.csv": f"{text}\r\n"})
    assert "Cells.csv: has 2 rows in 3 lines" in refused(screen)


def test_an_object_that_is_there_twice_is_refused(screen: Screen) -> None:
    twice = [*cells(2, 0), *cells(1, 5)]
    screen.done("P1-A01-1", {"Cells.csv": csv_of(twice)})
    assert "Cells.csv: has ImageNumber 1, ObjectNumber 1 twice" in refused(screen)


def test_rows_of_an_image_that_is_not_there_are_refused(screen: Screen) -> None:
    files = {"Image.csv": csv_of([image(1)]), "Cells.csv": csv_of(cells(1, 0, 2))}
    screen.done("P1-A01-1", files)
    assert "has rows of image 2, which Image.csv has not" in refused(screen)


def test_rows_without_a_number_are_refused(screen: Screen) -> None:
    rows = [{"ImageNumber": "", "ObjectNumber": 1, "A": 1}]
    screen.done("P1-A01-1", {"Cells.csv": csv_of(rows)})
    assert "no whole number in each row of Metadata_ImageNumber" in refused(screen)


def test_a_parent_that_is_no_number_is_refused(screen: Screen) -> None:
    rows = cells(1, 0, Parent_Nuclei="the first")
    screen.done("P1-A01-1", {"Cells.csv": csv_of(rows)})
    assert "in each row of Metadata_Cells_Parent_Nuclei: run its" in refused(screen)


def test_two_columns_of_one_name_are_refused(screen: Screen) -> None:
    screen.done("P1-A01-1", {"Cells.csv": csv_of(cells(1, 0, Cells_AreaShape_Area=1))})
    assert "has two columns for Cells_AreaShape_Area" in refused(screen)


def test_csvs_that_are_no_tables_are_left_out_and_noted(screen: Screen) -> None:
    combined = "Image,Cells\r\nImageNumber,Area\r\n1,2\r\n"
    screen.done("P1-A01-1", {**compartments(0), "Both.csv": combined})
    _, note = screen.collect().notes
    assert note.startswith("1 CSV left out: no tables of images or objects, or elsewh")
    assert note.endswith("/P1-A01-1/Both.csv)")
    more = {"Both.csv": combined, "more/Cells.csv": csv_of(cells(1, 0))}
    screen.done("P1-A01-1", {**compartments(0), **more})
    assert screen.collect(force=True).notes[1].startswith("2 CSVs left out: no tables")


def test_a_plate_without_any_table_is_refused(screen: Screen) -> None:
    screen.done("P1-A01-1", {"Both.csv": "Image,Cells\r\nImageNumber,Area\r\n1,2\r\n"})
    assert "no CSV has ImageNumber" in refused(screen)


def test_rows_that_are_lost_on_the_way_are_found(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cpengine.results.collect import tables

    all_done(screen)
    fitted = tables.fitted
    monkeypatch.setattr(tables, "fitted", lambda t, schema: fitted(t.slice(1), schema))
    assert "and its CSVs have 12: nothing is published" in refused(screen)


def test_a_full_scratch_disk_is_reported(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cpengine.results.collect.spill import Spill

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    all_done(screen)
    monkeypatch.setattr(Spill, "put", full)
    line = refused(screen)
    assert "cannot be written (No space left on device): free space, or set" in line


# Which jobs


def test_failed_and_left_jobs_are_left_out_and_noted(screen: Screen) -> None:
    screen.done("P1-A01-1", compartments(0))
    screen.failed("P1-A01-2")
    made = screen.collect()
    assert "3 of 4 jobs left out: 1 failed, 2 left" in made.notes
    assert made.plate.left_out == {"failed": 1, "left": 2}
    assert {row["Metadata_Site"] for row in screen.rows()} == {1}


def test_stale_jobs_are_taken_and_noted(tmp_path: Path) -> None:
    built = build.project(tmp_path)
    screen = Screen(built.project(), tmp_path)
    all_done(screen)
    build.change(built.pipeline, "Nuclei", "Kernels")
    made = screen.collect()
    assert made.files[""].rows == 12
    assert made.notes == (
        "4 jobs stale, and taken: the pipeline changed since it was done",
    )


def test_done_jobs_without_csvs_are_noted(screen: Screen) -> None:
    screen.done("P1-A01-1", compartments(0))
    screen.done("P1-A01-2", {"outlines/a.png": "picture"})
    assert "3 of 4 jobs left out: 2 left, 1 without CSVs" in screen.collect().notes


def test_a_table_that_a_job_lacks_is_noted(screen: Screen) -> None:
    screen.done("P1-A01-1", compartments(0))
    files = compartments(10)
    del files["Nuclei.csv"]
    screen.done("P1-A01-2", files)
    made = screen.collect()
    assert "1 job without Nuclei.csv" in made.notes
    assert [row["Nuclei_AreaShape_Area"] for row in screen.rows()][3:] == [None] * 3


def test_a_step_of_which_nothing_is_done_is_refused(screen: Screen) -> None:
    with pytest.raises(InputError, match=r"^analysis: none of its jobs is done: run"):
        screen.plates()


def test_a_step_without_csvs_is_refused(screen: Screen) -> None:
    screen.done("P1-A01-1", {"outlines/a.png": "picture"})
    with pytest.raises(InputError, match="published no CSV of images or objects"):
        screen.plates()


def test_a_step_that_is_not_of_plates_is_refused(tmp_path: Path) -> None:
    toml = '[steps.analysis]\ngroup = ["Metadata_Well"]\noutput_structure = ""\n'
    screen = Screen(build.project(tmp_path, toml=toml, tags="Well").project(), tmp_path)
    with pytest.raises(InputError, match="jobs are not of plates: add Metadata_Plate"):
        screen.plates()


def test_a_step_whose_jobs_share_folders_is_refused(tmp_path: Path) -> None:
    toml = '[steps.analysis]\noutput_structure = "Metadata_Plate"\n'
    screen = Screen(build.project(tmp_path, toml=toml).project(), tmp_path)
    with pytest.raises(InputError, match="jobs share folders"):
        screen.plates()


def test_what_another_step_put_beside_a_jobs_results_is_not_taken(
    tmp_path: Path,
) -> None:
    output = build.project(tmp_path / "default").project().step("analysis").output
    structure = "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site"
    toml = f'[steps.more]\noutput = "{output}/"\noutput_structure = "{structure}"\n'
    toml += 'group = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]\n'
    toml += 'pipeline = "analysis.cppipe"\ndata_file = "load_data_with_illum.csv"\n'
    built = build.project(tmp_path / "project", toml=toml)
    analysis, more = (
        Screen(built.project(), tmp_path, step) for step in ("analysis", "more")
    )
    all_done(analysis)
    more.done("P1-A01-1", {"Speckles.csv": csv_of(cells(2, 0))})
    assert "Speckles" not in analysis.collect().files
    assert set(more.collect().files) == {"Speckles"}


def test_plates_can_be_chosen(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=("P1", "P2"))
    screen = Screen(built.project(), tmp_path)
    screen.done("P1-A01-1", compartments(0))
    screen.done("P2-A01-1", compartments(0))
    assert [plate.name for plate in screen.plates()] == ["P1", "P2"]
    assert [plate.name for plate in screen.plates("P2")] == ["P2"]


# Again


def test_the_same_results_are_not_made_again(screen: Screen) -> None:
    all_done(screen)
    first = screen.collect()
    path = screen.project.places.outputs.path(f"{screen.folder()}/P1.parquet")
    written = path.stat().st_mtime_ns
    again = screen.collect()
    assert not again.made
    assert again.files == first.files
    assert path.stat().st_mtime_ns == written
    assert screen.collect(force=True).made
    assert path.stat().st_mtime_ns > written


def test_notes_are_given_again(screen: Screen) -> None:
    all_done(screen, same_number=True)
    assert screen.collect().notes == screen.collect().notes != ()


def test_other_results_or_numbers_are_made_again(screen: Screen) -> None:
    all_done(screen)
    screen.collect()
    assert screen.collect(float32=True).made
    assert not screen.collect(float32=True).made
    screen.done("P1-A02-2", compartments(77777, 4))
    assert screen.collect().made
    assert screen.rows()[-1]["Cells_AreaShape_Area"] == 77780.0


def test_results_of_the_same_size_are_made_again(screen: Screen) -> None:
    all_done(screen)
    screen.done("P1-A02-2", compartments(3000, 4))
    sizes = screen.plates()[0].jobs[-1].size
    screen.collect()
    screen.done("P1-A02-2", compartments(4000, 4))
    assert screen.plates()[0].jobs[-1].size == sizes
    assert screen.collect().made
    assert screen.rows()[-1]["Cells_AreaShape_Area"] == 4003.0
    assert not screen.collect().made


def test_a_copy_that_keeps_times_is_not_made_again(
    screen: Screen, tmp_path: Path
) -> None:
    all_done(screen)
    screen.collect()
    copy = shutil.copytree(screen.project.folder, tmp_path / "copy")
    assert not Screen(Project.load(copy), tmp_path).collect().made


def test_a_file_that_is_gone_is_made_again(screen: Screen) -> None:
    all_done(screen)
    screen.collect()
    screen.project.places.outputs.remove(f"{screen.folder()}/P1_Cells.parquet")
    assert screen.collect().made
    assert "P1_Cells.parquet" in screen.files()


def test_tables_that_are_no_more_are_removed_and_no_others(screen: Screen) -> None:
    screen.done("P1-A01-1", {**compartments(0), "Speckles.csv": csv_of(cells(1, 0))})
    screen.collect()
    outputs = screen.project.places.outputs
    outputs.write(f"{screen.folder()}/P1_normalized.parquet", b"mine")
    screen.done("P1-A01-1", compartments(0))
    screen.collect()
    assert "P1_Speckles.parquet" not in screen.files()
    assert "P1_normalized.parquet" in screen.files()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "is gone"), (b"ImageNumber\n", "has 12 of ")]
)
def test_a_csv_that_is_not_as_its_marker_says_leaves_its_job_out(
    content: bytes | None, why: str, screen: Screen
) -> None:
    all_done(screen)
    outputs = screen.project.places.outputs
    key = f"{screen.jobs['P1-A01-1'].destination}/Cells.csv"
    if content is None:
        outputs.remove(key)
    else:
        outputs.write(key, content)
    found = screen.collect()
    assert found.plate.left_out == {"with damaged CSVs": 1}
    assert f"1 job left out: {key} {why}" in found.notes[0]
    assert "P1-A01-1" not in {entry.job.id for entry in found.plate.jobs}


def test_a_plate_without_csvs_is_an_error_of_its_own(screen: Screen) -> None:
    all_done(screen)
    (plate,) = screen.plates()
    collector = Collector(screen.project.places.outputs, screen.scratch)
    with pytest.raises(InputError, match="no CSVs in the folders of its done jobs"):
        collector.collect(replace(plate, jobs=()), lambda read: None)


def test_what_a_record_of_others_names_elsewhere_is_not_removed(
    screen: Screen,
) -> None:
    all_done(screen)
    screen.collect()
    outputs = screen.project.places.outputs
    mine, table = f"{screen.folder()}/../../mine", screen.table("Image")
    data = json.loads(table.schema.metadata[record.KEY.encode()])
    data["files"]["../../mine"] = {"rows": 1, "columns": 1}
    file = screen.scratch / "theirs"
    pq.write_table(table.replace_schema_metadata({record.KEY: json.dumps(data)}), file)
    outputs.write(mine, b"mine")
    outputs.write(f"{screen.folder()}/P1_Image.parquet", file.read_bytes())
    assert screen.collect(force=True).made
    assert outputs.read(mine) == b"mine"


def test_files_that_something_else_made_are_replaced(screen: Screen) -> None:
    all_done(screen)
    outputs = screen.project.places.outputs
    outputs.write(f"{screen.folder()}/P1_Image.parquet", b"no parquet at all")
    assert screen.collect().made
    assert len(screen.rows("Image")) == 4


def test_a_run_that_was_killed_while_it_published_is_made_again(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cpengine.storage.store import Storage

    all_done(screen)
    screen.collect()
    screen.done("P1-A02-2", compartments(55555, 4))
    publish = Storage.publish

    def killed(self: Storage, file: Path, key: str) -> None:
        if key.endswith("P1_Nuclei.parquet"):
            raise KeyboardInterrupt
        publish(self, file, key)

    monkeypatch.setattr(Storage, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        screen.collect()
    monkeypatch.undo()
    assert "P1_Image.parquet" not in screen.files()
    assert screen.collect().made
    assert screen.rows()[-1]["Cells_AreaShape_Area"] == 55558.0


def test_pipes_keep_nobody_waiting(screen: Screen) -> None:
    """A table that is one is made again; a CSV that is one leaves its job out."""
    all_done(screen)
    screen.collect()
    outputs = screen.project.places.outputs
    for path in outputs.path(screen.folder()).iterdir():
        path.unlink()
        os.mkfifo(path)
    assert screen.collect().made
    assert len(screen.rows("Image")) == 4
    cells = outputs.path(f"{screen.jobs['P1-A01-1'].destination}/Cells.csv")
    cells.unlink()
    os.mkfifo(cells)
    assert screen.collect(force=True).plate.left_out == {"with damaged CSVs": 1}


def test_the_files_tell_what_they_were_made_from(screen: Screen) -> None:
    all_done(screen)
    screen.collect()
    metadata = json.loads(screen.table("Cells").schema.metadata[record.KEY.encode()])
    assert metadata["step"] == "analysis"
    job = screen.jobs["P1-A01-1"]
    assert metadata["jobs"]["P1-A01-1"].startswith(f"{job.fingerprint}~4.2.8.1~")
    assert set(metadata["files"]) == set(screen.files())
