"""CellProfiler from a container image: the same results, and nothing left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.project import Project
from tests.plain_runs import MODULE, Cpengine, local_csv, plain, small_plate
from tests.real.compare import PLACES, TIMES, image_row, lasting, without
from tests.services.podman import IMAGE, WRAPPED, images, podman

pytestmark = pytest.mark.cellprofiler


@pytest.fixture(scope="module", autouse=True)
def _images(cellprofiler: CellProfiler) -> Iterator[None]:
    with images(cellprofiler):
        yield


@pytest.fixture(scope="module")
def theirs(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """What CellProfiler writes of such a site without any container."""
    folder = tmp_path_factory.mktemp("plain")
    site = small_plate(folder / "plate", wells=1, sites=1)
    (job,) = site.plan("qc").jobs
    output = plain(
        cellprofiler,
        folder / "job",
        pipeline=site.places.workspace.path(job.pipeline),
        data_file=local_csv(site, job, folder),
        group=dict(job.group),
    )
    return _files(output)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A plate of one site, for a machine that has no CellProfiler but the image's."""
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "nothing"))
    (tmp_path / "scratch").mkdir()
    return small_plate(tmp_path / "plate", wells=1, sites=1)


def _use(project: Project, image: str, jobs_per_process: int = 200) -> None:
    file = project.folder / "cpengine.toml"
    lines = f'image = "{image}"\nruntime = "podman"\n'
    lines += f"jobs_per_process = {jobs_per_process}\n"
    scratch = f'scratch = "{project.folder.parent}/scratch"\n'
    text = file.read_text().replace("[cellprofiler]\n", f"[cellprofiler]\n{lines}")
    file.write_text(
        text.replace("[executors.local]\n", f"[executors.local]\n{scratch}")
    )


def _files(folder: Path) -> dict[str, object]:
    """What lasts of each file, but for the places of images."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    found = {path.name: lasting(path.name, path.read_bytes()) for path in paths}
    row = image_row((folder / "Image.csv").read_bytes())
    return found | {"Image.csv": without(row, (*TIMES, *PLACES))}


@pytest.mark.parametrize("image", [IMAGE, WRAPPED])
def test_a_site_in_a_container_is_as_plain(
    site: Project,
    image: str,
    theirs: dict[str, object],
    cellprofiler: CellProfiler,
    cpengine: Cpengine,
    tmp_path: Path,
) -> None:
    _use(site, image)
    ran = cpengine("run", "qc", "-C", site.folder)
    assert ran.returncode == 0, ran.stderr
    hidden = "the Python behind /opt/cellprofiler in the image is not known"
    alone = f"note: each job starts a CellProfiler of its own, because {hidden}\n"
    assert (alone in ran.stderr) == (image == WRAPPED)
    (job,) = site.plan("qc").jobs
    ours = site.places.outputs.path(job.destination)
    assert _files(ours) == theirs
    assert {path.stat().st_uid for path in ours.rglob("*")} == {os.getuid()}
    outcome = site.ledger(site.step("qc")).outcome(job, cellprofiler.version)
    assert outcome is not None
    assert outcome.peak_memory > 150e6  # CellProfiler's own, not that of the client
    assert outcome.cpu_s > 0.2
    assert podman("ps", "--all", "--quiet") == ""
    assert list((tmp_path / "scratch").glob("cpengine-[0-9]*")) == []


@pytest.mark.parametrize("jobs_per_process", [200, 1])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_container_ends_with_cpengine(
    site: Project, jobs_per_process: int, sign: signal.Signals
) -> None:
    _use(site, IMAGE, jobs_per_process)
    with subprocess.Popen(
        [*MODULE, "run", "qc", "-C", site.folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        _wait(lambda: podman("ps", "--quiet", "--filter=name=cpengine-"))
        time.sleep(2)
        running.send_signal(sign)
    _wait(lambda: podman("ps", "--all", "--quiet") == "", seconds=15)


def test_show_tells_image_and_runtime(
    site: Project, cpengine: Cpengine, cellprofiler: CellProfiler
) -> None:
    _use(site, IMAGE)
    shown = cpengine("cellprofiler", "show", "-C", site.folder).stdout
    assert f"CellProfiler {cellprofiler.version}: {IMAGE} by " in shown
    assert "podman (cellprofiler.image in cpengine.toml)" in shown


def test_an_image_that_is_not_there_is_reported_with_the_cure(
    site: Project, cpengine: Cpengine
) -> None:
    _use(site, "localhost/no:1")
    ran = cpengine("run", "qc", "-C", site.folder)
    assert ran.returncode == 2
    assert "get the image with `podman pull`" in ran.stderr


def test_images_that_the_container_would_lack_are_reported(
    site: Project, cpengine: Cpengine, tmp_path: Path
) -> None:
    _use(site, IMAGE)
    first = next(site.folder.rglob("*.tif*"))
    first.rename(tmp_path / first.name)
    first.symlink_to(tmp_path / first.name)
    ran = cpengine("run", "qc", "-C", site.folder)
    assert ran.returncode == 1
    assert f"{tmp_path}, to cellprofiler.mounts" in ran.stderr + ran.stdout


def _wait(until: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)
