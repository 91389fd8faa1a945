"""What cpengine publishes is what plain CellProfiler writes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.model import Job
from cpengine.project import Project
from tests.plain_runs import local_csv, plain
from tests.real.compare import PLACES, TIMES, image_row, without

pytestmark = pytest.mark.cellprofiler

OBJECTS = ("Cells.csv", "Cytoplasm.csv", "Nuclei.csv")
PICTURES = "outlines/{well}_s{site}--cell_outlines.png"


def _alone(
    cellprofiler: CellProfiler, project: Project, job: Job, folder: Path
) -> Path:
    return plain(
        cellprofiler,
        folder / job.id,
        pipeline=project.places.outputs.path(job.pipeline),
        data_file=local_csv(project, job, folder),
        group=dict(job.group),
    )


@pytest.fixture(scope="module")
def pairs(
    plate: Project,
    cellprofiler: CellProfiler,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[Job, Path, Path]]:
    """(job, cpengine's output, plain CellProfiler's output) of every site."""
    folder = tmp_path_factory.mktemp("plain")
    jobs = plate.plan("analysis").jobs
    with ThreadPoolExecutor(2) as pool:
        outputs = pool.map(lambda job: _alone(cellprofiler, plate, job, folder), jobs)
    ours = [plate.places.outputs.path(job.destination) for job in jobs]
    return list(zip(jobs, ours, outputs, strict=True))


def test_object_csvs_are_byte_identical(pairs: list[tuple[Job, Path, Path]]) -> None:
    for _, ours, theirs in pairs:
        for name in OBJECTS:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_image_csvs_differ_in_times_and_paths_only(
    pairs: list[tuple[Job, Path, Path]],
) -> None:
    for _, ours, theirs in pairs:
        mine, plain_one = _row(ours), _row(theirs)
        assert list(mine) == list(plain_one)
        lasting = without(mine, (*TIMES, *PLACES))
        assert lasting == without(plain_one, (*TIMES, *PLACES))
        assert len(lasting) > 20


def test_pictures_are_identical(pairs: list[tuple[Job, Path, Path]]) -> None:
    for job, ours, theirs in pairs:
        group = dict(job.group)
        name = PICTURES.format(well=group["Metadata_Well"], site=group["Metadata_Site"])
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_image_numbers_are_plate_wide(pairs: list[tuple[Job, Path, Path]]) -> None:
    numbers = [_row(ours)["ImageNumber"] for _, ours, _ in pairs]
    assert numbers == ["1", "2", "3", "4"]


def test_the_same_files_are_there(pairs: list[tuple[Job, Path, Path]]) -> None:
    for _, ours, theirs in pairs:
        assert _names(ours) == _names(theirs)


def test_illumination_functions_are_identical(
    plate: Project, cellprofiler: CellProfiler, tmp_path: Path
) -> None:
    (job,) = plate.plan("illum").jobs
    theirs = _alone(cellprofiler, plate, job, tmp_path)
    ours = plate.places.outputs.path(job.destination)
    assert len(_names(ours)) == 5
    assert _names(ours) == _names(theirs)
    for name in _names(ours):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def _row(folder: Path) -> dict[str, str]:
    return image_row((folder / "Image.csv").read_bytes())


def _names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
