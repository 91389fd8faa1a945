"""Each kind of failure, provoked for real: told with its class, cause and cure."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from cpengine.executors.retry import CURES
from cpengine.ledger.standing import JobState
from cpengine.model import FailureKind
from cpengine.project import Project
from tests import build
from tests.plain_runs import MODULE, Cpengine, small_plate
from tests.services.s3.bucket_server import S3Server

pytestmark = pytest.mark.cellprofiler

Ran = subprocess.CompletedProcess[str]
IMAGES = "projects/demo/2026_01_01_Batch1/images/DemoPlate1"
ROOT = 'root = "."'
"""The root in the demo's project file."""
SITE = ("qc", "DemoPlate1-A01")
"""The step and the job that most tests make fail."""
VANISHING = "demo-vanishing"
SMALL_DISK = """
mount -t tmpfs -o size=1m none "$0" || exit
saved=$1; shift
"$@"; code=$?
cp -R "$0/." "$saved" && exit $code
"""
"""Runs a command with a disk of 1 MB in one folder and keeps in another what is left
there. The mount is seen by that command alone and ends with it."""
OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")


@pytest.fixture
def site(tmp_path: Path) -> Project:
    """A plate of one site; nothing has run on it."""
    return small_plate(tmp_path / "plate", wells=1, sites=1)


def _change(project: Project, line: str, *lines: str) -> None:
    """Put other lines in place of one of a project file."""
    file = project.folder / "cpengine.toml"
    before, found, after = file.read_text().partition(f"\n{line}\n")
    assert found, line
    file.write_text("\n".join([before, *lines, after]))


def _limit(project: Project, limit: str) -> None:
    """Set a limit of qc."""
    _change(project, "[run]", "[steps.qc]", limit, "[run]")


def _reach(project: Project, server: S3Server) -> None:
    """Let a project find buckets at a server, and cache what it fetches for itself."""
    _change(project, "[storage.s3]", "[storage.s3]", f'endpoint = "{server.url}"')
    _change(project, "[executors.local]", "[executors.local]", 'scratch = "."')


