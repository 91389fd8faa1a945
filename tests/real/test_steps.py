"""All five steps in sequence on a z-stack, as `cpengine demo --all-steps` runs them."""

import csv
from pathlib import Path

import pytest

from cpengine.project import Project
from tests.build import change
from tests.plain_runs import Cpengine

pytestmark = pytest.mark.cellprofiler

SMALL = ("--wells", "1", "--sites", "2", "--size", "256", "--workers", "2")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, cpengine: Cpengine) -> Project:
    """A demo plate on which all five steps ran."""
    folder = tmp_path_factory.mktemp("demo") / "plate"
    ran = cpengine("demo", folder, "--all-steps", *SMALL)
    assert ran.returncode == 0, ran.stderr
    return Project.load(folder)


def _csv(project: Project, name: str) -> list[dict[str, str]]:
    path = project.places.outputs.path(f"{project.layout.load_data}/DemoPlate1/{name}")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_projected_csv_keeps_the_last_plane_of_each_site(demo: Project) -> None:
    rows = _csv(demo, "load_data.csv")
    assert [(r["Metadata_Site"], r["Metadata_PlaneID"]) for r in rows] == [
        ("1", "3"),
        ("2", "3"),
    ]
    for row in rows:
        folder = demo.places.locate(row["PathName_OrigDNA"])
        assert Path(folder, row["FileName_OrigDNA"]).is_file()
        assert "images_projected" in row["PathName_OrigDNA"]


def test_the_illum_csv_names_functions_that_exist(demo: Project) -> None:
    for row in _csv(demo, "load_data_with_illum.csv"):
        folder = demo.places.locate(row["PathName_IllumER"])
        assert Path(folder, row["FileName_IllumER"]).is_file()


def test_all_sites_of_a_plate_share_the_projection_folder(demo: Project) -> None:
    folder = demo.places.outputs.path(f"{demo.step('zproj').output}/DemoPlate1")
    assert len(list(folder.iterdir())) == 2 * 5


def test_results_are_where_the_handbook_has_them(demo: Project) -> None:
    base = demo.places.outputs.path("projects/demo")
    batch = "2026_01_01_Batch1"
    for place in (
        f"{batch}/illum/DemoPlate1/DemoPlate1_IllumDNA.npy",
        f"workspace/qc/{batch}/results/DemoPlate1-A01/Image.csv",
        f"workspace/analysis/{batch}/DemoPlate1/analysis/DemoPlate1-A01-2/Cells.csv",
    ):
        assert (base / place).is_file()
    assert list((base / f"workspace/assaydev/{batch}/DemoPlate1-A01").glob("*.png"))


def test_a_second_demo_finds_everything_done(demo: Project, cpengine: Cpengine) -> None:
    again = cpengine("demo", demo.folder, "--all-steps", *SMALL)
    assert again.returncode == 0
    assert "everything was done already" in again.stdout


def test_a_changed_pipeline_makes_results_stale(
    demo: Project, cpengine: Cpengine
) -> None:
    pipeline = demo.places.outputs.path(demo.step("qc").pipeline)
    change(pipeline, "blur measurements:20", "blur measurements:10")
    ran = cpengine("run", "qc", "-C", demo.folder)
    assert "qc: 1 of 1 job done" in ran.stdout
    ledger = demo.places.outputs.path(demo.step("qc").ledger)
    assert len(list((ledger / "markers").iterdir())) == 1
