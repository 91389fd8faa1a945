"""A job file of Distributed-CellProfiler as a step of a new project."""

import json
from pathlib import Path
from typing import Any

import pytest

from cpengine import config
from cpengine.dcp import jobfile
from cpengine.dcp.values import Found
from tests.dcp.files import SMALLEST, python
from tests.dcp.test_init import folder, init, made, refused
from tests.dcp.test_jobfile import PLAIN

__all__ = ["folder"]

FLY: dict[str, Any] = {
    "pipeline": "demo/workspace/Example.v2.cppipe",
    "data_file": "demo/workspace/load_data.csv",
    "input": "demo/workspace/",
    "output": "demo/output",
    "output_structure": "Metadata_Position",
    "groups": [{"Metadata": "Metadata_Position=2"}, {"Metadata_Position": "76"}],
}


@pytest.fixture(autouse=True)
def job(folder: Path) -> Path:
    """The job file that is read, of one pipeline on one CSV without plates."""
    path = folder / "job.json"
    path.write_text(json.dumps(FLY))
    (folder / "config.py").write_text(python(SMALLEST | {"APP_NAME": "Fly"}))
    return path


def keys(found: Found) -> dict[str, Any]:
    return {key: setting.value for key, setting in found.settings.items()}


def test_places_and_group_go_to_a_step_named_after_the_pipeline(job: Path) -> None:
    found = jobfile.as_step(job)
    assert found.step == "Example_v2"
    assert keys(found) == {
        "steps.Example_v2.group": ["Metadata_Position"],
        "steps.Example_v2.groups": "csv",
        "steps.Example_v2.input": "demo/workspace",
        "steps.Example_v2.output": "demo/output",
        "steps.Example_v2.output_structure": "Metadata_Position",
        "steps.Example_v2.data_file": "load_data.csv",
        "steps.Example_v2.data_path": "demo/workspace",
        "steps.Example_v2.pipeline": "Example.v2.cppipe",
        "steps.Example_v2.pipeline_path": "demo/workspace",
    }


def test_a_step_may_have_another_name_and_files_at_the_root(job: Path) -> None:
    job.write_text(json.dumps(FLY | {"pipeline": "a.cppipe", "data_file": "a.csv"}))
    found = keys(jobfile.as_step(job, "analysis"))
    assert found["steps.analysis.pipeline_path"] == "."
    assert found["steps.analysis.data_path"] == "."


def test_a_batch_file_is_data_and_pipeline(job: Path) -> None:
    batch = {"pipeline": "demo/Batch_data.h5", "data_file": "demo/Batch_data.h5"}
    job.write_text(json.dumps(FLY | batch))
    found = keys(jobfile.as_step(job, "s"))
    assert found["steps.s.groups"] == "batch"
    assert found["steps.s.batch_path"] == "demo"
    assert found["steps.s.batch_file"] == "Batch_data.h5"
    assert not any("pipeline" in key or "data_file" in key for key in found)


def test_config_and_job_file_are_a_project(folder: Path) -> None:
    result = init("--from-dcp", "config.py", "--job-file", "job.json", "--root", ".")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1:] == [
        "pipelines go to new/demo/workspace: Example.v2.cppipe",
        "CSVs go to new/demo/workspace: load_data.csv",
        "then: cpengine check -C new",
    ]
    assert Path("new/demo/workspace").is_dir()
    file = config.load(Path("new/cpengine.toml"))
    assert (file.project.name, file.project.batch) == ("Fly", "job")
    step = file.steps["Example_v2"]
    assert step.output_structure == "Metadata_Position"
    assert step.job_file == f"{folder}/job.json"


def test_a_job_file_below_the_folder_is_named_from_there(job: Path) -> None:
    Path("new/files").mkdir(parents=True)
    job.rename("new/files/job.json")
    file = made("--job-file", "new/files/job.json")
    assert file.steps["Example_v2"].job_file == "files/job.json"
    assert (file.project.name, file.storage.root) == ("job", ".")


def test_the_step_is_that_of_config_or_script(folder: Path, job: Path) -> None:
    (folder / "config.py").write_text(python(SMALLEST))
    file = made("--from-dcp", "config.py", "--job-file", "job.json")
    assert list(file.steps) == ["analysis"]
    assert file.steps["analysis"].output == "demo/output"
    assert list(file.executors.aws.steps) == ["analysis"]
    Path("new/cpengine.toml").unlink()
    script = ("--batch-script", "illum ID B1 P1 --pipeline x.cppipe")
    file = made(*script, "--job-file", "job.json")
    assert file.steps["illum"].pipeline == "Example.v2.cppipe"
    assert (file.project.name, file.project.batch) == ("ID", "B1")


def test_the_done_check_of_config_goes_to_the_step(folder: Path) -> None:
    done = {"CHECK_IF_DONE_BOOL": "True", "EXPECTED_NUMBER_FILES": 4}
    (folder / "config.py").write_text(
        python(SMALLEST | {"APP_NAME": "Fly", "DOCKER_CORES": 1} | done)
    )
    file = made("--from-dcp", "config.py", "--job-file", "job.json")
    dcp_done = file.steps["Example_v2"].dcp_done
    assert dcp_done is not None
    assert dcp_done.expected_number_files == 4
    assert file.executors.aws.cores == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"input": ""}, "job.json: input: is empty: name a place in the bucket"),
        ({"groups": []}, "job.json: groups: is not a list of groups: write one"),
        ({"groups": PLAIN["groups"]}, "job.json: output_structure: "),
    ],
)
def test_a_wrong_job_file_is_one_line_and_no_file(
    job: Path, changes: dict[str, Any], expected: str
) -> None:
    job.write_text(json.dumps(FLY | changes))
    refused("--job-file", "job.json", begins=expected)


def test_a_missing_job_file_is_one_line_and_no_file() -> None:
    line = refused("--job-file", "gone.json", begins="gone.json: is not there")
    assert line.endswith("name another file")


def test_a_layout_has_groups_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "cpengine.toml"
    step = '[steps.illum]\ngroups = "layout"\njob_file = "job.json"\n'
    path.write_text(f'[project]\nname = "p"\nbatch = "b"\n{step}')
    with pytest.raises(config.ConfigError, match=r"steps\.illum\.job_file: has the gr"):
        config.load(path)