@contextmanager
def _started(
    project: Project,
    step: str,
    *options: str,
    before: tuple[str, ...] = (),
    environ: Mapping[str, str] = os.environ,
) -> Iterator["subprocess.Popen[str]"]:
    """`cpengine run` in a process of its own, under way."""
    process = subprocess.Popen(
        [*before, *MODULE, "run", step, "-C", str(project.folder), *options],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _end(run: "subprocess.Popen[str]") -> Ran:
    out, err = run.communicate(timeout=200)
    return Ran(run.args, run.returncode, out, err)


def _wait(until: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.02)


def _cellprofiler(run: "subprocess.Popen[str]", but: int = 0) -> psutil.Process:
    """Wait for a CellProfiler that runs a job, another than that one."""
    found: list[psutil.Process] = []

    def search() -> bool:
        assert run.poll() is None, run.communicate()
        for child in psutil.Process(run.pid).children(recursive=True):
            if child.pid != but and _runs_a_job(child):
                found.append(child)
        return bool(found)

    _wait(search)
    return found[0]


def _runs_a_job(process: psutil.Process) -> bool:
    """Whether it is a CellProfiler in an attempt's folder, not one that only starts."""
    try:
        return (Path(process.cwd()) / "output").is_dir()
    except psutil.Error:
        return False


def _in_the_middle(cellprofiler: psutil.Process) -> bool:
    """Whether it has loaded the pipeline and measures."""
    return any(Path(cellprofiler.cwd(), "temp").glob("Cpmeasurements*"))


def _reported(
    ran: Ran, project: Project, cpengine: Cpengine, job: tuple[str, str], kind: str
) -> dict[str, Any]:
    """The end of a run tells class, cause and cure, and the ledger has the same.

    Gives the outcome that the ledger keeps.
    """
    step, name = job
    shown = cpengine("status", step, "-C", project.folder, "--failed", "--json")
    (status,) = json.loads(shown.stdout)["steps"]
    (outcome,) = status["failures"]
    failure = outcome["failure"]
    assert (outcome["job"]["id"], failure["kind"]) == (name, kind)
    _printed(ran, kind, failure["message"], failure["module"])
    return outcome


def _printed(ran: Ran, kind: str, message: str, module: str | None = None) -> None:
    where = f" in {module}" if module else ""
    cure = CURES[FailureKind(kind)]
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert (
        f"\n1 job failed: {kind}{where}: {message}\n  what to do: {cure}\n"
    ) in ran.stderr


def _log(ran: Ran, project: Project, cpengine: Cpengine, job: tuple[str, str]) -> str:
    """The log of a job, as the command that the end of its run names prints it."""
    step, name = job
    assert f"\n  its log: cpengine logs {step} {name}\n" in ran.stderr
    shown = cpengine("logs", step, name, "-C", project.folder)
    assert shown.returncode == 0, shown.stderr
    ledger = project.ledger(project.step(step))
    assert shown.stdout == ledger.storage.read_text(f"{ledger.folder}/logs/{name}.log")
    return shown.stdout


def _tries(ran: Ran) -> int:
    return 1 + ran.stderr.count("; trying again\n")


def _markers(project: Project, step: str) -> list[str]:
    ledger = project.ledger(project.step(step))
    return list(ledger.storage.sizes(f"{ledger.folder}/markers"))


def test_a_broken_image_fails_its_job_and_the_rest_goes_on(
    tmp_path: Path, cpengine: Cpengine
) -> None:
    project = small_plate(tmp_path / "plate", wells=2, sites=1)
    image = project.folder / IMAGES / "A02_s1_ER.tiff"
    image.write_bytes(b"this is no picture")

    ran = cpengine("run", "qc", "illum", "-C", project.folder, "--workers", "2")

    job = ("qc", "DemoPlate1-A02")
    outcome = _reported(ran, project, cpengine, job, "bad_input")
    assert outcome["failure"]["module"] == "LoadData"
    what, where, what_to_do = re.split(r" \(|\): ", outcome["failure"]["message"])
    assert what == f"{image} cannot be read as an image"
    assert where.endswith("/load_data.csv:3:FileName_OrigER")
    assert what_to_do == "copy it again, or drop its row"
    assert _tries(ran) == outcome["attempt"] == 1  # it would fail again
    assert "Traceback" in _log(ran, project, cpengine, job)
    assert "qc: 1 of 2 jobs done, 1 failed" in ran.stdout
    assert "illum" not in ran.stdout  # gated: the step before has a failed job


def test_a_module_that_cellprofiler_leaves_out_fails_the_job(
    site: Project, cpengine: Cpengine
) -> None:
    pipeline = site.places.outputs.path(site.step("qc").pipeline)
    build.add_module(pipeline, "FindNothing")

    ran = cpengine("run", "qc", "-C", site.folder, "--unchecked")

    assert ran.returncode == 1
    failed = "qc DemoPlate1-A01 failed: cellprofiler in FindNothing:"
    assert failed in ran.stderr
    assert not site.places.outputs.path(site.step("qc").output).exists()


def test_a_killed_cellprofiler_is_a_crash_and_tried_twice(
    site: Project, cpengine: Cpengine
) -> None:
    with _started(site, "qc", "--exact-check", "0") as run:
        first = _cellprofiler(run)
        first.kill()
        second = _cellprofiler(run, but=first.pid)
        _wait(lambda: _in_the_middle(second))
        second.kill()
        ran = _end(run)

    outcome = _reported(ran, site, cpengine, SITE, "crash")
    assert outcome["failure"]["message"] == "ended by SIGKILL"
    assert _tries(ran) == outcome["attempt"] == 2
    assert _log(ran, site, cpengine, SITE)  # what it had said by then


def test_too_little_memory_is_doubled_until_it_is_enough(
    site: Project, cpengine: Cpengine
) -> None:
    _limit(site, "memory_gb = 0.1")

    ran = cpengine("run", "qc", "-C", site.folder)

    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if "out_of_memory: used" in line]
    assert len(lines) == _tries(ran) - 1 == 2
    for line, allowed in zip(lines, ("0.10", "0.20"), strict=True):
        assert f" of {allowed} GB allowed (log: " in line
    assert "qc: 1 of 1 job done, 1 image set, 2 files" in ran.stdout
    (marker,) = _markers(site, "qc")
    assert marker.endswith(f".{JobState.DONE}")
    (outcome,) = site.ledger(site.step("qc")).outcomes([marker])
    assert outcome.attempt == 3
    assert outcome.job.memory_gb == 0.4
    assert 0.2 < outcome.peak_memory / 1024**3 < 0.4


