"""Places that a run writes to and cannot: told before it, and not tried again."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.executors.retry import next_try
from cpengine.job.run_job import run_job
from cpengine.model import Failure, FailureKind
from cpengine.plates import Part
from cpengine.run.session import Steps
from cpengine.testing import jobs, machine
from tests import build
from tests.build import Built
from tests.services.other_user import OtherUser, other_user

__all__ = ["other_user"]

LEDGER = "projects/proj/workspace/cpengine/B1"
OUTPUT = "projects/proj/workspace/analysis/B1"
TURNS = "projects/proj/workspace/cpengine/.turns"


def found(built: Built) -> list[str]:
    """What the check says of places that cannot be written."""
    (checked,) = Steps(built.project(), ["analysis"], Part(), "4.2.8.1").checked()
    return [str(f) for f in checked.findings if f.rule.name == "storage"]


def link(place: Path, to: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(to)


@pytest.mark.parametrize(
    "place",
    [
        f"{OUTPUT}/P1",
        f"{OUTPUT}/P1/analysis",
        f"{OUTPUT}/P1/analysis/P1-A01-1",
        *(f"{LEDGER}/analysis/{name}" for name in ("markers", "logs", "drivers")),
        *(f"{LEDGER}/analysis/{name}" for name in ("order", "runs")),
        TURNS,
    ],
)
def test_a_link_that_leads_nowhere_is_found_and_named(
    tmp_path: Path, place: str
) -> None:
    built = build.project(tmp_path / "p")
    assert found(built) == []
    link(built.root / place, tmp_path / "gone")
    (line,) = found(built)
    assert line.startswith(f"{built.root / place}: is a link to {tmp_path}/gone, which")
    assert "make that folder, or remove the link" in line
    (tmp_path / "gone").mkdir()
    assert found(built) == []


@pytest.mark.parametrize("place", [f"{OUTPUT}/P1", f"{LEDGER}/analysis/drivers", TURNS])
def test_a_link_of_another_user_is_found(other_user: OtherUser, place: str) -> None:
    built = build.project(other_user.shared / "p")
    folder = built.root / place
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o777)
    other_user.run(f"ln -s /tmp {folder}")
    (line,) = found(built)
    assert line.startswith(f"{folder}: is a link that another user has made")


@pytest.mark.parametrize("name", ["load_data_with_illum.csv", "load_data.csv"])
def test_a_link_where_tables_are_remembered_is_found_if_any_would_be(
    tmp_path: Path, name: str
) -> None:
    """That one could be made of another is remembered of a user's table."""
    built = build.project(tmp_path / "p", data_file=name)
    link(built.root / LEDGER / ".tables", tmp_path / "gone")
    if name == "load_data_with_illum.csv":
        assert found(built) == []
        other = built.csv.with_name("load_data.csv")
        other.write_text(built.csv.read_text())
    (line,) = found(built)
    assert line.startswith(f"{built.root / LEDGER}/.tables: is a link to")


def test_a_link_where_projects_of_an_output_are_remembered_is_found(
    tmp_path: Path,
) -> None:
    toml = f'\n[steps.analysis]\noutput = "{tmp_path}/out"\n'
    built = build.project(tmp_path / "p", toml=toml)
    link(tmp_path / "out/.cpengine", tmp_path / "gone")
    (line,) = found(built)
    assert line.startswith(f"{tmp_path}/out/.cpengine: is a link to {tmp_path}/gone")


def test_folders_of_jobs_without_the_right_to_write_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build.project(tmp_path / "p")
    folder = built.root / OUTPUT / "P1/analysis/P1-A02-1"
    folder.mkdir(parents=True)
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != str(folder) and allowed(path, mode)
    )
    (line,) = found(built)
    assert line.startswith(f"{folder}: cannot be written (Permission denied)")


def test_a_file_in_place_of_a_folder_is_found(tmp_path: Path) -> None:
    built = build.project(tmp_path / "p")
    build.write(built.root / OUTPUT / "P1/analysis", "a file")
    line, *_ = found(built)
    assert "cannot be written (Not a directory)" in line


def test_of_many_folders_that_are_alike_three_are_named(tmp_path: Path) -> None:
    built = build.project(tmp_path / "p", wells=["A01", "A02", "A03"])
    for well in ("A01", "A02", "A03"):
        for site in (1, 2):
            link(built.root / OUTPUT / f"P1/analysis/P1-{well}-{site}", tmp_path / "no")
    assert len(found(built)) == 3


@pytest.mark.parametrize("place", ["out", "out/P1", "ledger/logs", ".turns"])
def test_a_refusal_that_cannot_pass_is_not_tried_again(
    tmp_path: Path, place: str
) -> None:
    (job,) = jobs("P1")
    bench = machine(tmp_path, {})
    job = replace(job, run=1, ledger="ledger/test")
    place = place.replace("ledger/logs", "ledger/test/logs")
    link(tmp_path / place, tmp_path / "gone")
    outcome = run_job(job, bench)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.STORAGE
    assert f"{tmp_path / place}: is a link to {tmp_path}/gone" in str(outcome.failure)
    assert next_try(outcome, 0.0) is None
    passing = replace(outcome.failure, lasting=False)
    assert next_try(replace(outcome, failure=passing), 0.0) is not None


def test_a_failure_is_read_as_it_was_written() -> None:
    """An older version does not say whether it lasts."""
    data = {"kind": "storage", "message": "x", "module": None, "log": None}
    assert not Failure.from_json(data).lasting
    assert Failure.from_json(data | {"lasting": True}).lasting
