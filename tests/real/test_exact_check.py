"""Accelerations in jobs of the real CellProfiler: compared, and off where they fail."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.build_kernels import Kernels
from cpengine.cellprofiler.exact import NAMES
from cpengine.cellprofiler.pool import PROGRAM, Hosts
from cpengine.demo.make import Size, make
from cpengine.job import host_runs
from cpengine.job.exact_differences import compare
from cpengine.job.run_job import Machine, run_job
from cpengine.model import ALL_OFF, CHECK_ALWAYS, Job
from cpengine.project import Project
from tests.plain_runs import Cpengine

pytestmark = pytest.mark.cellprofiler

SITES = host_runs.WHOLE + 2
RUN = "cellprofiler.modules.measureimagequality:MeasureImageQuality.run"
ACCELERATION = """
import os, signal
from .acceleration import Acceleration

def run(original, module, workspace):
    {body}

def self_test():
    assert {works}, "two results"

ACCELERATION = Acceleration(
    name={name!r}, replaces={{{run!r}: run}}, sources={sources!r},
    versions={versions!r}, needs_kernels={needs_kernels}, self_test=self_test,
)
"""
GOOD = {
    "body": "raise ValueError('ours')",
    "works": True,
    "sources": {},
    "versions": {},
    "needs_kernels": False,
}
OTHER_BYTES = """original(module, workspace)
    found = workspace.measurements
    name = "ImageQuality_PowerLogLogSlope_OrigDNA"
    value = found.get_current_image_measurement(name)
    found.add_image_measurement(name, value * (1 + 1e-12))"""
Faulty = Callable[..., AbstractContextManager[Machine]]


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A plate with so many sites that illumination is compared over its first ones."""
    folder = tmp_path_factory.mktemp("plate")
    make(folder, Size(1, 3, SITES // 3, 128, 1), lambda done, total: None)
    return Project.load(folder)


@pytest.fixture(scope="module")
def qc(plate: Project) -> list[Job]:
    return list(plate.plan("qc").jobs)


@pytest.fixture(scope="module")
def plain(
    plate: Project, qc: list[Job], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What plain modules make of the jobs, in a folder of its own."""
    folder = tmp_path_factory.mktemp("plain")
    with plate.machine() as machine:
        for job in qc[:2]:
            run_job(replace(job, ledger="plain"), replace(machine, exact=()))
    shutil.copytree(folder_of(plate, qc[0]).parent, folder, dirs_exist_ok=True)
    return folder


def folder_of(plate: Project, job: Job) -> Path:
    return plate.places.outputs.path(job.destination)


@pytest.fixture
def faulty(plate: Project, tmp_path: Path) -> Faulty:
    """Makes a machine whose hosts have accelerations of that kind, and no other."""

    @contextmanager
    def machine(**accelerations: dict[str, object]) -> Iterator[Machine]:
        shutil.copytree(PROGRAM.with_name("exact"), tmp_path / "exact")
        program = shutil.copy(PROGRAM, tmp_path)
        names = tuple(accelerations)
        for name, facts in accelerations.items():
            text = ACCELERATION.format(name=name, run=RUN, **GOOD | facts)
            (tmp_path / "exact" / f"{name}.py").write_text(text)
        (tmp_path / "exact/__init__.py").write_text(f"NAMES = {names!r}\n")
        with plate.machine() as made:
            hosts = Hosts(made.cellprofiler, made.scratch, program=Path(program))
            with replace(made, hosts=hosts, exact=names) as found:
                yield found

    return machine


def _again(job: Job, ledger: str) -> Job:
    """The job as a step with a ledger of its own has it."""
    return replace(job, ledger=ledger)


def _is_plain(plate: Project, job: Job, plain: Path) -> bool:
    folder = folder_of(plate, job)
    files, found = compare(plain / folder.name, folder)
    return bool(files) and not found


def test_what_does_not_fit_is_off_and_results_are_plain(
    faulty: Faulty,
    plate: Project,
    qc: list[Job],
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernels = build_kernels.build()
    wrong = tmp_path / "kernels.so"
    wrong.write_bytes(kernels.path.read_bytes() + b"\0")
    other = Kernels(wrong, kernels.sha256)
    monkeypatch.setattr(build_kernels, "built", lambda: other)
    with faulty(
        source={"sources": {RUN: "0" * 64}},
        numpy={"versions": {"numpy": "0.1"}},
        kernel={"needs_kernels": True},
        wrong={"works": False},
    ) as machine:
        ran = run_job(replace(_again(qc[0], "fit"), exact_check=CHECK_ALWAYS), machine)
    assert ran.done, ran.failure
    assert (ran.exact, ran.check) == ((), None)
    numpy = ran.exact_off.pop("numpy")  # type: ignore[attr-defined]  # it is a dict
    assert (numpy[:9], numpy[-9:]) == ("numpy is ", ", not 0.1")
    assert ran.exact_off == {
        "source": f"{RUN} has another source",
        "kernel": "there are no kernels",
        "wrong": "its self-test failed (AssertionError: two results)",
    }
    assert _is_plain(plate, qc[0], plain)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('ours')", "ValueError: ours"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIG"),
    ],
)
def test_what_fails_in_a_job_is_off_from_then_on(
    faulty: Faulty, plate: Project, qc: list[Job], plain: Path, body: str, why: str
) -> None:
    with faulty(bad={"body": body}) as machine:
        ran = [run_job(_again(job, f"bad-{len(body)}"), machine) for job in qc[:2]]
    assert [outcome.failure for outcome in ran] == [None, None]
    assert [outcome.exact for outcome in ran] == [(), ()]
    first, second = (outcome.exact_off["bad"] for outcome in ran)
    assert first.startswith(f"failed in this job ({why}")
    assert second == first.replace("this", "an earlier")
    assert all(_is_plain(plate, job, plain) for job in qc[:2])


def test_other_bytes_are_found_and_not_published(
    faulty: Faulty, plate: Project, qc: list[Job], plain: Path
) -> None:
    with faulty(drift={"body": OTHER_BYTES}) as machine:
        job = replace(_again(qc[0], "drift"), exact_check=CHECK_ALWAYS)
        ran = run_job(job, machine)
        later = run_job(_again(qc[1], "drift"), machine)
    assert ran.done, ran.failure
    assert ran.check is not None
    (found,) = ran.check.differences
    start = "MeasureImageQuality: Image.csv: column ImageQuality_PowerLogLogSlope_"
    assert found.startswith(start)
    assert (later.exact, list(later.exact_off)) == ((), [ALL_OFF])
    assert all(_is_plain(plate, job, plain) for job in qc[:2])
    names = {p.relative_to(ran.check.place).as_posix() for p in _files(ran.check.place)}
    assert names == {"plain/Image.csv", "exact/Image.csv"}


def _files(place: str) -> Iterator[Path]:
    return (path for path in Path(place).rglob("*") if path.is_file())


def test_runs_compare_and_say_so(plate: Project, cpengine: Cpengine) -> None:
    # The first two, and another one that was faster than both to begin.
    for step, jobs in (("illum", "1 job"), ("qc", "[23] jobs")):
        ran = cpengine("run", step, "-C", plate.folder, "--workers", "1")
        assert ran.returncode == 0, ran.stderr
        line = f"{step}: {jobs} ran both ways: same bytes$"
        assert re.search(line, ran.stderr, re.MULTILINE)
    shown = cpengine("status", "-C", plate.folder).stdout
    assert ", ".join(NAMES) in shown
    assert "BLAS kernel " in shown
    outcomes = [_outcome(path) for path in _markers(plate, "illum")]
    (illum,) = outcomes
    assert illum["check"]["image_sets"] == host_runs.FIRST
    assert illum["exact"] == list(NAMES)
    status = json.loads(cpengine("status", "-C", plate.folder, "--json").stdout)
    for step in status["steps"]:
        used = step["run"]["accelerations"]
        assert (used["off"], used["differences"]) == ([], [])
        assert step["run"]["exact"] == (used["exact"] > 0)


def _markers(plate: Project, step: str) -> list[Path]:
    folder = plate.places.outputs.path(plate.step(step).ledger) / "markers"
    return sorted(folder.glob("*.done"))


def _outcome(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found
