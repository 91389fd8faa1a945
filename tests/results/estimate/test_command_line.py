"""`cpengine estimate` as a user types it, with a stand-in for CellProfiler."""

from pathlib import Path

import pytest

from cpengine.plates import Part
from cpengine.results import estimate
from cpengine.run.session import Steps
from tests import build
from tests.build import Built, change
from tests.cli.test_cli import built, faults
from tests.cli.test_cli import call as cpengine
from tests.results.estimate.build import asked, call

__all__ = ["built"]

SLOW = {f"P1-{well}-{site}": ["slow0.2"] for well in ("A01", "A02") for site in "12"}


@pytest.fixture
def half(built: Built) -> Built:
    """The project after half of its jobs have run, each with a pause."""
    faults(built, SLOW)
    result = cpengine("run", "analysis", "-C", built.root, "--site", "1")
    assert result.exit_code == 0, result.stderr
    return built


def describe(built: Built, on: str = "local") -> list[str]:
    project = built.project()
    steps = Steps(project, ["analysis"], Part(), project.cellprofiler().version)
    return estimate.describe(steps, steps.plans(), on, 1)


def test_where_nothing_was_measured_that_and_the_cure_are_printed(built: Built) -> None:
    result = call("analysis", "-C", built.root)
    assert result.exit_code == 2
    assert result.stderr == (
        "analysis: none of its jobs has been measured: add --pilot 3 to run three of "
        "them first\n"
    )
    assert "analysis" in result.stdout


def test_where_nothing_was_measured_json_has_counts_and_null(built: Built) -> None:
    found = asked("analysis", "-C", built.root, code=2)
    (step,) = found["steps"]
    assert (step["jobs"], step["left"], step["image_sets"]) == (4, 4, 4)
    assert step["estimate"] is None
    assert step["why"].startswith("none of its jobs has been measured")
    assert found["wall_s"] is None
    assert found["usd"] is None


def test_what_has_run_tells_what_the_rest_takes(half: Built) -> None:
    found = asked("analysis", "-C", half.root, "--workers", "1")
    (step,) = found["steps"]
    assert (step["jobs"], step["left"]) == (4, 2)
    known = step["estimate"]
    assert known["measured_jobs"] == 2
    assert known["slots"] == 1
    # The stand-in sleeps outside of its modules, so that may be taken for its start.
    assert 0.15 < known["fixed_s"] + known["start_s"] < 5
    assert known["wall_s"]["low"] < known["wall_s"]["typical"] < known["wall_s"]["high"]
    assert known["path"].startswith("2 jobs on 1 slot of this machine: the work of all")
    assert known["usd"] is None


def test_people_get_a_table_and_what_is_behind_it(half: Built) -> None:
    result = call("analysis", "-C", half.root, "--workers", "2")
    assert result.exit_code == 0
    assert "wall (80 %)" in result.stdout
    assert "analysis: measured: 2 jobs on " in result.stdout
    assert "2 jobs on 2 slots of this machine: the longest job, P1-A01-2," in (
        result.stdout
    )
    assert result.stderr == ""


def test_a_part_can_be_asked_for(half: Built) -> None:
    found = asked("analysis", "-C", half.root, "--well", "A02")
    assert found["steps"][0]["left"] == 1


def test_what_is_done_counts_with_force(half: Built) -> None:
    found = asked("analysis", "-C", half.root, "--force")
    assert found["steps"][0]["left"] == 4


def test_a_step_that_is_done_takes_nothing(half: Built) -> None:
    found = asked("analysis", "-C", half.root, "--site", "1")
    (step,) = found["steps"]
    assert (step["left"], step["estimate"], step["why"]) == (0, None, None)


def test_no_executor_is_refused_also_where_nothing_is_left(half: Built) -> None:
    cpengine("run", "analysis", "-C", half.root)
    result = call("analysis", "-C", half.root, "--on", "moon")
    assert result.exit_code == 2
    assert "--on moon: is not an executor" in result.stderr


def test_another_pipeline_than_measured_is_noted(half: Built) -> None:
    change(half.pipeline, "Nuclei", "Kernels")
    result = call("analysis", "-C", half.root)
    assert "note: measured with another pipeline or other plugins" in result.stdout


def test_other_machines_than_measured_are_noted(half: Built) -> None:
    result = call("analysis", "-C", half.root, "--on", "slurm")
    assert "other machines take longer or less" in result.stdout
    assert "2 jobs on 1 worker of slurm, 4 jobs each" in result.stdout


