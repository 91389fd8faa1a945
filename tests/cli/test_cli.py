"""The command line: what it prints, where, and with which exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cpengine import __version__
from cpengine.cli import app
from cpengine.executors import contract
from cpengine.project import Project
from tests import build
from tests.build import Built, change

DONE = "analysis: 4 of 4 jobs done, 4 image sets, 8 files in "


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    """A project of four sites, and the stand-in CellProfiler to run it."""
    made = build.project(tmp_path / "project")
    tool(made).mkdir()
    found = contract.stand_in(tool(made), {})
    monkeypatch.setenv("CPENGINE_CELLPROFILER", found.command[0])
    faults(made, {})
    return made


def faults(built: Built, by_job: dict[str, list[str]]) -> None:
    """Tell the stand-in, which looks beside itself, how to misbehave."""
    (tool(built) / "faults.json").write_text(json.dumps(by_job))


def tool(built: Built) -> Path:
    return built.root.parent / "tool"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_version_is_printed() -> None:
    assert call("--version").stdout == f"cpengine {__version__}\n"


def test_init_writes_a_file_that_loads(tmp_path: Path) -> None:
    result = call("init", tmp_path / "new", "--name", "screen", "--batch", "B7")
    assert result.exit_code == 0
    assert Project.load(tmp_path / "new").layout.project == "screen"


def test_init_makes_folders_and_says_what_goes_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("init", "--name", "screen", "--batch", "B7")
    workspace = Path("projects/screen/workspace")
    pipelines, csvs = workspace / "pipelines/B7", workspace / "load_data_csv/B7"
    lines = result.stdout.splitlines()
    assert lines[1].startswith(f"pipelines go to {pipelines}: those that you need of ")
    assert lines[2].startswith(f"CSVs go to {csvs}: a folder a plate, with load_data")
    assert lines[3] == "then: cpengine check"
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {tmp_path / pipelines, tmp_path / csvs} == {
        path for path in folders if not list(path.iterdir())
    }


def test_init_makes_no_root(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    result = call("init", tmp_path / "new", "--root", root)
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: storage.root: {root} is not there: make it, or mount it\n"
    )
    assert f"pipelines go to {root}/projects/my_project/" in result.stdout
    assert not root.exists()


def test_init_says_which_folder_it_cannot_make(tmp_path: Path) -> None:
    (tmp_path / "projects").write_text("no folder")
    result = call("init", tmp_path)
    assert result.exit_code == 0
    assert result.stderr.count("cannot be made (Not a directory)") == 2


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "cpengine.toml").write_text("mine")
    result = call("init", tmp_path)
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert (tmp_path / "cpengine.toml").read_text() == "mine"


def test_init_with_a_wrong_value_makes_nothing(tmp_path: Path) -> None:
    result = call("init", tmp_path / "new", "--name", "a b")
    assert result.exit_code == 2
    assert result.stderr.startswith('error: project.name: "a b" is not allowed')
    assert not (tmp_path / "new").exists()


def test_plan_shows_counts_and_the_first_jobs(built: Built) -> None:
    result = call("plan", "analysis", "-C", built.root, "--first", "1")
    assert "analysis: 4 jobs" in result.stdout
    assert "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=1" in result.stdout
    assert "Metadata_Site=2" not in result.stdout


def test_plan_gives_every_job_as_json(built: Built) -> None:
    call("run", "analysis", "-C", built.root, "--well", "A01")
    result = call("plan", "analysis", "-C", built.root, "--json")
    jobs = json.loads(result.stdout)["jobs"]
    assert [(job["id"], job["state"]) for job in jobs] == [
        ("P1-A01-1", "done"),
        ("P1-A01-2", "done"),
        ("P1-A02-1", "left"),
        ("P1-A02-2", "left"),
    ]


def test_plan_needs_no_cellprofiler(
    built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    call("run", "analysis", "-C", built.root, "--site", "1")
    monkeypatch.delenv("CPENGINE_CELLPROFILER")
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", "")
    result = call("plan", "analysis", "-C", built.root, "--json")
    states = [job["state"] for job in json.loads(result.stdout)["jobs"]]
    assert states == ["done", "left", "done", "left"]


def test_notes_of_a_plan_go_to_stderr(built: Built) -> None:
    toml = '[plate]\nwells = ["A01", "H12"]\nsites = 2\n'
    layout = '[steps.analysis]\ngroups = "layout"\n'
    built.toml.write_text(built.toml.read_text() + toml + layout)
    result = call("plan", "analysis", "-C", built.root)
    assert "note: plate P1: 2 of 4 groups of the layout" in result.stderr


def test_run_tells_what_came_of_it(built: Built) -> None:
    result = call("run", "analysis", "-C", built.root, "--workers", "2")
    assert result.exit_code == 0
    assert result.stdout.startswith(DONE)
    assert result.stderr.startswith("analysis: 4 jobs, 4 image sets\n")


def test_run_ends_with_the_place_of_the_projects_page(built: Built) -> None:
    result = call("run", "analysis", "-C", built.root)
    last = result.stderr.splitlines()[-1]
    before, page = last.split(": ")
    assert before == "the project's page"
    assert Path(page).is_file()


@pytest.mark.parametrize("option", ["-C", "--project"])
def test_the_project_may_be_named_before_the_command(built: Built, option: str) -> None:
    before = call(option, built.root, "plan", "analysis", "--json")
    assert before.exit_code == 0
    assert before.stdout == call("plan", "analysis", "--json", "-C", built.root).stdout


def test_run_does_only_what_is_left(built: Built) -> None:
    call("run", "analysis", "-C", built.root, "--well", "A01")
    assert "2 of 2 jobs done, 2 done before" in _again(built).stdout
    assert _again(built).stdout == "analysis: 4 jobs, all done already\n"


def _again(built: Built) -> Result:
    return call("run", "analysis", "-C", built.root)


def test_force_runs_what_is_done(built: Built) -> None:
    _again(built)
    result = call("run", "analysis", "-C", built.root, "--force")
    assert result.stdout.startswith(DONE)


def test_a_changed_pipeline_runs_again(built: Built) -> None:
    _again(built)
    change(built.pipeline, "Nuclei", "Kernels")
    assert _again(built).stdout.startswith(DONE)


def test_run_on_inline(built: Built) -> None:
    result = call("run", "analysis", "-C", built.root, "--on", "inline")
    assert result.stdout.startswith(DONE)


def test_failed_jobs_give_exit_code_1_and_hold_back_the_next_step(
    built: Built,
) -> None:
    faults(built, {"P1-A02-1": ["failure", "failure"]})
    toml = f'[steps.next]\npipeline = "{built.pipeline.name}"\noutput = "next"\n'
    keys = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
    more = f'data_file = "{built.csv.name}"\ngroup = {json.dumps(keys)}\n'
    built.toml.write_text(built.toml.read_text() + toml + more)
    result = call("run", "analysis", "next", "-C", built.root)
    assert result.exit_code == 1
    assert "analysis: 3 of 4 jobs done, 1 failed" in result.stdout
    assert "analysis P1-A02-1 failed: cellprofiler: exit code 255" in result.stderr
    assert "next: not run, because analysis has failed jobs" in result.stderr
    assert not (built.root / "next").exists()


def test_results_as_json(built: Built) -> None:
    faults(built, {"P1-A01-1": ["empty"]})
    result = call("run", "analysis", "-C", built.root, "--json")
    assert result.exit_code == 1
    (step,) = json.loads(result.stdout)
    assert (step["done"], step["already"], step["failed"]) == (3, 0, 1)
    (cause,) = step["causes"]
    assert cause["jobs"] == 1
    assert cause["first"]["failure"]["kind"] == "no_output"
    assert cause["first"]["job"]["id"] == "P1-A01-1"


def test_dry_run_starts_nothing(built: Built) -> None:
    result = call("run", "analysis", "-C", built.root, "--dry-run", "--site", "2")
    assert result.stdout == "analysis: would run 2 of 2 jobs, 2 image sets\n"
    assert not list(tool(built).glob("*.attempt*"))


def test_dry_run_as_json(built: Built) -> None:
    result = call("run", "analysis", "-C", built.root, "--dry-run", "--json")
    (step,) = json.loads(result.stdout)
    assert [job["id"] for job in step["jobs"]][::3] == ["P1-A01-1", "P1-A02-2"]


def test_dry_run_tells_which_csv_would_be_made(built: Built) -> None:
    built.csv.rename(built.csv.with_name("load_data.csv"))
    change(built.csv.with_name("load_data.csv"), "FileName_IllumDNA", "Metadata_F")
    change(built.csv.with_name("load_data.csv"), "PathName_IllumDNA", "Metadata_P")
    result = call("run", "analysis", "-C", built.root, "--dry-run")
    assert f"would make {built.csv.relative_to(built.root)}" in result.stdout
    assert not built.csv.exists()


def test_scratch_that_cannot_be_written_is_refused(built: Built) -> None:
    toml = '[executors.local]\nscratch = "gone"\n'
    built.toml.write_text(built.toml.read_text() + toml)
    result = call("run", "analysis", "-C", built.root)
    assert result.exit_code == 2
    assert "executors.local.scratch: " in result.stderr


def test_show_tells_which_cellprofiler_is_used_and_why(built: Built) -> None:
    result = call("cellprofiler", "show", "-C", built.root)
    assert "found  CPENGINE_CELLPROFILER: " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("CellProfiler 4.2.8.1: ")


def test_show_prefers_the_project_file(built: Built, tmp_path: Path) -> None:
    toml = f'[cellprofiler]\npath = "{tmp_path / "tool" / "cellprofiler"}"\n'
    built.toml.write_text(built.toml.read_text() + toml)
    result = call("cellprofiler", "show", "-C", built.root, "--json")
    assert json.loads(result.stdout)["origin"] == "cellprofiler.path in cpengine.toml"


def test_install_if_missing_leaves_one_that_is_there(built: Built) -> None:
    result = call("cellprofiler", "install", "--if-missing")
    assert result.exit_code == 0
    assert "(CPENGINE_CELLPROFILER)" in result.stdout


def test_install_of_an_unknown_version_is_refused() -> None:
    result = call("cellprofiler", "install", "--version", "3.0")
    assert result.exit_code == 2
    assert "it knows: 4.2.8.1" in result.stderr


# Tables that lie between steps


def test_wells_that_are_added_to_load_data_are_analysed(built: Built) -> None:
    text = built.csv.read_text()
    names = text.splitlines()[0].split(",")
    keep = [n for n, name in enumerate(names) if "Illum" not in name]
    plain = built.csv.with_name("load_data.csv")
    plain.write_text(
        "".join(
            ",".join(line.split(",")[n] for n in keep) + "\n"
            for line in text.splitlines()
        )
    )
    built.csv.unlink()
    first = call("run", "analysis", "-C", built.root)
    assert f"made {built.csv.relative_to(built.root)}\n" in first.stdout
    assert "all done already" in call("run", "analysis", "-C", built.root).stdout
    row = plain.read_text().splitlines(keepends=True)[-1].replace("A02", "B01")
    plain.write_text(plain.read_text() + row)
    build.write(built.images / "B01_2.tif", "image")
    shown = call("run", "analysis", "-C", built.root, "--dry-run").stdout
    assert "analysis: would run 1 of 5 jobs" in shown
    assert f"would make {built.csv.relative_to(built.root)}\n" in shown
    again = call("run", "analysis", "-C", built.root)
    assert "analysis: 1 of 1 job done, 4 done before" in again.stdout
