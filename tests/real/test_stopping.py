"""cpengine is killed or stopped in the middle: nothing is lost, nothing half-done."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cpengine.executors.contract import left_in
from cpengine.ledger.standing import JobState
from cpengine.project import Project
from tests.plain_runs import MODULE, Cpengine, small_plate

pytestmark = pytest.mark.cellprofiler


@pytest.fixture
def illuminated(tmp_path: Path, cpengine: Cpengine) -> Project:
    """A plate of four sites with illumination functions; analysis has not run."""
    project = small_plate(tmp_path / "plate")
    ran = cpengine("run", "illum", "-C", project.folder)
    assert ran.returncode == 0, ran.stderr
    return project


@pytest.fixture
def running(illuminated: Project, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cpengine run analysis` with two workers, just started."""
    (tmp_path / "scratch").mkdir()
    process = subprocess.Popen(
        [*MODULE, "run", "analysis", "-C", illuminated.folder, "--workers", "2"],
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch")},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    yield process
    process.kill()
    process.wait()


def _markers(project: Project) -> dict[str, int]:
    folder = project.places.outputs.path(project.step("analysis").ledger) / "markers"
    found = folder.glob(f"*.{JobState.DONE}")
    return {path.name: path.stat().st_mtime_ns for path in found}


def _wait(until: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


def _cellprofilers(running: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(running.pid).children(recursive=True)


def _in_the_middle(project: Project, running: subprocess.Popen[bytes]) -> None:
    """Wait until a job is done and others are at work."""
    _wait(lambda: _markers(project) and len(_cellprofilers(running)) == 2)


def _outputs(project: Project) -> dict[str, set[str]]:
    jobs = project.plan("analysis").jobs
    places = {job.id: project.places.outputs.path(job.destination) for job in jobs}
    return {name: {p.name for p in place.rglob("*")} for name, place in places.items()}


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_is_finished_by_the_next(
    illuminated: Project,
    running: subprocess.Popen[bytes],
    tmp_path: Path,
    cpengine: Cpengine,
    sign: signal.Signals,
) -> None:
    _in_the_middle(illuminated, running)
    children = _cellprofilers(running)
    running.send_signal(sign)
    code = running.wait(60)
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    before = _markers(illuminated)
    assert 0 < len(before) < 4

    if sign is not signal.SIGKILL:
        assert code == 130
        assert left_in(tmp_path / "scratch") == []

    again = cpengine("run", "analysis", "-C", illuminated.folder, "--workers", "2")
    assert again.returncode == 0, again.stderr
    assert f"{len(before)} done before" in again.stdout
    after = _markers(illuminated)
    assert len(after) == 4
    assert before.items() <= after.items()  # finished jobs were not run again
    files = list(_outputs(illuminated).values())
    assert all(len(names) == len(files[0]) for names in files)
    assert not list(illuminated.folder.rglob("*.part"))
