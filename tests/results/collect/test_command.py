"""The command: what it prints, where, and with which exit code."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cpengine.cli.collect import collect
from cpengine.cli.command_group import Commands
from cpengine.executors import contract
from tests import build
from tests.results.collect.screen import Screen, compartments

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.command()(collect)
app.command(hidden=True)(lambda: None)  # with one alone, typer wants no name


@pytest.fixture
def two_plates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Two plates; of the second only one job is done, of the first all."""
    tool = tmp_path / "tool"
    tool.mkdir()
    found = contract.stand_in(tool, {})
    monkeypatch.setenv("CPENGINE_CELLPROFILER", found.command[0])
    built = build.project(tmp_path / "project", plates=("P1", "P2"))
    screen = Screen(built.project(), tmp_path)
    for n, job in enumerate(("P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2")):
        screen.done(job, compartments(n, n + 1))
    screen.done("P2-A01-1", compartments(7))
    return screen


def call(screen: Screen, *more: str) -> Result:
    folder = str(screen.project.folder)
    return CliRunner().invoke(app, ["collect", "-C", folder, *more])


def test_a_whole_plate_is_shown_in_a_table(two_plates: Screen) -> None:
    result = call(two_plates, "analysis", "--plate", "P1")
    assert result.exit_code == 0, result.stderr
    (row,) = (line for line in result.stdout.splitlines() if "P1" in line)
    columns = len(two_plates.table().column_names)
    assert row.split("│")[1:7] == [
        *(" analysis ", " P1    ", "    4 ", "      4 ", "    12 "),
        f"{columns:>8} ",
    ]
    assert result.stderr == "analysis: plate P1: 4 jobs\n"


def test_left_out_jobs_are_noted_and_give_exit_code_1(two_plates: Screen) -> None:
    result = call(two_plates, "analysis")
    assert result.exit_code == 1
    note = "note: analysis: plate P2: 3 of 4 jobs left out: 3 left"
    assert note in result.stderr
    assert "P1" in result.stdout
    assert "P2" in result.stdout


def test_json_has_files_notes_and_what_is_left_out(two_plates: Screen) -> None:
    result = call(two_plates, "analysis", "--json", "--float32")
    found = json.loads(result.stdout)
    first, second = found["plates"]
    assert first["files"]["P1.parquet"]["rows"] == 12
    assert first["files"]["P1_Image.parquet"]["bytes"] > 0
    assert first["made"]
    assert second["left_out"] == {"left": 3}
    assert found["errors"] == []


def test_again_it_says_that_nothing_was_made(two_plates: Screen) -> None:
    call(two_plates, "analysis")
    again = call(two_plates, "analysis", "--plate", "P1")
    assert again.exit_code == 0
    assert "made before from the same results" in again.stderr
    forced = call(two_plates, "analysis", "--plate", "P1", "--force")
    assert "made before" not in forced.stderr


def test_a_damaged_plate_does_not_keep_the_others_back(two_plates: Screen) -> None:
    two_plates.done("P1-A01-1", {"Cells.csv": ""})
    result = call(two_plates, "analysis")
    assert result.exit_code == 1
    assert "error: analysis: plate P1: " in result.stderr
    assert two_plates.files("P1") == []
    assert "P2.parquet" in two_plates.files("P2")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["illum"], "/illum.cppipe: is not there"),
        (["analysys"], "analysys: is not a step: did you mean analysis?"),
        (["analysis", "--plate", "P3"], "--plate P3: is not in the plan"),
    ],
)
def test_bad_input_is_a_line_and_exit_code_2(
    two_plates: Screen, arguments: list[str], expected: str
) -> None:
    result = call(two_plates, *arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert expected in line


def test_a_missing_package_is_named(
    two_plates: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("cpengine.results.collect"):
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    result = call(two_plates, "analysis")
    assert result.exit_code == 2
    hint = "error: pyarrow is not installed: pip install 'cpengine[collect]'\n"
    assert result.stderr == hint
