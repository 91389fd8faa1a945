"""One CellProfiler runs job after job as a fresh one would."""

import csv
import io
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.demo.make import Size, make
from cpengine.events import Event, JobRetried
from cpengine.executors.inline import InlineExecutor
from cpengine.job.run_job import Machine, run_job
from cpengine.model import FailureKind, Job, Outcome
from cpengine.project import Project
from tests import build
from tests.plain_runs import Cpengine, local_csv, plain
from tests.real.compare import PLACES, TIMES, TIMESTAMP, without

pytestmark = pytest.mark.cellprofiler

STEPS = ("illum", "qc", "assaydev", "analysis")
EVERY_JOB = 2 + 4 + 4 + 8
"""Of two plates, two wells a plate and two sites a well."""


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory, cpengine: Cpengine) -> Project:
    """Two plates of two wells and two sites, with illumination functions."""
    folder = tmp_path_factory.mktemp("plates")
    make(folder, Size(2, 2, 2, 128, 1), lambda done, total: None)
    project = Project.load(folder)
    ran = cpengine("run", "illum", "-C", folder)
    assert ran.returncode == 0, ran.stderr
    project.write_derived(project.plan("analysis"))
    return Project.load(folder)


@pytest.fixture(scope="module")
def mixed(plates: Project) -> list[Job]:
    """All jobs of all steps, in no order.

    Illumination is made again among them, with equal pixels: so no job is held to the
    very files that were there when it was planned.
    """
    jobs = [replace(job, inputs="") for step in STEPS for job in plates.plan(step).jobs]
    random.Random(4).shuffle(jobs)
    return jobs


@pytest.fixture(scope="module")
def machine(plates: Project) -> Iterator[Machine]:
    """This machine; its hosts are ended at last."""
    ledger = plates.ledger(plates.step("illum"))  # all of it is left to do, again
    for name in ledger.storage.sizes(f"{ledger.folder}/markers"):
        ledger.storage.remove(f"{ledger.folder}/markers/{name}")
    with plates.machine() as machine:
        yield machine


@pytest.fixture(scope="module")
def by_host(machine: Machine, mixed: list[Job]) -> list[Outcome]:
    """What came of the jobs, one after another in one process, at the first try."""
    retried: list[Outcome] = []

    def listen(event: Event) -> None:
        if isinstance(event, JobRetried):
            retried.append(event.outcome)

    with InlineExecutor(machine) as executor:
        outcomes = list(executor.run(mixed, listen))
    assert [(outcome.job.id, outcome.failure) for outcome in retried] == []
    return outcomes


@pytest.fixture(scope="module")
def by_command(
    plates: Project,
    mixed: list[Job],
    by_host: list[Outcome],
    cellprofiler: CellProfiler,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str], Path]:
    """The output of plain CellProfiler, by step and job."""
    folder = tmp_path_factory.mktemp("plain")

    def run(job: Job) -> Path:
        own = folder / job.step / job.id
        own.mkdir(parents=True)
        return plain(
            cellprofiler,
            own / "run",
            pipeline=plates.places.outputs.path(job.pipeline),
            data_file=local_csv(plates, job, own),
            group=dict(job.group),
        )

    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(run, mixed))
    return {(j.step, j.id): out for j, out in zip(mixed, outputs, strict=True)}


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def _lasting(files: Mapping[str, bytes]) -> dict[str, object]:
    """The files without times and places, all others byte for byte."""
    found: dict[str, object] = dict(files)
    for name in found.keys() & {"Image.csv", "Experiment.csv"}:
        rows = _rows(files[name])
        found[name] = [
            without(row, (*TIMES, *PLACES))
            for row in rows
            if row.get("Key") != TIMESTAMP
        ]
    return found


def test_one_process_runs_every_job(
    by_host: list[Outcome], machine: Machine, mixed: list[Job]
) -> None:
    assert [outcome.failure for outcome in by_host] == [None] * EVERY_JOB
    assert machine.hosts is not None
    (host,) = machine.hosts.idle
    assert host.jobs == EVERY_JOB
    assert len({(job.step, job.data_file) for job in mixed}) == 2 * len(STEPS)


def test_every_output_is_that_of_plain_cellprofiler(
    plates: Project,
    by_host: list[Outcome],
    by_command: dict[tuple[str, str], Path],
) -> None:
    for outcome in by_host:
        job = outcome.job
        theirs = _files(by_command[job.step, job.id])
        place = plates.places.outputs.path(job.destination)
        ours = {name: (place / name).read_bytes() for name in outcome.files}
        assert theirs.keys() == ours.keys()
        assert _lasting(ours) == _lasting(theirs), (job.step, job.id)


