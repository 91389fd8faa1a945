"""The same tables on S3, from as few requests as promised."""

from pathlib import Path

import pytest

from cpengine.project import Project
from tests import build
from tests.results.collect.screen import Screen, compartments
from tests.services.s3.bucket_server import S3Server

JOBS = ("P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2")


@pytest.fixture
def on_s3(s3: S3Server, bucket: str, tmp_path: Path) -> Screen:
    built = build.project(tmp_path / "on_s3")
    toml = built.toml.read_text().replace(
        "[storage]\n", f'[storage]\nroot = "{built.root}"\noutputs = "s3://{bucket}"\n'
    )
    built.toml.write_text(f'{toml}[storage.s3]\nendpoint = "{s3.url}"\n')
    screen = Screen(Project.load(built.root), tmp_path)
    for n, job in enumerate(JOBS):
        screen.done(job, compartments(1000 * n, n + 1))
    return screen


def test_tables_on_s3_are_those_of_a_local_folder(
    on_s3: Screen, screen: Screen
) -> None:
    for n, job in enumerate(JOBS):
        screen.done(job, compartments(1000 * n, n + 1))
    assert on_s3.collect().made
    screen.collect()
    assert on_s3.files() == screen.files()
    for table in ("", "Cells", "Cytoplasm", "Nuclei", "Image"):
        assert on_s3.rows(table) == screen.rows(table)


def test_each_csv_and_marker_is_read_once(on_s3: Screen, s3: S3Server) -> None:
    (plate,) = on_s3.plates()
    s3.reset_counts()
    on_s3.collect()
    assert s3.counts()["get"] == (4 + 1) * len(plate.jobs)


def test_a_plate_that_is_there_takes_its_record_and_lists_besides(
    on_s3: Screen, s3: S3Server
) -> None:
    on_s3.collect()
    s3.reset_counts()
    assert not on_s3.collect().made
    counts = s3.counts()
    assert counts["get"] == 1
    assert counts["put"] == counts["delete"] == 0


def test_what_is_there_is_not_made_again(on_s3: Screen) -> None:
    assert on_s3.collect().made
    assert not on_s3.collect().made
    on_s3.done(JOBS[0], compartments(99999))
    assert on_s3.collect().made


def test_equal_bytes_are_not_made_again_and_others_of_the_same_size_are(
    on_s3: Screen,
) -> None:
    on_s3.collect()
    on_s3.done(JOBS[1], compartments(1000, 2))
    assert not on_s3.collect().made
    on_s3.done(JOBS[1], compartments(2000, 2))
    assert on_s3.collect().made
