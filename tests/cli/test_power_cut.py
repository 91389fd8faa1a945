"""Files that hold nothing, as a power cut leaves them: damage, never success."""

import json
from typing import Any

import pytest

from tests.build import Built
from tests.cli.test_cli import built, call

__all__ = ["built"]


@pytest.fixture
def done(built: Built) -> Built:
    """The project after a run."""
    assert call("run", "analysis", "-C", built.root).exit_code == 0
    return built


@pytest.fixture
def cut(done: Built) -> Built:
    """The project after a power cut that took one of four markers."""
    (marker,) = done.root.rglob("P1-A01-2~*.done")
    marker.write_bytes(b"")
    return done


@pytest.fixture
def cut_csv(done: Built) -> Built:
    """The project after a power cut that took a file of a job, but not its marker."""
    (csv,) = done.root.rglob("P1-A01-2/Image.csv")
    csv.write_bytes(b"")
    return done


def counts(built: Built) -> dict[str, int]:
    result = call("status", "-C", built.root, "--json")
    (step,) = json.loads(result.stdout)["steps"]
    return {name: step[name] for name in ("done", "failed", "stale", "left")}


def test_a_job_whose_marker_is_empty_is_left_and_status_says_why(cut: Built) -> None:
    assert counts(cut) == {"done": 3, "failed": 0, "stale": 0, "left": 1}
    why = "its marker is damaged (0 bytes), as a power cut leaves one"
    shown = call("status", "-C", cut.root).stdout
    assert f"analysis: 1 job left: {why}\n" in shown
    explained = call("plan", "analysis", "-C", cut.root, "--explain").stdout
    assert f"1 job: runs, left: {why}" in explained


def damaged(built: Built) -> dict[str, str]:
    """What `--verify` finds, by job."""
    result = call("status", "-C", built.root, "--verify", "--json")
    assert result.exit_code == 1
    (step,) = json.loads(result.stdout)["steps"]
    return {entry["job"]: entry["what"] for entry in step["damaged"]}


def test_an_empty_marker_is_damage_to_verify(cut: Built) -> None:
    ((job, what),) = damaged(cut).items()
    assert job == "P1-A01-2"
    assert "empty" in what


def test_the_same_command_runs_a_job_again_whose_marker_is_empty(cut: Built) -> None:
    assert call("run", "analysis", "-C", cut.root).exit_code == 0
    assert counts(cut) == {"done": 4, "failed": 0, "stale": 0, "left": 0}
    assert call("status", "-C", cut.root, "--verify").exit_code == 0
    (marker,) = cut.root.rglob("P1-A01-2~*")
    assert json.loads(marker.read_text())["job"]["id"] == "P1-A01-2"


def test_an_empty_marker_of_an_older_pipeline_is_removed(cut: Built) -> None:
    (marker,) = cut.root.rglob("P1-A01-2~*.done")
    name, _, version = marker.name.split("~")
    marker.rename(marker.with_name(f"{name}~0123456789ab~{version}"))
    assert counts(cut)["left"] == 1
    assert call("run", "analysis", "-C", cut.root).exit_code == 0
    assert len(list(cut.root.rglob("P1-A01-2~*"))) == 1


def test_plan_counts_a_job_whose_marker_is_empty_as_left(cut: Built) -> None:
    planned = json.loads(call("plan", "analysis", "-C", cut.root, "--json").stdout)
    states = {job["id"]: job["state"] for job in planned["jobs"]}
    assert states.pop("P1-A01-2") == "left"
    assert set(states.values()) == {"done"}


def collectable(built: Built) -> Built:
    """Give all jobs but P1-A01-2 an Image.csv that can be collected."""
    text = "ImageNumber\n1\n"
    for csv in built.root.rglob("Image.csv"):
        if csv.stat().st_size:
            csv.write_text(text)
    for marker in built.root.rglob("*.done"):
        data = json.loads(marker.read_text() or "null")
        if data and data["job"]["id"] != "P1-A01-2":
            data["files"]["Image.csv"] = len(text)
            marker.write_text(json.dumps(data))
    return built


def collected(built: Built) -> Any:
    result = call("collect", "analysis", "-C", built.root, "--json")
    assert result.exit_code == 1  # not all that was asked for
    (plate,) = json.loads(result.stdout)["plates"]
    assert plate["jobs"] == 3
    return plate["left_out"], result.stderr


def test_collect_leaves_out_a_job_whose_marker_is_empty(cut: Built) -> None:
    left_out, _ = collected(collectable(cut))
    assert left_out == {"left": 1}


def test_verify_finds_an_empty_file_and_its_cure_makes_it_again(
    cut_csv: Built,
) -> None:
    ((job, what),) = damaged(cut_csv).items()
    assert job == "P1-A01-2"
    assert "Image.csv has 0 of " in what
    cure = ("--well", "A01", "--site", "2", "--force")
    assert call("run", "analysis", "-C", cut_csv.root, *cure).exit_code == 0
    assert call("status", "-C", cut_csv.root, "--verify").exit_code == 0


def test_collect_leaves_out_a_job_with_an_empty_file(cut_csv: Built) -> None:
    left_out, errors = collected(collectable(cut_csv))
    assert left_out == {"with damaged CSVs": 1}
    assert "P1-A01-2/Image.csv has 0 of " in errors
