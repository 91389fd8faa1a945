"""Results of earlier steps are known wherever the project file puts them."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.ledger.standing import JobState
from tests import build
from tests.build import Built
from tests.planning.test_step_inputs import (
    analysis_done,
    checked,
    done,
    illum_done,
    stale,
    with_illum,
)

HOME = "projects/proj/B1/illum"


def linked(root: Path) -> str:
    (root / "plink").symlink_to("projects")
    return "plink/proj/B1/illum"


OUTPUTS: dict[str, Callable[[Path], str]] = {
    "link": linked,
    "absolute": lambda root: f"{root}/{HOME}",
    "absolute through a link": lambda root: f"{root}/{linked(root)}",
    "dots": lambda root: "projects/proj/../proj/B1/illum",
    "address": lambda root: f"file://{root}/{HOME}/",
    "elsewhere": lambda root: f"{root.parent}/far/a b",
    "address elsewhere": lambda root: f"file://{root.parent}/far/a%20b",
    "another key": lambda root: "far/away",
}


@pytest.fixture(params=OUTPUTS)
def built(tmp_path: Path, request: pytest.FixtureRequest) -> Built:
    """A project of two plates whose illum step has another output."""
    built = build.project(tmp_path / "P", plates=["P1", "P2"], wells=["A01"])
    with_illum(built)
    output = OUTPUTS[request.param](built.root)
    toml = f'{built.toml.read_text()}[steps.illum]\noutput = "{output}"\n'
    build.write(built.toml, toml)
    project = built.project()
    folder = project.places.outputs.path(project.step("illum").output)
    if not folder.exists():
        shutil.move(built.illum.parent, folder)
    return replace(built, illum=folder / "P1")


def tables(built: Built) -> list[Path]:
    return list(built.csv.parent.parent.glob("*/load_data_with_illum.csv"))


def without_functions(built: Built) -> None:
    """Put the tables that functions are added to beside those that name them."""
    for table in tables(built):
        rows = csv.DictReader(table.read_text().splitlines())
        plain = [{n: v for n, v in row.items() if "Illum" not in n} for row in rows]
        build.write(table.with_name("load_data.csv"), build.csv_text(plain))


def made_by_cpengine(built: Built) -> None:
    """Tables that cpengine makes of those without functions."""
    without_functions(built)
    for table in tables(built):
        table.unlink()
    project = built.project()
    plan = project.plan("analysis")
    assert len(plan.derived) == 2
    project.write_derived(plan)
    assert built.project().plan("analysis").derived == {}


def by_the_user(built: Built) -> None:
    """Tables of the user's, which name the folder by its whole path."""
    without_functions(built)
    for table in tables(built):
        folder = f"{build.MOUNT}/{HOME}", str(built.illum.parent)
        build.write(table, table.read_text().replace(*folder))


@pytest.mark.parametrize("tables_", [made_by_cpengine, by_the_user])
def test_functions_are_found_and_made_anew_make_jobs_stale(
    built: Built, tables_: Callable[[Built], None]
) -> None:
    tables_(built)
    project = built.project()
    illum_done(project)
    analysis_done(project)
    assert project.plan("analysis").findings == ()
    assert stale(project) == set()
    assert "image-missing" not in checked(built, "analysis")
    for job in project.plan("illum").jobs:
        done(project, replace(job, fingerprint=f"{job.fingerprint}0"))
    assert len(stale(project)) == 4


def test_what_was_done_there_is_not_missing(built: Built) -> None:
    project = built.project()
    illum_done(project)
    jobs, ledger = project.plan("illum").jobs, project.ledger(project.step("illum"))
    found = ledger.standings(jobs, folders=True)
    assert {standing.state for standing in found} == {JobState.DONE}


def test_functions_that_are_yet_to_be_made_there_are_not_missing(
    built: Built,
) -> None:
    by_the_user(built)
    shutil.rmtree(built.illum.parent)
    assert "image-missing" in checked(built, "analysis")
    assert "image-missing" not in checked(built, "illum", "analysis")