def test_far_too_little_memory_fails_the_job(site: Project, cpengine: Cpengine) -> None:
    _limit(site, "memory_gb = 0.01")

    ran = cpengine("run", "qc", "-C", site.folder)

    outcome = _reported(ran, site, cpengine, SITE, "out_of_memory")
    assert outcome["failure"]["message"].endswith(" of 0.04 GB allowed")
    assert _tries(ran) == outcome["attempt"] == 3
    _log(ran, site, cpengine, SITE)


def test_a_cellprofiler_that_hangs_is_stalled_and_tried_twice(
    site: Project, cpengine: Cpengine
) -> None:
    _limit(site, "stall_min = 0.1")

    with _started(site, "qc", "--exact-check", "0") as run:
        first = _cellprofiler(run)
        first.suspend()
        second = _cellprofiler(run, but=first.pid)
        second.suspend()
        ran = _end(run)

    outcome = _reported(ran, site, cpengine, SITE, "stalled")
    assert outcome["failure"]["message"] == "no output and no CPU for 6 s"
    assert _tries(ran) == outcome["attempt"] == 2
    assert not first.is_running()
    assert not second.is_running()
    _log(ran, site, cpengine, SITE)


def test_a_job_that_takes_too_long_is_not_tried_again(
    site: Project, cpengine: Cpengine
) -> None:
    _limit(site, "timeout_min = 0.005")

    ran = cpengine("run", "qc", "-C", site.folder)

    outcome = _reported(ran, site, cpengine, SITE, "timeout")
    assert outcome["failure"]["message"] == "ended after 0.3 s"
    assert _tries(ran) == outcome["attempt"] == 1
    _log(ran, site, cpengine, SITE)


def test_an_image_that_goes_while_the_step_runs_is_bad_input_of_its_job_alone(
    tmp_path: Path, cpengine: Cpengine
) -> None:
    project = small_plate(tmp_path / "plate", wells=3, sites=1)
    image = project.folder / IMAGES / "A03_s1_ER.tiff"

    with _started(project, "qc", "--workers", "1") as run:
        _cellprofiler(run)  # that of A01, and A02 waits
        image.unlink()
        ran = _end(run)

    job = ("qc", "DemoPlate1-A03")
    outcome = _reported(ran, project, cpengine, job, "bad_input")
    assert "its log" not in ran.stderr  # CellProfiler never ran
    message = outcome["failure"]["message"]
    assert message.startswith(f"{image}: is not there: put it there, or drop its row (")
    assert message.endswith("load_data.csv:4:FileName_OrigER)")
    assert _tries(ran) == outcome["attempt"] == 1
    assert "qc: 2 of 3 jobs done, 1 failed, 2 image sets, 4 files" in ran.stdout


@dataclass(frozen=True, slots=True)
class Ended:
    """A project and what came of running a step of it."""

    project: Project
    ran: Ran


@pytest.fixture(scope="module")
def storages(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server
) -> dict[str, Ended]:
    """Runs on a full disk and on a bucket that vanishes.

    They go on at the same time, because each pauses for 25 s between its attempts.
    """
    with ThreadPoolExecutor(2) as pool:
        vanished = tmp_path_factory.mktemp("vanished")
        ending = {"vanished": pool.submit(_on_a_vanishing_bucket, vanished, s3_server)}
        full = tmp_path_factory.mktemp("full")
        ending["full"] = pool.submit(_on_a_full_disk, full)
        return {name: ended.result() for name, ended in ending.items()}


