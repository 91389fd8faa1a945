"""Estimates from what the real CellProfiler took, and for AWS."""

import json
from pathlib import Path
from typing import Any

import pytest

from cpengine.marker import MarkerState
from cpengine.model import Outcome
from cpengine.project import Project
from tests.build import change
from tests.executors.aws import plates
from tests.executors.aws.conftest import loopback_only
from tests.plain_runs import Cpengine, small_plate
from tests.results.estimate.build import asked, call
from tests.services.aws.aws_server import AwsServer

__all__ = ["loopback_only"]

pytestmark = pytest.mark.cellprofiler


def ran(project: Project, step: str) -> list[Outcome]:
    ledger = project.ledger(project.step(step))
    names = [name for of_job in ledger.markers().values() for name in of_job]
    return ledger.outcomes(
        name for name in names if name.endswith(f".{MarkerState.DONE}")
    )


def test_an_analysed_plate_tells_what_it_would_take_again(plate: Project) -> None:
    found = asked("illum", "analysis", "-C", plate.folder, "--force", "--workers", "2")
    illum, analysis = found["steps"]
    assert (illum["left"], illum["image_sets"]) == (1, 4)
    assert illum["estimate"]["path"].startswith(
        "1 job on 2 slots of this machine: the longest plate, DemoPlate1, "
    )
    known = analysis["estimate"]
    outcomes = ran(plate, "analysis")
    assert known["measured_jobs"] == len(outcomes) == 4
    assert known["peak_memory_max"] == max(outcome.peak_memory for outcome in outcomes)
    assert 0 < known["cpu_s"] < 1.01 * sum(outcome.cpu_s for outcome in outcomes)
    slowest = max(outcome.phase_s["running"] for outcome in outcomes)
    assert 0 < known["fixed_s"] <= slowest
    assert known["wall_s"]["typical"] > 1.5 * known["fixed_s"]
    both = found["wall_s"]["typical"]
    assert both > known["wall_s"]["typical"]
    assert both > illum["estimate"]["wall_s"]["typical"]


def test_a_pilot_on_the_real_thing(tmp_path: Path, cpengine: Cpengine) -> None:
    project = small_plate(tmp_path / "plate", wells=1, sites=2)
    found = asked("illum", "analysis", "-C", project.folder, "--pilot", "1")
    illum, analysis = found["steps"]
    assert (illum["left"], analysis["left"]) == (0, 1)
    assert analysis["estimate"]["measured_jobs"] == 1
    assert analysis["estimate"]["start_s"] > 0.5
    (outcome,) = ran(project, "analysis")
    check = outcome.check
    assert check is not None, "the rest runs as its accelerated way did"
    assert check.wall_s < outcome.phase_s["running"]
    both = analysis["estimate"]["fixed_s"] + analysis["estimate"]["start_s"]
    assert both == pytest.approx(check.start_s + check.wall_s)
    rest = cpengine("run", "analysis", "-C", project.folder)
    assert "analysis: 1 of 1 job done, 1 done before" in rest.stdout


def test_a_pilot_refuses_what_cellprofiler_objects_to(tmp_path: Path) -> None:
    project = small_plate(tmp_path / "plate", wells=1, sites=1)
    pipeline = project.places.workspace.path(project.step("analysis").pipeline)
    wanted = "Select the input objects:"
    change(pipeline, f"{wanted}Nuclei", f"{wanted}Nucleus")
    result = call("illum", "analysis", "-C", project.folder, "--pilot", "1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {pipeline}: module ")


@pytest.fixture
def there(aws: AwsServer, plate: Project, tmp_path: Path) -> Project:
    """The plate in a bucket, with what was measured."""
    done = ("illum", "analysis")
    return plates.in_bucket(aws, plate, tmp_path / "project", plates.SECTION, done)


def on_aws(project: Project) -> dict[str, Any]:
    found = asked("analysis", "-C", project.folder, "--force", "--on", "aws")
    known: dict[str, Any] = found["steps"][0]["estimate"]
    return known | {"sum": found["usd"]}


def test_dollars_are_machines_times_price_times_hours(there: Project) -> None:
    known = on_aws(there)
    assert (known["machines"], known["slots"]) == (2, 2)
    for end in ("low", "typical", "high"):
        dollars = 2 * 0.20 * known["wall_s"][end] / 3600
        assert known["usd"][end] == pytest.approx(dollars)
    assert known["sum"] == known["usd"]
    assert known["wall_s"]["low"] > 600  # machines start and end, too


def test_nothing_is_made_on_aws_and_the_most_is_shown(
    aws: AwsServer, there: Project
) -> None:
    result = call("analysis", "-C", there.folder, "--force", "--on", "aws")
    assert result.exit_code == 0, result.stderr
    assert "dollars" in result.stdout
    assert "2 x c5.xlarge, 1 job each" in result.stdout
    assert "at most $0.40 an hour; AWS ends them after 48.0 h" in result.stdout
    assert "10 min for start and end of the machines are a guess" in result.stdout
    assert aws.leftovers() == []


def test_a_budget_that_is_too_small_is_noted(there: Project) -> None:
    toml = there.folder / "cpengine.toml"
    toml.write_text(toml.read_text() + "budget_usd = 0.01\n")
    notes = json.dumps(on_aws(there)["notes"])
    assert "AWS ends the machines after 0.0 h, before the jobs are done" in notes


def test_a_project_in_a_folder_cannot_be_estimated_for_aws(plate: Project) -> None:
    result = call("analysis", "-C", plate.folder, "--force", "--on", "aws")
    assert result.exit_code == 2
    assert "is not in a bucket" in result.stderr
