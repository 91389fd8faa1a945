"""A small plate, the command line in a process, and plain CellProfiler beside them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cpengine.cellprofiler.command import run_command, run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.demo.make import Size, make
from cpengine.model import Job
from cpengine.project import Project
from cpengine.storage.roots import BUCKET

Cpengine = Callable[..., "subprocess.CompletedProcess[str]"]
MODULE = (sys.executable, "-m", "cpengine")


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
    environment["PYTHONHASHSEED"] = "0"  # what differs by chance is nobody's result
    subprocess.run(command, env=environment, check=False, capture_output=True)
    return folder / "output"
