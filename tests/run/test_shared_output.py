"""An output of two batches or of two projects: the check says so."""

import json
import shutil
from pathlib import Path

from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps
from cpengine.run.shared_output import keep_user
from tests import build
from tests.cli.test_cli import Built, built, call

__all__ = ["built"]

OUTPUT = '\n[steps.analysis]\noutput = "{}"\n'


def found(root: Path) -> list[str]:
    project = Project.load(root)
    (checked,) = Steps(project, ["analysis"], Part(), "4.2.8.1", force=True).checked()
    return [str(f) for f in checked.findings if f.rule.name == "output-of-others"]


def of_next_batch(built: Built) -> None:
    """The same plates in another batch of the project."""
    workspace = built.root / "projects/proj/workspace"
    for kind in ("pipelines", "load_data_csv"):
        shutil.copytree(workspace / kind / "B1", workspace / kind / "B2")
    build.change(built.toml, 'batch = "B1"', 'batch = "B2"')


def status(built: Built) -> dict[str, int]:
    listed = call("status", "analysis", "--verify", "--json", "-C", built.root).stdout
    (step,) = json.loads(listed)["steps"]
    return {name: step[name] for name in ("jobs", "done")}


def test_a_batch_refuses_what_another_one_has_done_and_the_check_warns(
    built: Built,
) -> None:
    with built.toml.open("a") as toml:
        toml.write(OUTPUT.format("projects/proj/shared"))
    assert found(built.root) == []
    assert call("run", "analysis", "-C", built.root).exit_code == 0
    assert found(built.root) == []
    before = status(built)
    of_next_batch(built)
    (line,) = found(built.root)
    assert line.startswith(
        f"{built.root}/projects/proj/shared: has results of batch B1"
    )
    ran = call("run", "analysis", "-C", built.root)
    assert ran.exit_code == 1
    assert "batch B1: give each batch an output of its own" in ran.output
    build.change(built.toml, 'batch = "B2"', 'batch = "B1"')
    assert status(built) == before
    assert before["done"] == before["jobs"]


def test_a_batch_that_an_older_version_has_run_is_found(
    tmp_path: Path,
) -> None:
    made = build.project(tmp_path / "p", toml=OUTPUT.format("projects/proj/shared"))
    project = made.project()
    step = project.step("analysis")
    job = project.plan("analysis").jobs[1]
    ledger = project.ledger(step)
    key = ledger.older_turn(job).replace("/B1/", "/B0/")
    ledger.storage.write(key, b"{}")
    (line,) = found(made.root)
    assert "has results of batch B0" in line


def test_projects_of_one_output_outside_of_both_are_found(tmp_path: Path) -> None:
    made = build.project(tmp_path / "p", toml=OUTPUT.format(f"{tmp_path}/out"))
    project = made.project()
    keep_user(project, project.plan("analysis"))
    assert found(made.root) == []
    ledgers = made.root / "projects/proj/workspace/cpengine"
    ledgers.mkdir()
    other = tmp_path / "copy"
    shutil.copytree(made.root, other)
    (line,) = found(other)
    assert line.startswith(f"{tmp_path}/out: gets the results of another project, too")
    assert str(ledgers) in line
    shutil.rmtree(made.root)  # it was moved, not copied
    assert found(other) == []


def test_a_batch_with_its_own_folders_writes_nothing_more(tmp_path: Path) -> None:
    made = build.project(tmp_path / "p")
    project = made.project()
    before = sorted(made.root.rglob("*"))
    keep_user(project, project.plan("analysis"))
    assert sorted(made.root.rglob("*")) == before
    assert found(made.root) == []
