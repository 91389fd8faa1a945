"""Markers that hold nothing, as a power cut leaves them: damage, never success."""

import json

import pytest

from tests.build import Built
from tests.cli.test_cli import built, call

__all__ = ["built"]


@pytest.fixture
def cut(built: Built) -> Built:
    """The project after a run and a power cut that took one of four markers."""
    assert call("run", "analysis", "-C", built.root).exit_code == 0
    (marker,) = built.root.rglob("P1-A01-2~*.done")
    marker.write_bytes(b"")
    return built


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


def test_an_empty_marker_is_damage_to_verify(cut: Built) -> None:
    result = call("status", "-C", cut.root, "--verify")
    assert result.exit_code == 1
    assert "P1-A01-2" in result.stdout
    (step,) = json.loads(call("status", "-C", cut.root, "--verify", "--json").stdout)[
        "steps"
    ]
    (damaged,) = step["damaged"]
    assert damaged["job"] == "P1-A01-2"
    assert "empty" in damaged["what"]


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
