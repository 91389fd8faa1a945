"""An executor of another package, installed as such: all that ours can do, it can."""

import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from uv import find_uv_bin

from cpengine.cli import app
from cpengine.ledger import run_record
from cpengine.testing import ExecutorContract
from tests import build
from tests.plain_runs import Cpengine, small_plate

pytestmark = pytest.mark.services

PACKAGE = Path(__file__).parent / "other_package"
CODE = PACKAGE / "cpengine_processes/__init__.py"
ON = ("--on", "processes")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed; the tests' own environment stays as it is."""
    folder = tmp_path_factory.mktemp("packages")
    uv = [find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*uv, "--target", str(folder), str(PACKAGE)], check=True)
    return folder


@pytest.fixture(autouse=True)
def _use(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("PYTHONPATH", str(installed))


def test_its_code_has_at_most_60_lines() -> None:
    lines = [line.strip() for line in CODE.read_text().splitlines()]
    assert len([line for line in lines if line and line[0] != "#"]) <= 60


class TestProcesses(ExecutorContract):
    on = "processes"

    def section(self, folder: Path) -> str:
        return f'scratch = "{folder}/scratch"\n'


# On the command line


def _called(folder: Path, *words: str, toml: str = "") -> Result:
    made = build.project(folder / "project", toml=toml)
    return CliRunner().invoke(app, [*words, "-C", str(made.root), *ON])


def test_its_own_check_is_a_finding_of_check(tmp_path: Path) -> None:
    toml = '[executors.processes]\nlauncher = "nowhere"\n'
    ran = _called(tmp_path, "check", "analysis", toml=toml)
    assert ran.exit_code == 2
    assert "executors.processes.launcher" in ran.output
    assert "nowhere is no program" in ran.output
    (tmp_path / "good").mkdir()
    good = _called(tmp_path / "good", "check", "analysis")
    assert "executors.processes" not in good.output


def test_a_slip_in_its_section_is_reported_with_file_and_key(tmp_path: Path) -> None:
    toml = "[executors.processes]\nproceses = 3\n"
    ran = _called(tmp_path, "run", "analysis", toml=toml)
    assert ran.exit_code == 2
    place = f"{tmp_path}/project/cpengine.toml: executors.processes.proceses"
    assert f"{place}: unknown key: did you mean processes?" in ran.output


@pytest.mark.cellprofiler
def test_it_runs_a_plate_by_itself_that_is_followed_and_reckoned_with(
    tmp_path: Path, cpengine: Cpengine
) -> None:
    project = small_plate(tmp_path / "plate")
    where, steps = ("-C", project.folder), ("illum", "analysis")
    dry = cpengine("run", *steps, *where, *ON, "--dry-run")
    assert "#!/bin/sh\nexec nice cpengine exec-job ..." in dry.stdout, dry.stderr
    begun = cpengine("run", *steps, *where, *ON, "--detach")
    assert begun.returncode == 0, begun.stderr
    while not run_record.all_runs(project.ledger(project.step("illum"))):
        time.sleep(0.2)  # the driver has still to begin
    followed = cpengine("attach", *where, "--every", "1")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert cpengine("check", *steps, *where, *ON).returncode == 0
    (log,) = (project.folder / ".cpengine").iterdir()
    assert "analysis: 4 of 4 jobs done" in log.read_text()
    (record,) = run_record.all_runs(project.ledger(project.step("analysis")))
    assert (record["executor"], record["counts"]["done"]) == ("processes", 4)
    status = cpengine("status", "analysis", *where)
    assert "2 jobs ran both ways: same bytes" in status.stdout
    reckoned = cpengine("estimate", *steps, *where, *ON, "--force")
    assert "on 2 processes" in reckoned.stdout, reckoned.stderr