def test_a_pilot_runs_a_few_and_tells_of_the_rest(built: Built) -> None:
    faults(built, SLOW)
    found = asked("analysis", "-C", built.root, "--pilot", "3", "--workers", "1")
    (step,) = found["steps"]
    assert (step["jobs"], step["left"]) == (4, 1)
    assert step["estimate"]["measured_jobs"] == 3
    rest = cpengine("run", "analysis", "-C", built.root)
    assert "analysis: 1 of 1 job done, 3 done before" in rest.stdout


def test_jobs_of_a_pilot_that_fail_are_reported_with_a_cure(built: Built) -> None:
    faults(built, SLOW | {"P1-A01-1": ["zero"]})
    result = call("analysis", "-C", built.root, "--pilot", "2", "--well", "A01")
    assert result.exit_code == 1
    assert "pilot: 1 job failed: no_output: Image.csv is empty" in result.stderr
    assert "what to do: " in result.stderr
    assert "measured: 1 job on " in result.stdout


def test_a_pilot_refuses_what_a_run_refuses(built: Built) -> None:
    (built.illum / "P1_IllumDNA.npy").unlink()
    change(built.pipeline, "Plate,Well,Site", "Plate,Well")
    result = call("analysis", "-C", built.root, "--pilot", "2")
    run = cpengine("run", "analysis", "-C", built.root)
    assert (result.exit_code, result.stderr) == (2, run.stderr)
    assert result.stdout == ""
    assert "groups by Plate, Well, the step by" in result.stderr
    assert "P1_IllumDNA.npy is not there" in result.stderr


def test_a_pilot_of_a_step_that_cannot_run_yet_says_why(built: Built) -> None:
    made = f"{build.MOUNT}/projects/proj/workspace/analysis/B1/P1/analysis/P1-A01-2"
    rows = build.image_sets("P1", "x", ["A01"], ["2"])
    row = rows[0] | {"FileName_OrigDNA": "Image.csv", "PathName_OrigDNA": made}
    row = {key: value for key, value in row.items() if "Illum" not in key}
    build.write(built.csv.with_name("next.csv"), build.csv_text([row]))
    pipeline = built.pipeline.read_text().replace("IllumDNA", "OrigDNA")
    build.write(built.pipeline.with_name("next.cppipe"), pipeline)
    keys = '["Metadata_Plate", "Metadata_Well", "Metadata_Site"]'
    step = f'data_file = "next.csv"\noutput = "next"\ngroup = {keys}\n'
    toml = f'[steps.next]\npipeline = "next.cppipe"\n{step}'
    built.toml.write_text(built.toml.read_text() + toml)
    result = call("analysis", "next", "-C", built.root, "--pilot", "1")
    assert "next: no pilot: " in result.stderr
    assert "P1-A01-2/Image.csv is not there" in result.stderr
    assert "analysis: measured: 1 job" in result.stdout


def test_a_pilot_and_force_exclude_each_other(built: Built) -> None:
    result = call("analysis", "-C", built.root, "--pilot", "2", "--force")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --pilot and --force: ")


def test_a_step_that_is_none_is_refused(half: Built) -> None:
    result = call("analysis", "analysys", "-C", half.root)
    assert result.exit_code == 2
    assert "did you mean analysis?" in result.stderr


def test_a_step_that_cannot_be_planned_is_reported_beside_others(half: Built) -> None:
    result = call("analysis", "illum", "-C", half.root)
    assert result.exit_code == 0
    assert result.stderr.startswith("illum: after analysis: ")
    assert "illum.cppipe: is not there" in result.stderr
    found = asked("analysis", "illum", "-C", half.root)
    assert found["steps"][1]["jobs"] is None
    assert found["wall_s"] is None  # of all of them it is not known


def test_if_no_step_can_be_planned_that_is_the_error(built: Built) -> None:
    result = call("illum", "-C", built.root)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "illum.cppipe: is not there" in result.stderr


def test_a_dry_run_gets_a_line_a_step(half: Built) -> None:
    (line,) = describe(half)
    assert line.startswith("analysis: about ")
    assert "on 1 slot of this machine" in line
    assert "of CPU" in line


def test_a_dry_run_gets_nothing_where_nothing_is_known(built: Built) -> None:
    assert describe(built) == []


def test_a_dry_run_gets_nothing_where_steps_cannot_run(half: Built) -> None:
    assert describe(half, "aws") == []


def test_no_cellprofiler_is_needed_without_a_pilot(
    half: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CPENGINE_CELLPROFILER")
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", "")
    found = asked("analysis", "-C", half.root)
    assert found["steps"][0]["estimate"]["measured_jobs"] == 2
