"""Folders of jobs are looked for by listing what they lie in, locally and on S3."""

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from cpengine.model import Job
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.published import without_folder
from cpengine.storage.store import Storage
from cpengine.testing import jobs
from tests.services.s3.bucket_server import S3Server

STRUCTURES = (
    "",
    "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site",
    "Metadata_Plate/Metadata_Well/Metadata_Site/files",
)
SOME = ("Metadata_Plate", ("P1", "P2")), ("Metadata_Well", ("A01", "B02", "C03"))


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.services)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path))
    server: S3Server = request.getfixturevalue("s3")
    access = Access(S3Options(endpoint=server.url))
    return Storage(f"s3://{request.getfixturevalue('bucket')}", access)


def sites(structure: str) -> list[Job]:
    """36 jobs, so that folders of their own are more than a few."""
    (a_job,) = jobs("A")
    keys = [key for key, _ in SOME] + ["Metadata_Site"]
    values = [values for _, values in SOME] + [("1", "2", "3", "4", "5", "6")]
    return [
        replace(
            a_job,
            group=tuple(zip(keys, found, strict=True)),
            output_structure=structure,
        )
        for found in product(*values)
    ]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("output", ["out", "{root}/far/"])
def test_jobs_without_a_folder_are_found(
    structure: str, output: str, storage: Storage
) -> None:
    output = output.format(root=storage.root)  # a whole path or address, too
    many = [replace(job, output=output) for job in sites(structure)]
    gone = {0, 7, 35}
    for number, job in enumerate(many):
        if number not in gone:
            storage.write(f"{job.destination}/a/Image.csv", b"1")
    assert without_folder(storage, many) == sorted(gone)
    assert without_folder(storage, many[:8]) == [0, 7]


def test_where_nothing_was_ever_published_all_are_without(storage: Storage) -> None:
    assert without_folder(storage, sites(STRUCTURES[1])) == list(range(36))
    assert without_folder(storage, []) == []


def test_jobs_that_share_a_folder_have_it_or_not_together(storage: Storage) -> None:
    many = sites("Metadata_Plate")
    storage.write(f"{many[0].destination}/A01_1.tif", b"1")
    assert without_folder(storage, many) == list(range(18, 36))


def test_a_job_of_a_root_that_is_its_output_is_found(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    (job,) = jobs("A")
    job = replace(job, output=str(tmp_path))
    assert without_folder(storage, [job]) == [0]
    storage.write(f"{job.destination}/Image.csv", b"1")
    assert without_folder(storage, [job]) == []


@pytest.mark.parametrize("structure", STRUCTURES)
def test_results_that_were_moved_behind_a_link_are_there(
    structure: str, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    storage = Storage(str(tmp_path / "root"))
    many = sites(structure)
    for job in many:
        storage.write(f"{job.destination}/Image.csv", b"1")
    folder = tmp_path / "root" / many[0].output
    for path in list(folder.iterdir()):
        shutil.move(path, tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert without_folder(storage, many) == []


@pytest.mark.services
@pytest.mark.parametrize(
    ("structure", "most"), list(zip(STRUCTURES, (2, 4, 2), strict=True))
)
def test_a_listing_tells_of_many_jobs(
    structure: str, most: int, s3: S3Server, bucket: str
) -> None:
    storage = Storage(f"s3://{bucket}", Access(S3Options(endpoint=s3.url)))
    many = sites(structure)
    for job in many:
        storage.write(f"{job.destination}/Image.csv", b"1")
    s3.reset_counts()
    assert without_folder(storage, many) == []
    counts = s3.counts()
    assert counts["list"] <= most
    assert set(counts) == {"list"}


def test_files_behind_our_own_links_to_folders_are_listed(tmp_path: Path) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk"
    (disk / "job").mkdir(parents=True)
    (root / "plates").mkdir(parents=True)
    (disk / "job/Cells.csv").write_text("a")
    (root / "plates/P1").symlink_to(disk)
    (disk / "loop").symlink_to(disk)
    (root / "plates/up").symlink_to(root)
    assert Storage(str(root)).tree("plates") == {"P1/job/Cells.csv": 1}
