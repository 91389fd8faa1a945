"""Plates in a public bucket that refuses signed requests, as the Gallery's does."""

import gzip
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps
from tests import build
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import s3_server

__all__ = ["s3_server"]

NAME, SOURCE, PLATES = "cpg0002-jump-scope", "source_4", ("P1", "P2", "P3")
BASE = f"{NAME}/{SOURCE}"
WORKSPACE = 'workspace = "s3://{bucket}"\n'
FILE = """
[project]
name = "cpg0002-jump-scope"
batch = "B1"
[storage]
root = "."
layout = "cpg"
source = "source_4"
{workspace}[storage.s3]
anonymous = true
endpoint = "{url}"
[steps.analysis]
pipeline_path = "{folder}/pipelines"
"""


@pytest.fixture
def public(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A public bucket with compressed tables and images; nobody has credentials."""
    for variable in [v for v in os.environ if v.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    name = f"gallery-{secrets.token_hex(4)}"
    s3_server.make(name, public=True)
    for plate in PLATES:
        folder = f"{BASE}/images/B1/images/{plate}__1"
        rows = [
            {
                "URL_OrigDNA": f"s3://{name}/{folder}/{well}.tif",
                "Metadata_Well": well,
                "Metadata_Site": "1",
                "Metadata_Plate": plate,
            }
            for well in ("A01", "A02")
        ]
        for well in ("A01", "A02"):
            s3_server.put(name, f"{folder}/{well}.tif", b"image")
        key = f"{BASE}/workspace/load_data_csv/B1/{plate}/load_data.csv.gz"
        s3_server.put(name, key, gzip.compress(build.csv_text(rows).encode()))
    s3_server.reset_counts()
    yield name
    s3_server.delete(name)


def project(
    folder: Path, server: S3Server, bucket: str, workspace: str = WORKSPACE
) -> Project:
    """A project with its pipeline and illumination functions on this machine."""
    text = build.pipeline_text(build.SITE)
    build.write(folder / "pipelines/analysis.cppipe", text)
    for plate in PLATES:
        function = f"{BASE}/images/B1/illum/{plate}/{plate}_IllumDNA.npy"
        build.write(folder / function, "function")
    named = {"url": server.url, "folder": folder, "workspace": workspace}
    build.write(
        folder / "cpengine.toml",
        FILE.format(**{**named, "workspace": workspace.format(bucket=bucket)}),
    )
    return Project.load(folder)


def test_a_table_that_cannot_be_made_in_a_public_bucket_is_found_before_a_run(
    tmp_path: Path, s3_server: S3Server, public: str
) -> None:
    on_gallery = project(tmp_path, s3_server, public)
    (checked,) = Steps(on_gallery, ["analysis"], Part(), "4.2.8.1").checked()
    (line,) = [str(f) for f in checked.findings if f.rule.name == "storage"]
    place = f"s3://{public}/{BASE}/workspace/load_data_csv/B1/P1/load_data_with_illum"
    assert line.startswith(
        f"{place}.csv: is to be made, and the bucket is read without"
    )
    assert line.endswith("to a storage.workspace of your own")


def test_tables_that_were_copied_are_completed_beside_images_in_a_public_bucket(
    tmp_path: Path, s3_server: S3Server, public: str
) -> None:
    for key, data in s3_server.objects(public).items():
        if key.endswith(".gz"):
            (tmp_path / key).parent.mkdir(parents=True)
            (tmp_path / key).write_bytes(data)
    own = project(tmp_path, s3_server, public, workspace="")
    (checked,) = Steps(own, ["analysis"], Part(), "4.2.8.1").checked()
    assert not [f for f in checked.findings if f.rule.name == "storage"]
    plan = own.plan("analysis")
    assert len(own.write_derived(plan)) == len(PLATES)
    assert Project.load(tmp_path).plan("analysis").derived == {}


def test_a_plan_takes_one_listing_a_plate_and_one_read_a_table(
    tmp_path: Path, s3_server: S3Server, public: str
) -> None:
    on_gallery = project(tmp_path, s3_server, public)
    assert len(on_gallery.plan("analysis").jobs) == 2 * len(PLATES)
    counts = s3_server.counts(public)
    assert counts["get"] == len(PLATES)
    assert counts["list"] <= len(PLATES) + 2
    assert counts["head"] <= 1
