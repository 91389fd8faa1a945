"""What `cpengine check` prints, and of which steps."""

import json
from pathlib import Path
from typing import Any

import pytest

from cpengine.rules import CHANNEL_MISSING, CSV_MISSING
from cpengine.run.session import once
from tests import build
from tests.build import Built
from tests.cli.test_cli import built, call

__all__ = ["built"]


def findings(root: Path) -> list[dict[str, Any]]:
    """All that is found, of the project and its steps."""
    data = json.loads(call("check", "-C", root, "--json").stdout)
    return data["place"] + [f for step in data["steps"] for f in step["findings"]]


def test_without_pipelines_their_folder_and_names_are_one_finding(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPENGINE_EXACT", "false")
    built.pipeline.rename(built.pipeline.with_name("mine.cppipe"))
    result = call("check", "-C", built.root)
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        f"  error {built.pipeline.parent} [pipeline-missing]",
        "    has no pipeline of a step (it has mine.cppipe)",
        "    what to do: put those that you need there, named Zproj.cppipe, qc.cppipe, "
        "illum.cppipe, assaydev.cppipe, analysis.cppipe, or set steps.NAME.pipeline",
    ]


def test_a_fresh_project_has_no_other_finding(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPENGINE_EXACT", "false")
    call("init", tmp_path / "new")
    (finding,) = findings(tmp_path / "new")
    assert finding["cause"] == "has no pipeline of a step (it has none at all)"
    assert finding["place"].endswith("/workspace/pipelines/2026_01_01_Batch1")


def test_the_check_starts_with_the_pipelines_that_are_there(built: Built) -> None:
    build.write(built.pipeline.with_name("illum.cppipe"), build.pipeline_text("Plate"))
    data = json.loads(call("check", "-C", built.root, "--json").stdout)
    assert [step["step"] for step in data["steps"]] == ["illum", "analysis"]


def test_what_two_steps_have_in_common_is_a_finding_of_the_first() -> None:
    csv = CSV_MISSING.found("P1/load_data.csv", "is not there", "put it there")
    illum, analysis = (
        CHANNEL_MISSING.found("f.csv", f"has no ER, which {step} wants", "add ER")
        for step in ("illum", "analysis")
    )
    dna = CHANNEL_MISSING.found("f.csv", "has no DNA, which qc wants", "add DNA")
    assert once([[csv, illum], [analysis, csv, dna], [dna]]) == [
        (csv, illum),
        (dna,),
        (),
    ]


@pytest.mark.parametrize(
    ("toml", "on", "place"),
    [
        ("[cellprofiler]\njobs_per_process = 1", "local", "cellprofiler.jobs_per_"),
        ('[executors.aws]\nworker = "dcp"', "aws", "executors.aws.worker"),
        ("", "local", "cellprofiler"),  # the stand-in is one without a Python
        ("[cellprofiler]\nexact = false\njobs_per_process = 1", "local", ""),
        ('[check]\nplain-modules = "off"', "local", ""),
    ],
)
def test_where_jobs_run_plain_modules_is_a_note(
    built: Built, toml: str, on: str, place: str
) -> None:
    built.toml.write_text(f"{built.toml.read_text()}\n{toml}\n")
    result = call("check", "-C", built.root, "--on", on, "--strict", "--json")
    found = json.loads(result.stdout)["place"]
    notes = [f for f in found if f["rule"] == "plain-modules"]
    assert [(note["severity"], place in note["place"]) for note in notes] == (
        [("note", True)] if place else []
    )
    assert result.exit_code == (2 if found != notes else 0)
