"""`cpengine init --images` where images and workspace are in a bucket."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cpengine.cli import app
from cpengine.project import Project
from tests.door.old_pipelines import window
from tests.door.pipelines import written
from tests.inputs.image_index.acquisition import Acquisition
from tests.inputs.image_index.harmony_writer import write_harmony
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]

pytestmark = pytest.mark.services


@pytest.fixture
def images(
    tmp_path: Path, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of a plate."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    write_harmony(tmp_path / "images/P1", Acquisition())
    s3.upload(bucket, tmp_path / "images", "screen/")
    return f"s3://{bucket}/screen"


def init(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["init", str(folder), *map(str, arguments)])
    return ran.exit_code, ran.output


def test_tables_and_pipelines_go_into_the_bucket(
    tmp_path: Path, images: str, bucket: str
) -> None:
    options = ("--root", f"s3://{bucket}", "--images", images, "--example-pipelines")
    code, output = init(tmp_path / "new", *options)
    assert code == 0, output
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cpengine.toml"]
    (job,) = Project.load(tmp_path / "new").plan("illum").jobs
    assert job.id == "P1"


def test_a_pipeline_that_finds_images_wants_them_on_this_machine(
    tmp_path: Path, images: str
) -> None:
    pipeline = tmp_path / "analysis.cppipe"
    pipeline.write_text(written(window()))
    code, output = init(tmp_path / "new", "--images", images, "--pipeline", pipeline)
    assert code == 2
    assert "finds its images itself, which must be on this machine" in output
    assert not (tmp_path / "new").exists()
