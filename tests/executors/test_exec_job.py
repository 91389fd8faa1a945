"""One job in a process of its own, by files that a backend writes and reads."""

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cpengine.backend import ExecJob, ExecJobs, Executor, site_spec
from cpengine.cli import app
from cpengine.errors import StorageError
from cpengine.executors.contract import VERSION, left_in
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState, states
from cpengine.model import FailureKind, Job, Outcome
from cpengine.testing import ExecutorContract, jobs, machine

pytestmark = pytest.mark.services


class Waiting(Executor):
    """Gives what attempts have come to that somebody else has run."""

    window = 1

    def submit(self, job: Job, attempt: int) -> None:
        raise NotImplementedError

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        raise NotImplementedError

    def cancel(self) -> None:
        super().cancel()


def _attempt(folder: Path, faults: dict[str, list[str]], *, number: int = 1) -> ExecJob:
    """An attempt at job A, in a project whose CellProfiler is the stand-in."""
    machine(folder, faults)
    project = ExecutorContract().project(folder)
    spec = site_spec(project, VERSION, scratch=str(folder / "scratch"))
    return ExecJobs(folder / "run", spec).add(jobs("A")[0], number)


def _run(attempt: ExecJob) -> int:
    with attempt.log.open("wb") as log:
        return subprocess.run(attempt.command, stdout=log, stderr=log).returncode


def _driver(folder: Path) -> Machine:
    """The driver's machine, of which only the ledger counts."""
    (folder / "driver").mkdir()
    return machine(folder / "driver", {})


def test_a_job_is_run_and_its_outcome_is_read_back(tmp_path: Path) -> None:
    attempt = _attempt(tmp_path, {}, number=2)
    assert _run(attempt) == 0
    outcome = attempt.outcome()
    assert outcome is not None
    assert (outcome.done, outcome.attempt, outcome.job.id) == (True, 2, "A")
    assert outcome.versions["cellprofiler"] == VERSION
    assert (tmp_path / "out/A/Image.csv").exists()


def test_exit_code_and_outcome_say_that_a_job_has_failed(
    tmp_path: Path,
) -> None:
    attempt = _attempt(tmp_path, {"A": ["module_error"]})
    assert _run(attempt) == 1
    outcome = attempt.outcome()
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CELLPROFILER


def test_without_a_file_for_it_the_outcome_is_printed(tmp_path: Path) -> None:
    attempt = _attempt(tmp_path, {})
    words = attempt.command[attempt.command.index("exec-job") : -2]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0
    assert Outcome.from_json(json.loads(ran.stdout)).done


def test_a_machine_that_cannot_run_the_job_is_the_failure_of_that_machine(
    tmp_path: Path,
) -> None:
    attempt = _attempt(tmp_path, {})
    (tmp_path / "cellprofiler").unlink()
    assert _run(attempt) == 2
    assert attempt.log.read_text().startswith("error: cellprofiler.path in cpengine")
    assert attempt.outcome() is None
    outcome = Waiting().outcome_of(attempt)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.MACHINE
    assert "cellprofiler.path in cpengine.toml" in outcome.failure.message


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("1.json", None, "1.json: cannot be read: "),
        ("1.json", "{", "1.json: cannot be read: "),
        ("1.json", "[]", "1.json: is no JSON object"),
        ("1.json", "{}", "job without Metadata, pipeline"),
        ("1.json", '{"Metadata": 3, "pipeline": 1}', "job without output"),
        ("machine.json", None, "machine.json: cannot be read: "),
        ("machine.json", "{}", "what the driver tells of the project cannot be read"),
        (
            "machine.json",
            '{"folder": "/", "scratch": null, "file": {"project": 3}}',
            "cannot be read (project: input should be a valid dictionary",
        ),
    ],
)
def test_files_that_are_none_end_in_a_line(
    name: str, text: str | None, line: str, tmp_path: Path
) -> None:
    attempt = _attempt(tmp_path, {})
    file = attempt.file.parent / name
    file.unlink() if text is None else file.write_text(text)
    assert _run(attempt) == 2
    log = attempt.log.read_text()
    assert log.startswith("error: ")
    assert line in log
    assert len(log.splitlines()) == 1


def test_sigterm_ends_the_job_and_leaves_nothing(tmp_path: Path) -> None:
    attempt = _attempt(tmp_path, {"A": ["hang"]})
    with subprocess.Popen(attempt.command, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "A.attempt1").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    assert attempt.outcome() is None
    assert left_in(tmp_path / "scratch") == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "A.attempt1").read_text()), 0)


def test_what_wrote_no_outcome_is_lost_and_recorded_when_it_is_given_up(
    tmp_path: Path,
) -> None:
    attempt = _attempt(tmp_path, {})
    attempt.log.write_text("slurmstepd: error: node n3 has failed\n\n")
    driver = _driver(tmp_path)
    outcome = Waiting(driver).outcome_of(attempt)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.NODE_LOST
    assert outcome.failure.message.endswith(": slurmstepd: error: node n3 has failed")
    assert outcome.versions["cellprofiler"] == VERSION
    assert not list(attempt.file.parent.glob("1.*"))
    ledger = Ledger(driver.places.outputs, "ledger")
    assert states(ledger.standings([attempt.job])) == {"A": JobState.LEFT}


@pytest.mark.parametrize("text", ["{", "[]", '{"job": 3}', '{"job": {}}', "\0"])
def test_an_outcome_that_cannot_be_read_ends_its_job_alone(
    text: str, tmp_path: Path
) -> None:
    attempt = _attempt(tmp_path, {})
    attempt.file.with_suffix(".outcome").write_text(text)
    assert not Waiting().outcome_of(attempt).done


def test_the_files_of_a_run_are_the_users_alone_and_go(tmp_path: Path) -> None:
    run = ExecJobs(tmp_path / "a/run", "{}")
    assert stat.S_IMODE(run.folder.stat().st_mode) == 0o700
    run.add(jobs("A")[0], 1)
    run.remove()
    assert not run.folder.exists()
    with pytest.raises(StorageError, match="cannot be written"):
        ExecJobs(Path("/proc/none"), "{}")
