"""Which tables a step reads, and which plates and values the user may name."""

from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.planning.plan import Plan
from cpengine.plates import Part
from tests import build
from tests.build import Built, change

STEP = "[steps.analysis]\n"


def table(built: Built, folder: str, *rows: str) -> None:
    """Write a folder's table: rows are plate, well and site."""
    head = "FileName_OrigDNA,PathName_OrigDNA,FileName_IllumDNA,PathName_IllumDNA"
    lines = [f"{n}.tif,/i,x.npy,/i,{row}" for n, row in enumerate(rows)]
    text = "\n".join([f"{head},Metadata_Plate,Metadata_Well,Metadata_Site", *lines, ""])
    build.write(built.csv.parents[1] / folder / built.csv.name, text)


def settings(built: Built, text: str) -> None:
    built.toml.write_text(built.toml.read_text() + text)


def plan(built: Built, **part: str) -> Plan:
    wanted = {name: frozenset({value}) for name, value in part.items()}
    return built.project().plan("analysis", Part(**wanted))


def ids(built: Built, **part: str) -> list[str]:
    return [job.id for job in plan(built, **part).jobs]


def refusal(built: Built, **part: str) -> str:
    with pytest.raises(InputError) as caught:
        plan(built, **part)
    return str(caught.value)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project without a table."""
    made = build.project(tmp_path)
    made.csv.unlink()
    made.csv.parent.rmdir()
    return made


@pytest.fixture
def ungrouped(built: Built) -> Built:
    change(built.pipeline, "by metadata?:Yes", "by metadata?:No")
    return built


def test_one_table_lists_several_plates(built: Built) -> None:
    table(built, "all", "P1,A01,1", "P2,A01,1")
    assert ids(built) == ["P1-A01-1", "P2-A01-1"]
    assert ids(built, plates="P2") == ["P2-A01-1"]


def test_a_table_lies_beside_the_folders_of_plates(built: Built) -> None:
    table(built, "", "P1,A01,1")
    assert ids(built) == ["P1-A01-1"]


def test_a_folder_of_another_name_stands_for_its_plate(built: Built) -> None:
    table(built, "first", "P1,A01,1")
    assert ids(built, plates="first") == ids(built, plates="P1") == ["P1-A01-1"]
    assert [f.rule.name for f in plan(built).findings] == ["csv-other-plate"]


def test_plates_of_the_project_are_found_in_other_tables(built: Built) -> None:
    table(built, "all", "P1,A01,1", "P2,A01,1", "P3,A01,1")
    change(built.toml, "batch =", 'plates = ["P1", "P3"]\nbatch =')
    assert ids(built) == ["P1-A01-1", "P3-A01-1"]


@pytest.mark.parametrize(
    ("folders", "toml"),
    [
        ({"0012": "0012,A01,1", "12": "12,A01,1"}, ""),
        ({"A": "B,A01,1", "B": "B,A01,1"}, ""),
        ({"0012": "0012,A01,1", "12": "12,A01,1"}, 'plates = ["0012", "12"]\n'),
    ],
)
def test_a_group_in_two_tables_is_refused(
    built: Built, folders: dict[str, str], toml: str
) -> None:
    for folder, row in folders.items():
        table(built, folder, row)
    change(built.toml, "batch =", f"{toml}batch =")
    assert "lists Metadata_Plate=" in refusal(built)


def test_tables_of_one_plate_in_two_spellings_are_both_read(built: Built) -> None:
    table(built, "0012", "0012,A01,1")
    table(built, "12", "12,A02,1")
    assert ids(built) == ["12-A01-1", "12-A02-1"]


def test_the_users_spelling_is_understood(built: Built) -> None:
    table(built, "0041744", "0041744,A01,001", "0041744,A01,010")
    assert ids(built) == ["41744-A01-1", "41744-A01-10"]
    for part in ({"plates": "0041744"}, {"plates": "41744"}, {"sites": "001"}):
        assert "41744-A01-1" in ids(built, **part)
    assert "did you mean 001?" in refusal(built, sites="01")


def test_a_layout_matches_values_however_they_are_written(built: Built) -> None:
    table(built, "P1", "P1,01,1.0", "P1,02,1.0", "P1,11,2.0")
    settings(
        built,
        f'[plate]\nwells = ["01", "2", "11"]\nsites = 2\n{STEP}groups = "layout"\n',
    )
    assert ids(built) == ["P1-1-1.0", "P1-2-1.0", "P1-11-2.0"]


def test_a_pipeline_that_does_not_group_has_a_job_a_table(ungrouped: Built) -> None:
    table(ungrouped, "one", "P1,A01,1", "P1,A02,1")
    table(ungrouped, "two", "P2,A01,1", "P3,A01,1")
    table(ungrouped, "bad", "../x,A01,1")
    found = plan(ungrouped)
    assert [job.id for job in found.jobs] == ["bad", "P1", "two"]
    assert all(job.whole_table for job in found.jobs)
    assert [job.image_sets for job in found.jobs] == [1, 2, 2]
    assert {f.rule.name for f in found.findings} >= {"pipeline-does-not-group"}


def test_a_step_that_groups_needs_a_pipeline_that_does(ungrouped: Built) -> None:
    table(ungrouped, "P1", "P1,A01,1", "P1,A02,1")
    settings(ungrouped, f'{STEP}group = ["Metadata_Plate"]\noutput_structure = ""\n')
    assert ids(ungrouped) == ["P1"]
    table(ungrouped, "P1", "P1,A01,1", "P2,A02,1")
    assert "groups by nothing, the step by Plate" in refusal(ungrouped)


def test_an_empty_row_ends_a_job_of_a_whole_table(ungrouped: Built) -> None:
    table(ungrouped, "P1", "P1,A01,1")
    path = ungrouped.csv.parents[1] / "P1" / ungrouped.csv.name
    path.write_text(path.read_text() + ",,,,,,\n")
    assert ":3: has nothing but commas" in refusal(ungrouped)


def test_a_table_without_functions_is_used_where_none_is_wanted(built: Built) -> None:
    table(built, "P1", "P1,A01,1")
    path = built.csv.parents[1] / "P1" / built.csv.name
    path.rename(path.with_name("load_data.csv"))
    change(built.pipeline, "Select the illumination function:IllumDNA", "Other:x")
    (job,) = plan(built).jobs
    assert job.data_file.endswith("/P1/load_data.csv")


def test_plates_that_share_a_table_are_read_once(ungrouped: Built) -> None:
    table(ungrouped, "", "P1,A01,1", "P2,A01,1")
    change(ungrouped.toml, "batch =", 'plates = ["P1", "P2"]\nbatch =')
    (job,) = plan(ungrouped).jobs
    assert (job.id, job.mixed, job.shared_metadata) == ("all", True, {})
    change(ungrouped.toml, ', "P2"', "")
    assert "lists P2, too, which project.plates leaves out" in refusal(ungrouped)


def test_every_table_of_a_named_plate_is_read(built: Built) -> None:
    table(built, "x", "P1,A01,1")
    table(built, "y", "P1,A02,1")
    change(built.toml, "batch =", 'plates = ["P1"]\nbatch =')
    assert ids(built) == ["P1-A01-1", "P1-A02-1"]


def test_a_table_that_is_read_for_one_plate_hides_no_other(built: Built) -> None:
    table(built, "x", "P1,A01,1", "P2,A01,1")
    table(built, "y", "P2,A02,1")
    change(built.toml, "batch =", 'plates = ["P1", "P2"]\nbatch =')
    assert ids(built) == ["P1-A01-1", "P2-A01-1", "P2-A02-1"]


def test_a_whole_table_of_one_plate_is_that_plates(ungrouped: Built) -> None:
    table(ungrouped, "0012", "0012,A01,1", "0012,A02,1")
    for spelling in ("0012", "12"):
        (job,) = plan(ungrouped, plates=spelling).jobs
        assert job.shared_metadata == {"Metadata_Plate": "12"}


def test_a_plate_is_not_asked_of_jobs_without_one(built: Built) -> None:
    change(built.pipeline, "grouping:Plate,Well,Site", "grouping:Well")
    settings(built, f'{STEP}group = ["Metadata_Well"]\noutput_structure = ""\n')
    table(built, "", "P1,A01,1")
    assert "--plate P1: jobs of this step are of no plate" in refusal(
        built, plates="P1"
    )
