"""Pipelines and tables are edited while a step runs: results stay with their names."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.marker import Marker, MarkerState
from cpengine.model import FailureKind, Job
from cpengine.project import Project
from cpengine.storage.roots import BUCKET
from tests import build
from tests.plain_runs import MODULE, Cpengine, local_csv, plain
from tests.real.compare import differing, image_row, moved

pytestmark = pytest.mark.cellprofiler

Edit = Callable[[str], str]


@pytest.fixture
def project(plate: Project, tmp_path: Path) -> Project:
    """The plate in a place of its own; its analysis has not run."""
    folder = shutil.copytree(plate.folder, tmp_path / "project")
    project = Project.load(folder)
    step = project.step("analysis")
    for key in (step.output, step.ledger):
        shutil.rmtree(project.places.outputs.path(key))
    return project


def files(project: Project) -> dict[str, Path]:
    """What a user edits, by what is edited."""
    job = project.plan("analysis").jobs[0]
    path = project.places.workspace.path
    return {"pipeline": path(job.pipeline), "table": path(job.data_file)}


def smaller_nuclei(pipeline: str) -> str:
    setting = "Typical diameter of objects, in pixel units (Min,Max):"
    assert f"{setting}16,60" in pipeline
    return pipeline.replace(f"{setting}16,60", f"{setting}4,24")


def another_channel(table: str) -> str:
    """The table with the images of ER where those of DNA were, and one column more."""
    rows = list(csv.DictReader(io.StringIO(table)))
    more = {"Metadata_Compound": "DMSO"}
    return build.csv_text([row | {_DNA: row[_ER]} | more for row in rows])


_DNA, _ER = "FileName_OrigDNA", "FileName_OrigER"
EDITS: dict[str, Edit] = {"pipeline": smaller_nuclei, "table": another_channel}


def edit(file: Path, text: str) -> None:
    """Put a text in place as an editor does."""
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


@contextmanager
def running(project: Project, scratch: Path) -> Iterator["subprocess.Popen[str]"]:
    """`cpengine run analysis` with one worker, for as long as it is looked at."""
    scratch.mkdir()
    process = subprocess.Popen(
        [*MODULE, "run", "analysis", "-C", project.folder, "--workers", "1"],
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait(until: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.005)


def runs_of(scratch: Path) -> Callable[[], object]:
    """Whether a job has been staged and waits for its CellProfiler, or has it."""
    return lambda: list(scratch.glob("cpengine-*@*/log"))


def markers(project: Project, *states: MarkerState) -> dict[str, Marker]:
    """The markers that stand so by job; a job has one at the most."""
    folder = project.places.outputs.path(project.step("analysis").ledger) / "markers"
    names = map(Marker.parse, sorted(path.name for path in folder.glob("*")))
    found = [marker for marker in names if marker and marker.state in states]
    by_job = {marker.job_id: marker for marker in found}
    assert len(by_job) == len(found)
    return by_job


def results(project: Project, job: Job) -> Path:
    return project.places.outputs.path(job.destination)


def plainly(
    cellprofiler: CellProfiler, project: Project, job: Job, folder: Path
) -> Path:
    """What plain CellProfiler makes of a job, with all files as they are now.

    It names images where they are, and cpengine where the table has them.
    """
    folder.mkdir()
    output = plain(
        cellprofiler,
        folder / "run",
        pipeline=project.places.workspace.path(job.pipeline),
        data_file=local_csv(project, job, folder),
        group=dict(job.group),
    )
    image = output / "Image.csv"
    image.write_bytes(moved(image.read_bytes(), str(project.folder), BUCKET))
    return output


@pytest.mark.parametrize("what", EDITS)
def test_jobs_that_are_staged_do_not_see_an_edit(
    what: str,
    plate: Project,
    project: Project,
    cellprofiler: CellProfiler,
    tmp_path: Path,
) -> None:
    """What was planned is put back: markers name it, and must tell the truth.

    The plate has what plain CellProfiler makes of it; another test sees to that.
    """
    file, jobs = files(project)[what], project.plan("analysis").jobs
    before = file.read_text()
    with running(project, tmp_path / "scratch") as run:
        wait(runs_of(tmp_path / "scratch"))  # CellProfiler starts, for some seconds
        edit(file, EDITS[what](before))
        other = plainly(cellprofiler, project, jobs[0], tmp_path / "plain")
        wait(lambda: markers(project, MarkerState.FAILED))
        edit(file, before)
        output, _ = run.communicate(timeout=120)
    done, failed = (
        markers(project, state) for state in (MarkerState.DONE, MarkerState.FAILED)
    )
    assert done, output  # what was staged
    assert {marker.failure for marker in failed.values()} == {FailureKind.BAD_INPUT}
    assert done.keys() | failed.keys() == {job.id for job in jobs}
    for job in jobs:
        if job.id in done:
            assert done[job.id].fingerprint == job.fingerprint
            assert differing(results(project, job), results(plate, job)) == []
        else:
            assert not results(project, job).exists()
    assert "Nuclei.csv" in differing(results(plate, jobs[0]), other)  # the edit shows


def test_a_run_that_ends_late_leaves_the_later_ones_results(
    project: Project, cellprofiler: CellProfiler, cpengine: Cpengine, tmp_path: Path
) -> None:
    file, old = files(project)["pipeline"], project.plan("analysis").jobs
    with running(project, tmp_path / "scratch") as late:
        wait(runs_of(tmp_path / "scratch"))
        with standing_still(late):
            edit(file, smaller_nuclei(file.read_text()))
            # As if it were on a machine that has been away for a minute.
            for sign in project.folder.rglob("drivers/*"):
                sign.unlink()
            ran = cpengine("run", "analysis", "-C", project.folder, "--workers", "2")
            assert ran.returncode == 0, ran.stderr
            published = seen(project)
        output, _ = late.communicate(timeout=120)
    assert late.returncode == 1, output
    failures = {m.failure for m in markers(project, MarkerState.FAILED).values()}
    assert failures == {FailureKind.SUPERSEDED, FailureKind.BAD_INPUT}, output

    jobs = project.plan("analysis").jobs
    done = markers(project, MarkerState.DONE)
    assert {job.id: job.fingerprint for job in jobs} == {
        name: marker.fingerprint for name, marker in done.items()
    }
    assert not {job.fingerprint for job in old} & {job.fingerprint for job in jobs}
    assert seen(project) == published
    theirs = plainly(cellprofiler, project, jobs[0], tmp_path / "plain")
    assert differing(results(project, jobs[0]), theirs) == []
    status_and_collect_give(project, cpengine, jobs)


@contextmanager
def standing_still(run: "subprocess.Popen[str]") -> Iterator[None]:
    """A run, and the CellProfilers that it is about to start, stand still meanwhile.

    Were the run itself awake, it would soon give its sign again.
    """
    own = psutil.Process(run.pid)
    wait(own.children)
    processes = [own, *own.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def seen(project: Project) -> dict[str, bytes]:
    """All published files."""
    output = project.places.outputs.path(project.step("analysis").output)
    paths = (path for path in output.rglob("*") if path.is_file())
    return {str(path.relative_to(output)): path.read_bytes() for path in paths}


def status_and_collect_give(
    project: Project, cpengine: Cpengine, jobs: Sequence[Job]
) -> None:
    """Both give what is published: these jobs' results, whole."""
    status = cpengine("status", "analysis", "-C", project.folder, "--verify", "--json")
    (step,) = json.loads(status.stdout)["steps"]
    assert (step["done"], step["damaged"]) == (len(jobs), [])
    ran = cpengine("collect", "analysis", "-C", project.folder)
    assert ran.returncode == 0, ran.stderr
    (table,) = project.folder.rglob("*_Image.parquet")
    counts = pd.read_parquet(table)["Image_Count_Nuclei"]
    rows = [
        image_row((results(project, job) / "Image.csv").read_bytes()) for job in jobs
    ]
    assert sorted(counts) == sorted(float(row["Count_Nuclei"]) for row in rows)
