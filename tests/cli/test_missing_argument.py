"""Commands that are called without a step or a job show which there are."""

from pathlib import Path

import pytest

from tests.build import Built
from tests.cli.test_cli import built, call, faults

__all__ = ["built"]


@pytest.mark.parametrize(
    "command",
    ["run", "run --on slurm", "plan", "estimate", "montage", "collect", "aws setup"],
)
def test_without_a_step_the_steps_are_shown(built: Built, command: str) -> None:
    result = call(*command.split(), "-C", built.root)
    assert (result.exit_code, result.stdout) == (2, "")
    first, *lines = result.stderr.splitlines()
    name = command.partition(" --")[0]
    assert first.startswith("error: name a step, such as `")
    assert first.endswith(f" {name} analysis`")
    shown = [line for line in lines if "analysis.cppipe" in line]
    assert len(shown) == 1
    assert "Plate, Well, Site" in shown[0]
    assert "no" in shown[0].split("│")[-2]
    assert any(line.startswith("other steps: zproj, qc") for line in lines)


def test_steps_that_have_run_are_marked(built: Built) -> None:
    call("run", "analysis", "-C", built.root)
    lines = call("run", "-C", built.root).stderr.splitlines()
    shown = next(line for line in lines if "analysis.cppipe" in line)
    assert "yes" in shown.split("│")[-2]


def test_the_steps_are_those_of_the_project_that_is_found(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.csv.parent)
    result = call("run")
    assert result.exit_code == 2
    assert "analysis.cppipe" in result.stderr


def test_without_a_project_the_error_is_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("run")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cpengine.toml: is not there: make one")


def test_another_wrong_argument_is_an_error_as_before(built: Built) -> None:
    result = call("run", "--workers", "many", "-C", built.root)
    assert result.exit_code == 2
    assert "'--workers'" in result.stderr
    result = call("aws", "import", "analysis", "-C", built.root)
    assert "'file'" in result.stderr


def test_without_a_job_those_that_have_logs_are_shown_failed_ones_first(
    built: Built,
) -> None:
    assert "has no logs yet" in call("logs", "analysis", "-C", built.root).stderr
    faults(built, {"P1-A02-1": ["failure", "failure"]})
    call("run", "analysis", "-C", built.root)
    result = call("logs", "analysis", "-C", built.root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: name a job; these of analysis have logs, the failed ones first:",
        "  P1-A02-1  failed: cellprofiler",
        *("  P1-A01-1", "  P1-A01-2", "  P1-A02-2"),
    ]
    assert "analysis.cppipe" in call("logs", "-C", built.root).stderr


def test_of_many_jobs_the_first_are_shown(built: Built) -> None:
    logs = built.root / "projects/proj/workspace/cpengine/B1/analysis/logs"
    logs.mkdir(parents=True)
    for number in range(100):
        (logs / f"P1-A01-{number:03}.log").touch()
    lines = call("logs", "analysis", "-C", built.root).stderr.splitlines()
    assert len(lines) == 42
    assert lines[-1] == "  and 60 more"
