"""Steps whose groups a job file of Distributed-CellProfiler lists."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cpengine.cli import app
from cpengine.dcp import jobfile
from cpengine.errors import InputError
from cpengine.planning.plan import Plan
from cpengine.plates import SITE_KEYS, Part
from cpengine.project import Project
from tests import build
from tests.build import Built
from tests.cli.test_cli import built as runnable

__all__ = ["runnable"]

WORKSPACE = "projects/proj/workspace"
PLACES = {
    "pipeline": f"{WORKSPACE}/pipelines/B1/analysis.cppipe",
    "data_file": f"{WORKSPACE}/load_data_csv/B1/P1/load_data_with_illum.csv",
    "input": f"{WORKSPACE}/rules/",
    "output": "elsewhere",
    "output_structure": "Metadata_Plate/Metadata_Well-Metadata_Site",
}


def site(text: str) -> dict[str, str]:
    """A group of a job file, from `P1,A01,1`."""
    return dict(zip(SITE_KEYS, text.split(","), strict=True))


def job_file(root: Path, *groups: dict[str, str], **changes: Any) -> None:
    data = PLACES | changes | {"groups": groups}
    (root / "job.json").write_text(json.dumps(data))


def imported(root: Path) -> Project:
    """The project that `init` makes of the job file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        arguments = ["init", "new", "--job-file", "job.json", "--root", ".."]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return Project.load(root / "new")


def plan(project: Project, part: Part | None = None) -> Plan:
    return project.plan("analysis", part or Part(), cellprofiler="4.2.8.1")


def ids(made: Plan) -> list[str]:
    return [job.id for job in made.jobs]


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project of two wells with two sites each."""
    return build.project(tmp_path)


def test_jobs_are_those_of_the_job_file(built: Built) -> None:
    job_file(built.root, site("P1,A02,2"), site("P1,A01,1"))
    made = plan(imported(built.root))
    listed = jobfile.read(built.root / "job.json")
    messages = [job.to_message() for job in made.jobs]
    assert messages == [job.to_message() for job in listed]
    assert [job.place for job in made.jobs] == ["P1/A02-2", "P1/A01-1"]


@pytest.mark.parametrize("number", ["001", "1"])
def test_values_are_spelled_as_in_the_csv_or_as_loaddata_types_them(
    tmp_path: Path, number: str
) -> None:
    built = build.project(tmp_path, sites=("001", "002"))
    job_file(built.root, site(f"P1,A01,{number}"))
    assert ids(plan(imported(built.root))) == ["P1-A01-1"]


def test_a_csv_needs_no_plate_and_folders_beside_it_are_none(built: Built) -> None:
    text = built.csv.read_text()
    build.write(built.root / "demo/list.csv", text.replace("_Plate", "_Dish"))
    build.write(built.root / "demo/P9/list.csv", text)
    build.change(built.pipeline, "Plate,Well,Site", "Dish,Well")
    group = {"Metadata_Well": "A02", "Metadata_Dish": "P1"}
    job_file(built.root, group, data_file="demo/list.csv", output_structure="")
    (job,) = plan(imported(built.root)).jobs
    assert (job.id, job.data_file, job.image_sets) == ("A02-P1", "demo/list.csv", 2)


def test_a_part_of_it_can_be_taken(built: Built) -> None:
    job_file(built.root, site("P1,A01,1"), site("P1,A02,1"))
    part = Part(wells=frozenset({"A02"}))
    assert ids(plan(imported(built.root), part)) == ["P1-A02-1"]


def test_a_batch_file_has_groups_of_a_job_file(built: Built) -> None:
    build.batch_of(built)
    place = f"{WORKSPACE}/batchfiles/B1/Batch_data_analysis.h5"
    job_file(built.root, site("P1,A02,1"), pipeline=place, data_file=place)
    (job,) = imported(built.root).plan("Batch_data_analysis").jobs
    assert (job.id, job.data_file, job.pipeline) == ("P1-A02-1", place, place)


def test_groups_that_the_csv_lacks_are_refused(built: Built) -> None:
    job_file(built.root, *map(site, ("P1,A01,1", "P1,A03,1", "P1,A03,2")))
    with pytest.raises(InputError) as caught:
        plan(imported(built.root))
    assert str(caught.value) == (
        f"{built.root}/job.json: Metadata_Plate=P1,Metadata_Well=A03,Metadata_Site=1 "
        f"and 1 group more: not in {built.csv}: remove them, or add their rows"
    )


def test_other_columns_than_the_step_has_are_refused(built: Built) -> None:
    job_file(built.root, site("P1,A01,1"))
    project = imported(built.root)
    job_file(built.root, {"Metadata_Plate": "P1"}, output_structure="")
    with pytest.raises(InputError, match="groups by Metadata_Plate, the step by "):
        plan(project)


def test_a_job_file_that_is_gone_is_refused(built: Built) -> None:
    job_file(built.root, site("P1,A01,1"))
    project = imported(built.root)
    (built.root / "job.json").unlink()
    with pytest.raises(InputError, match=r"job\.json: is not there: name another"):
        plan(project)


def test_it_runs_and_is_done(runnable: Built) -> None:
    job_file(runnable.root, site("P1,A01,1"))
    project = imported(runnable.root)
    result = CliRunner().invoke(app, ["run", "analysis", "-C", str(project.folder)])
    assert result.stdout.startswith("analysis: 1 of 1 job done, 1 image set, 2 files")
    assert (runnable.root / "elsewhere/P1/A01-1/Image.csv").is_file()
