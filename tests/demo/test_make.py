"""The demo project: made once, added to, and never mixed with other things."""

from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.demo.make import Size, cells_per_well, make
from cpengine.errors import ConfigError
from cpengine.project import Project

SMALL = Size(plates=1, wells=1, sites=1, pixels=128, planes=1)


def quiet(done: int, total: int) -> None: ...


def test_a_demo_can_be_planned(tmp_path: Path) -> None:
    make(tmp_path / "demo", SMALL, quiet)
    project = Project.load(tmp_path / "demo")
    assert [job.id for job in project.plan("illum").jobs] == ["DemoPlate1"]


def test_a_demo_can_grow(tmp_path: Path) -> None:
    make(tmp_path, SMALL, quiet)
    make(tmp_path, replace(SMALL, plates=2, wells=2), quiet)
    project = Project.load(tmp_path)
    assert len(project.plan("qc").jobs) == 4


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="is not empty and no demo"):
        make(tmp_path, SMALL, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("other", [{"pixels": 256}, {"planes": 3}])
def test_a_demo_with_other_images_is_refused(
    other: dict[str, int], tmp_path: Path
) -> None:
    make(tmp_path, SMALL, quiet)
    with pytest.raises(ConfigError, match=r"\(128 pixels, 1 plane\(s\) a site\)"):
        make(tmp_path, replace(SMALL, **other), quiet)


def test_cells_are_summed_over_the_sites_of_a_well(tmp_path: Path) -> None:
    make(tmp_path, replace(SMALL, wells=2, sites=2), quiet)
    project = Project.load(tmp_path)
    for count, job in enumerate(project.plan("analysis").jobs, 1):
        place = project.places.outputs.path(job.destination)
        place.mkdir(parents=True)
        plate, well, _ = (value for _, value in job.group)
        (place / "Image.csv").write_text(
            f"Metadata_Plate,Metadata_Well,Count_Cells\n{plate},{well},{count}.0\n"
        )
    assert cells_per_well(project) == {
        ("DemoPlate1", "A01"): 3,
        ("DemoPlate1", "A02"): 7,
    }
