"""What tests of the real CellProfiler share: one CellProfiler, one analysed plate."""

import os
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
from tests.services.shared import stop_all

Cpengine = Callable[..., "subprocess.CompletedProcess[str]"]
MODULE = (sys.executable, "-m", "cpengine")


TIERS = {
    "cellprofiler": {"cellprofiler", "plate"},
    "services": {"s3_server"},
    "slurm": {"slurm_cluster"},
    "aws": {"aws_server"},
    "browser": {"chromium"},
    "chaos": set(),
}
"""What a test needs beside Python, and the fixtures by which that is seen; a test that
needs it otherwise has the marker itself. All others are of the unit tier."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tiers."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for tier in (tier for tier, needed in TIERS.items() if needed & fixtures):
            item.add_marker(tier)
        if not any(map(item.get_closest_marker, TIERS)):
            item.add_marker("unit")


def pytest_sessionfinish() -> None:
    """Stop what fixtures have started."""
    stop_all()


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