def test_module_times_are_those_of_the_job(by_host: list[Outcome]) -> None:
    for outcome in by_host:
        assert 0 < sum(outcome.module_s.values()) <= outcome.phase_s["running"]
        assert outcome.cpu_s > 0
        assert outcome.peak_memory > 100_000_000


MISCHIEF = """
import os, signal
import javabridge
from cellprofiler_core.module import Module


class Mischief(Module):
    category = "Test"
    variable_revision_number = 1
    module_name = "Mischief"

    def create_settings(self):
        pass

    def settings(self):
        return []

    def run(self, workspace):
        print("noise on what was the channel", flush=True)
        os.write(1, b"and more of it")
        well = workspace.measurements.get_current_image_measurement("Metadata_Well")
        done = os.path.join(os.environ["MISCHIEF"], well)
        if not os.path.exists(done):
            open(done, "w").close()
            getattr(self, well)()

    def A01(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def A02(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def A03(self):
        runtime = javabridge.JClassWrapper("java.lang.Runtime")
        runtime.getRuntime().halt(3)

    def B01(self):
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20)) * 16)

    def B02(self):
        raise ValueError("no such thing")
"""
"""A module that makes trouble once in each well."""
EXPECTED = {
    "A01": (FailureKind.CRASH, "ended by SIGKILL"),
    "A02": (FailureKind.CRASH, "ended by SIGABRT"),  # Java's own end, with a report
    "A03": (FailureKind.CRASH, "CellProfiler ended in the middle, exit code 3"),
    "B01": (FailureKind.OUT_OF_MEMORY, " of 1.20 GB allowed"),
    "B02": (FailureKind.CELLPROFILER, "ValueError: no such thing"),
}


@pytest.fixture
def mischief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A plate whose qc has the module above, in a pipeline of its own."""
    make(tmp_path / "plate", Size(1, 5, 1, 128, 1), lambda done, total: None)
    project = Project.load(tmp_path / "plate")
    pipeline = project.places.workspace.path(project.step("qc").pipeline)
    build.add_module(pipeline, "Mischief")
    build.write(tmp_path / "plate/plugins/mischief.py", MISCHIEF)
    build.change(
        tmp_path / "plate/cpengine.toml",
        "[run]\n",
        '[steps.qc]\nplugins = "plugins"\nmemory_gb = 1.2\n[run]\n',
    )
    (tmp_path / "done").mkdir()
    monkeypatch.setenv("MISCHIEF", str(tmp_path / "done"))
    return Project.load(project.folder)


def test_whatever_ends_a_host_costs_one_attempt_of_one_job(
    mischief: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("CPENGINE_EXACT", "false")  # would run some again without
    retried: dict[str, Outcome] = {}

    def listen(event: Event) -> None:
        if isinstance(event, JobRetried):
            retried[dict(event.outcome.job.group)["Metadata_Well"]] = event.outcome

    with mischief.machine() as machine, InlineExecutor(machine) as executor:
        jobs = mischief.plan("qc").jobs
        outcomes = list(executor.run(jobs, listen))
        assert [outcome.failure for outcome in outcomes] == [None] * len(jobs)
        assert [outcome.attempt for outcome in outcomes] == [2] * len(jobs)
        assert machine.hosts is not None
        (host,) = machine.hosts.idle
        # Java's own file, which would stay if the host were killed.
        assert not any(Path("/tmp").glob(f"hsperfdata_*/{host.pid}"))
    for well, (kind, message) in EXPECTED.items():
        failure = retried[well].failure
        assert failure is not None
        assert (failure.kind, failure.message.endswith(message)) == (kind, True)
    assert not any(scratch.glob("*host*"))


def test_a_plugin_that_lacks_a_package_fails_its_jobs_with_its_name(
    mischief: Project, tmp_path: Path
) -> None:
    build.write(tmp_path / "plate/plugins/mischief.py", "import not_installed")
    with mischief.machine() as machine:
        outcome = run_job(mischief.plan("qc").jobs[0], machine)
    assert outcome.failure is not None
    assert outcome.failure.module == "Mischief"
    assert outcome.failure.message == (
        "ValueError: Could not find the Mischief module: ModuleNotFoundError: No "
        "module named 'not_installed'"
    )
