"""The real CellProfiler on a real cluster: a plate comes out as on one machine."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cpengine.ledger.standing import JobState
from cpengine.project import Project
from tests.executors.slurm.workers import on_slurm
from tests.plain_runs import MODULE, Cpengine, small_plate
from tests.real.compare import lasting
from tests.services.slurm.cluster import Cluster

pytestmark = pytest.mark.cellprofiler


@pytest.fixture
def new_plate(tmp_path: Path) -> Project:
    """A plate of four sites that nothing has run on, with settings for the cluster."""
    # Each worker takes more than half of a node, so that two are on two nodes.
    project = small_plate(tmp_path / "plate")
    return on_slurm(project, memory_gb=2.5, job_memory_gb=1.0)


def _outputs(project: Project) -> dict[str, object]:
    """What two runs have in common of every file that steps have published."""
    places = project.places.outputs
    found = {}
    for step in ("illum", "analysis"):
        output = project.step(step).output
        for name in places.tree(output):
            data = places.read(f"{output}/{name}")
            found[f"{step}/{name}"] = lasting(name, data)
    return found


def _markers(project: Project) -> dict[str, int]:
    folder = project.places.outputs.path(project.step("analysis").ledger) / "markers"
    found = folder.glob(f"*.{JobState.DONE}")
    return {path.name: path.stat().st_mtime_ns for path in found}


def test_results_equal_those_of_the_local_executor(
    slurm: Cluster, new_plate: Project, cpengine: Cpengine
) -> None:
    steps = ("run", "illum", "analysis", "-C", new_plate.folder)
    ran = cpengine(*steps)
    assert ran.returncode == 0, ran.stderr
    expected = _outputs(new_plate)
    ran = cpengine(*steps, "--on", "slurm", "--force")
    assert ran.returncode == 0, ran.stderr
    found = _outputs(new_plate)
    assert list(found) == list(expected)
    assert [name for name in expected if expected[name] != found[name]] == []
    assert len({job.node for job in slurm.jobs() if job.node}) >= 2
    assert not list((new_plate.folder / ".cpengine").iterdir())


@pytest.mark.parametrize(("first", "then"), [("local", "slurm"), ("slurm", "local")])
def test_a_run_stopped_on_one_executor_is_finished_on_the_other(
    slurm: Cluster, new_plate: Project, cpengine: Cpengine, first: str, then: str
) -> None:
    where = ("-C", str(new_plate.folder), "--on")
    assert cpengine("run", "illum", *where, "local").returncode == 0
    command = [*MODULE, "run", "analysis", *where, first, "--workers", "1"]
    with subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL) as run:
        while not _markers(new_plate):
            assert run.poll() is None
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    before = _markers(new_plate)
    assert 0 < len(before) < 4
    again = cpengine("run", "analysis", *where, then)
    assert again.returncode == 0, again.stderr
    assert f"{len(before)} done before" in again.stdout
    after = _markers(new_plate)
    assert len(after) == 4
    assert before.items() <= after.items()