def _on_a_full_disk(folder: Path) -> Ended:
    """Run illum, which makes 1.3 MB, with outputs on a disk of 1 MB."""
    project = small_plate(folder / "plate", wells=1, sites=1)
    disk, saved = str(folder / "disk"), str(folder / "saved")
    for place in (disk, saved):
        Path(place).mkdir()
    _change(project, ROOT, ROOT, f'outputs = "{disk}"')
    small_disk = (*OWN_MOUNTS, "sh", "-c", SMALL_DISK, disk, saved)
    with _started(project, "illum", before=small_disk) as run:
        ran = _end(run)
    shutil.copytree(saved, disk, dirs_exist_ok=True)  # there is more space now
    return Ended(Project.load(project.folder), ran)


def _on_a_vanishing_bucket(folder: Path, server: S3Server) -> Ended:
    """Run qc with its root in a bucket that goes as soon as CellProfiler runs."""
    project = small_plate(folder / "plate", wells=1, sites=1)
    server.make(VANISHING)
    server.upload(VANISHING, project.folder / "projects", "projects/")
    _change(project, ROOT, f'root = "s3://{VANISHING}"')
    _reach(project, server)
    with _started(project, "qc", environ=os.environ | server.environ) as run:
        _cellprofiler(run)
        server.delete(VANISHING)
        ran = _end(run)
    return Ended(Project.load(project.folder), ran)


def test_a_full_disk_is_reported_and_the_run_ends_once_there_is_space(
    storages: dict[str, Ended], cpengine: Cpengine
) -> None:
    project, ran = storages["full"].project, storages["full"].ran
    job = ("illum", "DemoPlate1")

    outcome = _reported(ran, project, cpengine, job, "storage")
    message = outcome["failure"]["message"]
    assert ".npy: cannot be written (No space left on device): the disk is" in message
    assert _tries(ran) == outcome["attempt"] == 3
    assert "SaveImages" in _log(ran, project, cpengine, job)
    assert not any(
        name.endswith(f".{JobState.DONE}") for name in _markers(project, job[0])
    )
    assert not list(Path(project.places.outputs.root).rglob("*.part"))

    again = cpengine("run", "illum", "-C", project.folder)
    assert again.returncode == 0, again.stderr
    assert "illum: 1 of 1 job done, 1 image set, 5 files" in again.stdout
    (marker,) = _markers(project, "illum")
    assert marker.endswith(f".{JobState.DONE}")


def test_a_bucket_that_vanishes_is_reported(
    storages: dict[str, Ended], s3: S3Server, cpengine: Cpengine
) -> None:
    project, ran = storages["vanished"].project, storages["vanished"].ran
    cause = f"s3://{VANISHING}: there is no such bucket: check its name, or make it"
    _printed(ran, "storage", cause)
    assert _tries(ran) == 3
    for command in (("status", "qc", "--failed"), ("logs", *SITE)):
        shown = cpengine(*command, "-C", project.folder)
        assert (shown.returncode, shown.stderr) == (2, f"error: {cause}\n")


@pytest.mark.parametrize("missing", ["root", "images", "workspace", "outputs"])
def test_a_bucket_that_is_not_there_is_one_line_before_anything_starts(
    site: Project, s3: S3Server, cpengine: Cpengine, missing: str
) -> None:
    shutil.rmtree(site.folder / IMAGES)  # what outputs have is not looked for in images
    lines = [ROOT] if missing != "root" else []
    _change(site, ROOT, *lines, f'{missing} = "s3://demo-nowhere"')
    _reach(site, s3)

    ran = cpengine("run", "qc", "-C", site.folder)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr == (
        "error: s3://demo-nowhere: there is no such bucket: check its name, "
        "or make it\n"
    )
