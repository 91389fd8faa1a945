"""`cpengine report`: what it prints, where the page goes, and how it says no."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cpengine.cli import report as command
from cpengine.cli.command_group import Commands
from cpengine.project import Project
from tests import build
from tests.results.report.made import Size, project

SMALL = Size(wells=2, sites=2)
PAGE = "projects/proj/workspace/report/B1/analysis.html"

app = typer.Typer(cls=Commands)
app.command()(command.report)


@app.callback()
def _several() -> None:
    """So that the command has a name."""


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture
def made(tmp_path: Path) -> Project:
    return project(tmp_path / "project", SMALL)


def test_the_page_of_each_step_that_ran_is_made_and_named(made: Project) -> None:
    result = call("-C", made.folder)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{made.folder / PAGE}\n"
    assert "3 image sets" not in (made.folder / PAGE).read_text()
    assert "4 jobs, 4 image sets" in (made.folder / PAGE).read_text()


def test_json_is_what_the_page_says_and_makes_no_page(made: Project) -> None:
    result = call("-C", made.folder, "--json")
    (step,) = json.loads(result.stdout)["steps"]
    assert step["summary"]["jobs"] == 4
    assert not (made.folder / PAGE).exists()


def test_columns_that_only_some_jobs_have_are_noted(made: Project) -> None:
    ledger = made.ledger(made.step("analysis"))
    names = [name for some in ledger.markers().values() for name in some]
    for outcome, header in zip(ledger.outcomes(names), "ABAA", strict=True):
        key = f"{outcome.job.destination}/Image.csv"
        made.places.outputs.write(key, f"ImageNumber,{header}\n".encode())
        ledger.record(replace(outcome, failure=None, columns={"Image.csv": header}))
    result = call("-C", made.folder, "--json")
    note = "2 columns of Image.csv that only some jobs have: A, B; A is in 3 and not in"
    assert result.stderr.startswith(f"note: analysis: {note}")
    (step,) = json.loads(result.stdout)["steps"]
    assert step["columns"][0]["note"].startswith(note)


def test_a_part_and_another_place_can_be_named(made: Project, tmp_path: Path) -> None:
    to = tmp_path / "mine.html"
    result = call("analysis", "-C", made.folder, "--well", "A02", "--to", to)
    assert result.stdout == f"{to}\n"
    assert "2 jobs, 2 image sets" in to.read_text()
    assert "(a part of the step)" in to.read_text()


def test_the_page_is_opened_when_asked(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    call("-C", made.folder, "--open")
    assert opened == [(made.folder / PAGE).as_uri()]


def test_one_step_without_jobs_does_not_keep_others_from_theirs(made: Project) -> None:
    build.write(made.folder / made.step("illum").ledger / "runs" / "x", "{}")
    build.write(made.folder / made.step("illum").pipeline, build.pipeline_text("Plate"))
    csv = (made.folder / made.step("analysis").data_key("SQ00015167")).read_text()
    build.write(made.folder / made.step("illum").data_key("SQ00015167"), csv)
    result = call("-C", made.folder)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("note: no page: illum: no job has ended yet")
    assert result.stdout == f"{made.folder / PAGE}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "nothing has run yet: run a step, or name one"),
        (("analysis",), "analysis: no job has ended yet: run it, or look again later"),
        (("analysis", "qc"), "no step has a job that has ended: run one, or look"),
        (("analysis", "illum", "--to", "x.html"), "--to: takes one step, not analysis"),
        (("analysis", "--to", "/"), "--to: / is a folder: name a file, such as"),
        (("nonsense",), "nonsense: is not a step"),
    ],
)
def test_what_cannot_be_is_reported_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    made = build.project(tmp_path).project()
    result = call(*arguments, "-C", made.folder)
    assert result.exit_code == 2
    *_, last = result.stderr.splitlines()
    assert last.startswith("error: ")
    assert expected in last


def test_a_page_on_s3_is_not_opened(bucket: str, tmp_path: Path) -> None:
    made = build.project(tmp_path).project()
    toml = made.folder / "cpengine.toml"
    section = f'[storage]\noutputs = "s3://{bucket}"\n'
    toml.write_text(toml.read_text().replace("[storage]\n", section))
    result = call("analysis", "-C", made.folder, "--open")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --open: the page would be at s3://")
