"""`--on slurm` as a user meets it: what is wrong in a line, runs that go on alone."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cpengine.cli import app
from cpengine.executors import contract
from cpengine.executors.early_exits import EarlyExits
from cpengine.project import Project
from tests import build
from tests.build import Built
from tests.executors.slurm.workers import section
from tests.plain_runs import Cpengine
from tests.services.slurm.cluster import Cluster

Make = Callable[..., Built]


@pytest.fixture
def make(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a project of four sites for the stand-in, with settings of the cluster."""
    tool = tmp_path / "tool"
    tool.mkdir()
    found = contract.stand_in(tool, {})
    monkeypatch.setenv("CPENGINE_CELLPROFILER", found.command[0])

    def project(faults: dict[str, list[str]] | None = None, **changes: Any) -> Built:
        made = build.project(tmp_path / "project", toml=section(**changes))
        path = tool / "faults.json"
        path.write_text(json.dumps(faults or {}))
        return made

    return project


def _refusal(ran: Any) -> str:
    """The one error line of a command that was refused."""
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert ran.returncode == 2, ran.stderr
    assert len(errors) == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    return str(errors[0])


def _wait(until: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 90
    while not until():
        assert time.monotonic() < end, f"it takes too long until {what}"
        time.sleep(0.1)


def _tried(made: Built) -> list[str]:
    return sorted(path.name for path in (made.root.parent / "tool").glob("*.attempt*"))


SLURM = ("--on", "slurm")
REFUSED = [
    ({"partition": "nope"}, "SLURM refuses the workers: .*Invalid partition name"),
    ({"account": "nobody"}, "SLURM refuses the workers: .*account"),
    (
        {"memory_gb": 4.0},  # 96 MB more than a node has
        r"SLURM refuses the workers: .*Memory specification.*; asked for 1 core and "
        r"4096M of memory, nodes have 2 cores and 4000M of memory: lower memory_gb",
    ),
    (
        {"cores": 64},
        r"SLURM will never start the workers \(PartitionConfig; asked for 64 cores and "
        r"1024M of memory, nodes have 2 cores and 4000M of memory\): lower",
    ),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_the_cluster_refuses_is_one_line_and_nothing_stays_in_the_queue(
    slurm: Cluster,
    make: Make,
    cpengine: Cpengine,
    changes: dict[str, Any],
    words: str,
) -> None:
    made = make(**changes)
    ran = cpengine("run", "analysis", "-C", made.root, "--on", "slurm")
    line = _refusal(ran)
    assert re.search(words, line), line
    _wait(lambda: not slurm.running(), "the queue is empty")
    assert _tried(made) == []


USELESS = [
    ({"scratch": "$NOWHERE"}, r"\$NOWHERE.*not set"),
    ({"scratch": "/proc"}, "/proc is full: less than 1 GB"),
    ({"prologue": ["export CPENGINE_CELLPROFILER=/nowhere"]}, "CPENGINE_CELLPROFILER"),
    ({"python": "/nowhere/python"}, "(not found|No such file).*FAILED"),
    ({"prologue": ["echo that was all", "exit 7"]}, "that was all.*exit code 7"),
]


@pytest.mark.parametrize(("changes", "words"), USELESS)
def test_workers_that_end_at_once_are_noted_and_later_end_the_run(
    slurm: Cluster,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.setattr(EarlyExits, "patience_s", 1.0)
    made = make(**changes)
    ran = CliRunner().invoke(app, ["run", "analysis", "-C", str(made.root), *SLURM])
    assert ran.exit_code == 2, ran.output
    common = "workers in a row have ended at once, and no job has begun"
    line, error = [line for line in ran.stderr.splitlines() if common in line]
    assert re.search(words, line), line
    assert error.startswith("error: ")
    assert re.search(words, error), error
    assert "Traceback" not in ran.output
    _wait(lambda: not slurm.running(), "the queue is empty")
    assert _tried(made) == []


def test_a_wrong_walltime_is_reported_before_anything_starts(
    slurm: Cluster, make: Make, cpengine: Cpengine
) -> None:
    made = make()
    made.toml.write_text(made.toml.read_text().replace("00:10:00", "10 minutes"))
    line = _refusal(cpengine("run", "analysis", "-C", made.root, "--on", "slurm"))
    assert "executors.slurm.walltime" in line
    assert "write it as HH:MM:SS" in line
    assert slurm.jobs() == [] or not slurm.running()


def test_missing_sbatch_is_reported(
    make: Make, cpengine: Cpengine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        ran = cpengine("run", "analysis", "-C", made.root, "--on", "slurm")
    line = _refusal(ran)
    assert "sbatch is not on PATH: run it on a machine of the cluster" in line


def test_dry_run_shows_the_job_script_and_submits_nothing(
    slurm: Cluster, make: Make, cpengine: Cpengine
) -> None:
    made = make(partition="debug", account="acct1", directives=["--nice=100"])
    before = slurm.jobs()
    ran = cpengine("run", "analysis", "-C", made.root, "--on", "slurm", "--dry-run")
    assert ran.returncode == 0
    assert "would run 4 of 4 jobs" in ran.stdout
    for line in ("-p debug", "-A acct1", "--mem=1024M", "-t 00:10:00", "--nice=100"):
        assert f"\n#SBATCH {line}\n" in ran.stdout
    assert slurm.jobs() == before
    assert not (made.root / ".cpengine").exists()


def test_a_worker_may_have_all_that_a_node_has(
    slurm: Cluster, make: Make, cpengine: Cpengine
) -> None:
    made = make(memory_gb=3.9)  # a node has 4000 MB: with whole gigabytes it is refused
    ran = cpengine("run", "analysis", "-C", made.root, "--on", "slurm")
    assert ran.returncode == 0, ran.stderr


def test_a_worker_that_is_too_large_is_reported_by_check(
    slurm: Cluster, make: Make, cpengine: Cpengine
) -> None:
    made = make(memory_gb=4.0)
    ran = cpengine("check", "analysis", "-C", made.root, "--on", "slurm")
    assert ran.returncode == 2
    assert "asked for 1 core and 4096M of memory, nodes have 2 cores" in ran.stdout


def test_a_refused_driver_says_what_to_do(
    slurm: Cluster, make: Make, cpengine: Cpengine
) -> None:
    made = make(driver_partition="nope")
    ran = cpengine("run", "analysis", "-C", made.root, "--on", "slurm", "--detach")
    line = _refusal(ran)
    assert re.search("refuses the driver's job: .*: change driver_partition", line)
    assert 'driver = "process"' in line
    assert not slurm.running()


@pytest.mark.parametrize("driver", ["job", "process"])
def test_a_detached_run_is_followed_to_its_end(
    slurm: Cluster, make: Make, cpengine: Cpengine, driver: str
) -> None:
    slow = {f"P1-A0{well}-{site}": ["slow3"] for well in (1, 2) for site in (1, 2)}
    made = make(slow, driver=driver, workers=1)  # so that it is there to be followed
    where = ("-C", made.root)
    ran = cpengine("run", "analysis", *where, "--on", "slurm", "--detach")
    assert ran.returncode == 0, ran.stderr
    assert ("SLURM job " if driver == "job" else "process ") in ran.stdout
    _wait(lambda: _tried(made), "a job runs")
    ran = cpengine("attach", *where, "--every", "1")
    assert ran.returncode == 0, ran.stderr
    assert "ended: 4 done, 0 failed" in ran.stdout
    assert "/4 done" in ran.stderr


def test_a_run_is_cancelled_from_elsewhere(
    slurm: Cluster, make: Make, cpengine: Cpengine
) -> None:
    made = make({"P1-A01-2": ["hang"], "P1-A02-1": ["hang"]})
    where = ("-C", made.root)
    assert not cpengine("run", "analysis", *where, "--on", "slurm", "--detach").stderr
    ledger = Project.load(made.root).step("analysis").ledger
    markers = made.root / ledger / "markers"
    _wait(lambda: list(markers.glob("P1-A01-1*.done")), "a job is done")
    ran = cpengine("cancel", *where)
    assert ran.returncode == 0, ran.stderr
    assert "stopped: 1 done" in ran.stdout
    _wait(lambda: not slurm.running(), "driver and workers are gone")
    ran = cpengine("status", "analysis", *where, "--json")
    (step,) = json.loads(ran.stdout)["steps"]
    assert (step["done"], step["failed"], step["left"]) == (1, 0, 3)
    assert not list((made.root / ledger / "drivers").iterdir())
    assert "no run is under way" in _refusal(cpengine("cancel", *where))


@pytest.fixture
def killed(slurm: Cluster, make: Make, cpengine: Cpengine) -> Built:
    """A project whose driver was killed when one of four jobs was left."""
    made = make({"P1-A01-2": ["hang"]}, driver="job")
    where = ("-C", made.root)
    assert not cpengine("run", "analysis", *where, "--on", "slurm", "--detach").stderr
    ledger = made.root / Project.load(made.root).step("analysis").ledger
    _wait(lambda: len(list((ledger / "markers").glob("*.done"))) == 3, "three are done")
    (driver,) = slurm.running("cpengine-driver")
    slurm.stop_job_processes(driver.id)
    return made


def test_a_run_whose_driver_was_killed_goes_on(
    killed: Built, cpengine: Cpengine
) -> None:
    where = ("-C", killed.root)
    ran = cpengine("attach", *where)
    assert re.search(r"'s driver on \S+ is gone", _refusal(ran))
    ran = cpengine("run", "analysis", *where, "--on", "slurm")
    assert ran.returncode == 0, ran.stderr
    assert "3 done before" in ran.stdout
    assert len(_tried(killed)) == 5


def test_attach_starts_a_killed_run_again_if_asked(
    killed: Built, cpengine: Cpengine
) -> None:
    ran = cpengine("attach", "-C", killed.root, "--go-on")
    assert ran.returncode == 0, ran.stderr
    assert "going on with" in ran.stderr
    assert "3 done before" in ran.stdout
    assert len(_tried(killed)) == 5
