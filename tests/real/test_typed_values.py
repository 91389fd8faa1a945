"""A plate whose name LoadData reads as a number goes through all steps."""

import csv
from pathlib import Path

import pytest

from cpengine.demo.make import BATCH
from cpengine.project import Project
from tests.plain_runs import Cpengine, small_plate

pytestmark = pytest.mark.cellprofiler

PLATE, READ = "0041744", "41744"


@pytest.fixture
def numbered(tmp_path: Path) -> Project:
    """A plate that the user calls 0041744, with sites that begin with zeros."""
    project = small_plate(tmp_path / "demo", wells=1, sites=2)
    tables = project.folder / project.layout.load_data
    (tables / "DemoPlate1").rename(tables / PLATE)
    path = tables / PLATE / "load_data.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {"Metadata_Plate": PLATE, "Metadata_Site": f"00{row['Metadata_Site']}"}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (tables / PLATE / "load_data_unprojected.csv").unlink(missing_ok=True)
    return project


def test_a_plate_that_is_a_number_is_illuminated_analysed_and_collected(
    numbered: Project, cpengine: Cpengine
) -> None:
    where = ("-C", numbered.folder, "--plate", PLATE)
    checked = cpengine("check", "illum", "analysis", *where)
    assert checked.returncode == 0, checked.stdout
    ran = cpengine("run", "illum", "analysis", *where)
    assert ran.returncode == 0, ran.stderr
    illum = numbered.folder / "projects/demo" / BATCH / "illum" / READ
    assert f"{READ}_IllumDNA.npy" in {path.name for path in illum.iterdir()}
    planned = cpengine("plan", "analysis", *where, "--site", "002")
    assert f"{READ}-A01-2" in planned.stdout
    collected = cpengine("collect", "analysis", *where)
    assert collected.returncode == 0, collected.stderr
    outputs = numbered.folder / numbered.layout.workspace("backend", BATCH, READ)
    assert any(outputs.iterdir())


def test_functions_of_the_users_spelling_are_not_passed_over(
    numbered: Project, cpengine: Cpengine
) -> None:
    illum = numbered.folder / "projects/demo" / BATCH / "illum" / READ
    illum.mkdir(parents=True)
    (illum / f"{PLATE}_IllumDNA.npy").write_bytes(b"x")
    ran = cpengine("run", "analysis", "-C", numbered.folder)
    assert ran.returncode == 2
    assert f"rename it to {READ}_IllumDNA.npy" in ran.stderr
