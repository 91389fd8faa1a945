"""What tests of the real CellProfiler share: one CellProfiler, one analysed plate."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler.command import run_command, run_environment
from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.demo.make import Size, make
from cpengine.model import Job
from cpengine.project import Project
from cpengine.storage.roots import BUCKET
from tests.services.aws.aws_server import AwsServer
from tests.services.browser import browser, chromium
from tests.services.s3.bucket_server import S3Server

__all__ = ["browser", "chromium"]  # fixtures of another module

Cpengine = Callable[..., "subprocess.CompletedProcess[str]"]
MODULE = (sys.executable, "-m", "cpengine")


@pytest.fixture(scope="session")
def cellprofiler() -> CellProfiler:
    """The real CellProfiler. Fails where there is none: `make setup` installs it."""
    return find()


@pytest.fixture(scope="session")
def cpengine() -> Cpengine:
    """Runs the command line in a process of its own."""

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*MODULE, *map(str, arguments)], capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server over real HTTP, in a process of its own."""
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server without faults and counts, with the credentials that it takes."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    s3_server.faults()
    s3_server.reset_counts()
    yield s3_server
    s3_server.faults()


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[str]:
    """A bucket of the test's own."""
    name = f"lab-{secrets.token_hex(4)}"
    s3.make(name)
    yield name
    s3.delete(name)


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsServer]:
    """All of AWS that tests need, over real HTTP, in a process of its own."""
    with AwsServer() as server:
        yield server


@pytest.fixture
def aws(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """The server as if it were new; no client of the test's reaches a real account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws_server.environ.items():
        monkeypatch.setenv(name, value)
    aws_server.reset()
    yield aws_server
    aws_server.faults()


@pytest.fixture(scope="session")
def plate(
    tmp_path_factory: pytest.TempPathFactory, cpengine: Cpengine
) -> Iterator[Project]:
    """A small plate (2 wells, 2 sites) after illum and analysis; read it only."""
    project = small_plate(tmp_path_factory.mktemp("plate"))
    ran = cpengine("run", "illum", "analysis", "-C", project.folder, "--workers", "2")
    assert ran.returncode == 0, ran.stderr
    return project


def small_plate(folder: Path, *, wells: int = 2, sites: int = 2) -> Project:
    """Make a plate of small images; nothing has run on it."""
    make(folder, Size(1, wells, sites, 256, 1), lambda done, total: None)
    return Project.load(folder)


def local_csv(project: Project, job: Job, folder: Path) -> Path:
    """A job's CSV with the places that the bucket's stand for, as a user would have."""
    text = project.places.workspace.read_text(job.data_file)
    path = folder / f"{job.id}.csv"
    path.write_text(text.replace(BUCKET, str(project.folder)))
    return path


def plain(
    cellprofiler: CellProfiler,
    folder: Path,
    *,
    pipeline: Path,
    data_file: Path | None,
    group: dict[str, str],
) -> Path:
    """Run plain `cellprofiler -c -r ... -g` as a user would; give its output."""
    for name in ("input", "output", "temp"):
        (folder / name).mkdir(parents=True)
    command = run_command(
        cellprofiler.command,
        pipeline=pipeline,
        input=folder / "input",
        output=folder / "output",
        done_file=folder / "done",
        data_file=data_file,
        group=group,
        temp=folder / "temp",
    )
    environment = run_environment(cellprofiler.env, folder / "temp", os.environ)
    subprocess.run(command, env=environment, check=False, capture_output=True)
    return folder / "output"
