"""A run from Python is one as of the command line."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cpengine import Part, Project
from cpengine.cli.going_on import arguments_of
from cpengine.errors import ConfigError, CpengineError, ExecutorError
from cpengine.ledger import run_record
from cpengine.project.whole_run import command_of
from cpengine.run.session import Steps
from tests.plain_runs import Cpengine, small_plate

pytestmark = pytest.mark.cellprofiler
WELLS = 24
SLOW = """
import sys, time
from cpengine import Project
project = Project.load(sys.argv[1])
for outcome in project.run("qc", workers=1):
    print(outcome.job.id, flush=True)
    time.sleep(5)  # no further jobs start: it is there to be cancelled
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A plate on which nothing has run, with more jobs than end in some seconds."""
    return small_plate(tmp_path / "plate", wells=WELLS, sites=1)


def record_of(project: Project, step: str = "qc") -> dict[str, object]:
    record = run_record.last_run(project.ledger(project.step(step)))
    assert record is not None
    return record


def test_what_is_wrong_is_raised_at_once_and_nothing_is_started(
    project: Project,
) -> None:
    project.places.workspace.path(project.step("qc").pipeline).write_text("no pipeline")
    with pytest.raises(CpengineError, match="qc"):
        project.run("qc")
    assert run_record.last_run(project.ledger(project.step("qc"))) is None
    with pytest.raises(ConfigError, match="give one"):
        project.run("illum", force=True, keep_stale=True)


def test_it_is_seen_while_it_goes_on_and_others_are_refused(
    project: Project, cpengine: Cpengine
) -> None:
    with project.run("qc", workers=1) as run:
        next(run)
        (step,) = project.status().steps
        (driver,) = step.drivers
        assert driver.seems_alive
        with pytest.raises(ExecutorError, match="cpengine attach"):
            project.run("qc")
        shown = cpengine("status", "-C", project.folder, "--json")
        assert json.loads(shown.stdout)["steps"][0]["drivers"][0]["state"] == "running"
    assert record_of(project)["result"] == "stopped"
    (result,) = project.run("qc").wait()
    assert 0 < result.already < WELLS
    assert result.already + result.done == WELLS
    assert record_of(project)["result"] == "ended"
    page = project.places.outputs.path(
        project.layout.workspace("report", project.layout.batch, "qc.html")
    )
    assert page.exists()


def test_another_thread_can_cancel_it(project: Project) -> None:
    run = project.run("qc", "illum", workers=1)
    ended = []

    def follow() -> None:
        ended.extend(run)

    thread = threading.Thread(target=follow)
    thread.start()
    while not ended:
        time.sleep(0.1)
    run.cancel()
    thread.join(60)
    assert not thread.is_alive()
    assert 0 < len(ended) < WELLS
    assert [each.step for each in run.results] == ["qc"]
    assert run.results[0].not_run == WELLS - len(ended)
    assert record_of(project)["result"] == "stopped"


def test_cancel_of_the_command_line_ends_it(
    project: Project, cpengine: Cpengine
) -> None:
    script = [sys.executable, "-c", SLOW, str(project.folder)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            cancelled = cpengine("cancel", "-C", project.folder)
            assert cancelled.returncode == 0, cancelled.stderr
            assert process.wait(60) == -signal.SIGINT
        finally:
            process.kill()
    assert record_of(project)["result"] == "stopped"


def test_its_record_has_a_command_that_goes_on_with_it(tmp_path: Path) -> None:
    project = small_plate(tmp_path / "plate", wells=1, sites=1)
    part = Part(plates="P 1", wells=["A01", "A02"])
    steps = Steps(project, ["illum", "qc"], part, "", force=True, max_failures=3)
    command = command_of(steps, "slurm", 4)
    assert arguments_of(command, Path("there")) == [
        *("run", "-C", "there", "--on=slurm", "--plate=P 1", "--well=A01"),
        *("--well=A02", "--workers=4", "--force", "--max-failures=3", "--"),
        *("illum", "qc"),
    ]
