"""One driver a job: of runs that have jobs in common, one goes on."""

import json
import subprocess
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cpengine.errors import ExecutorError, StorageError
from cpengine.executors.aws.outbox import Sent
from cpengine.executors.aws.record import AwsRecord
from cpengine.ledger import driver_sign, run_record
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import RunRecord, now
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.driver import Driver, refuse_shared
from cpengine.storage.store import Storage
from tests import build

A, B = frozenset({"P1-A01-1", "P1-A01-2"}), frozenset({"P1-A01-2", "P1-A02-1"})
APART = frozenset({"P2-A01-1"})
FIRST, SECOND = "20260101T000000Z-0000", "20260101T000000Z-ffff"
BEGUN: dict[str, Any] = dict.fromkeys(
    ("step", "user", "host", "command", "cwd", "executor", "pipeline"), "x"
) | {"versions": {}, "machine": None, "pipeline_sha256": "", "plugins": None}
BEGUN |= {"jobs": 2, "softened": {}, "then": "", "started": now()}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Storage(str(tmp_path)), "cpengine/B1/analysis")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver is silent after a second, instead of a minute."""
    monkeypatch.setattr(driver_sign, "SILENT_S", 1.0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.load(build.project(tmp_path / "project").root)


def _driver(ledger: Ledger, run: str, jobs: Iterable[str], **more: Any) -> Driver:
    return Driver(ledger, RunRecord(id=run, **BEGUN), jobs, **more)


def _left(ledger: Ledger) -> list[str]:
    return sorted(ledger.storage.sizes(f"{ledger.folder}/drivers"))


def _write(ledger: Ledger, run: str, jobs: Collection[str], **fields: object) -> None:
    folder = f"{ledger.folder}/drivers"
    sign = asdict(Sign(run, now(), "1/2 done", user="ann", host="far")) | fields
    ledger.storage.write(f"{folder}/{run}.jobs", json.dumps(list(jobs)).encode())
    ledger.storage.write(f"{folder}/{run}.alive", json.dumps(sign).encode())


@pytest.mark.parametrize(("mine", "theirs"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_jobs_of_a_run_that_goes_on_are_refused(
    mine: str, theirs: str, ledger: Ledger
) -> None:
    with _driver(ledger, theirs, A, progress=lambda: "1/2 done"):
        before = _left(ledger)
        with pytest.raises(ExecutorError) as refused, _driver(ledger, mine, B):
            pytest.fail("it was let in")
        assert _left(ledger) == before
    line = str(refused.value)
    assert line.startswith("analysis: 1 of the 2 jobs to run is with ")
    assert "'s run on " in line
    assert "ago" in line or "just now" in line
    assert ", 1/2 done: follow it with `cpengine attach`" in line
    with _driver(ledger, mine, B):
        pass
    assert _left(ledger) == []


def test_parts_that_do_not_overlap_run_side_by_side(ledger: Ledger) -> None:
    with _driver(ledger, FIRST, A), _driver(ledger, SECOND, APART):
        assert len(_left(ledger)) == 4


@pytest.mark.parametrize("times", range(5))
def test_of_runs_that_begin_together_one_goes_on(times: int, ledger: Ledger) -> None:
    begun, over = threading.Barrier(6), threading.Event()
    went: list[str] = []
    refused: list[str] = []

    def run(number: int) -> None:
        begun.wait()
        try:
            with _driver(ledger, f"20260101T000000Z-000{number}", A):
                went.append(str(number))
                over.wait(60)
        except ExecutorError:
            refused.append(str(number))
            if len(refused) == 5:
                over.set()

    threads = [threading.Thread(target=run, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(went), len(refused)) == (1, 5)
    assert _left(ledger) == []


@pytest.mark.parametrize(("mine", "theirs"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_a_run_waits_for_what_becomes_of_one_that_still_checks(
    mine: str, theirs: str, ledger: Ledger
) -> None:
    def give_up() -> None:
        for ending in ("alive", "jobs"):
            ledger.storage.remove(f"{ledger.folder}/drivers/{theirs}.{ending}")

    _write(ledger, theirs, A, checking=True)
    threading.Timer(0.7, give_up).start()
    with _driver(ledger, mine, A):
        assert not any(theirs in name for name in _left(ledger))
    _write(ledger, theirs, A, checking=True)
    threading.Timer(0.7, lambda: _write(ledger, theirs, A)).start()
    with pytest.raises(ExecutorError), _driver(ledger, mine, A):
        pytest.fail("it was let in")


def test_of_two_that_check_the_first_goes_on_when_the_other_says_it_waits(
    ledger: Ledger,
) -> None:
    _write(ledger, SECOND, A, checking=True, yields=[FIRST])
    with _driver(ledger, FIRST, A):
        assert f"{SECOND}.alive" in _left(ledger)


@pytest.mark.parametrize("times", range(5))
def test_where_parts_overlap_no_job_is_left_to_nobody(
    times: int, ledger: Ledger
) -> None:
    """One is refused because of a run that goes on, not of one that gives up."""
    parts = {"a": {"1"}, "b": {"1", "2"}, "c": {"2"}}
    begun, over = threading.Barrier(3), threading.Event()
    went, ended = set[str](), list[str]()

    def run(name: str) -> None:
        begun.wait()
        try:
            with _driver(ledger, f"20260101T000000Z-000{name}", parts[name]):
                went.update(parts[name])
                ended.append(name)
                over.wait(60)
        except ExecutorError:
            ended.append(name)
        if len(ended) == 3:
            over.set()

    def watch() -> None:
        give_up = time.monotonic() + 50
        while len(ended) < 3 and time.monotonic() < give_up:
            time.sleep(0.05)
        over.set()

    threads = [threading.Thread(target=run, args=[name]) for name in parts]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert went == {"1", "2"}


def test_a_run_that_does_not_begin_leaves_no_record(ledger: Ledger) -> None:
    with _driver(ledger, FIRST, A):
        assert run_record.read(ledger, FIRST) is not None  # to be followed
        with pytest.raises(ExecutorError), _driver(ledger, SECOND, A):
            pytest.fail("it was let in")
        assert run_record.read(ledger, SECOND) is None
    assert run_record.read(ledger, FIRST) is None
    with _driver(ledger, FIRST, A) as driver:
        driver.begin({})
    assert run_record.read(ledger, FIRST) is not None


def test_without_a_sign_that_can_be_written_no_run_begins(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(storage: Storage, key: str, data: bytes) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(Storage, "write", full)
    with pytest.raises(StorageError), _driver(ledger, FIRST, A):
        pytest.fail("it was let in")


def test_a_run_that_was_killed_on_this_machine_is_followed_without_waiting(
    ledger: Ledger,
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    _write(ledger, FIRST, A, pid=ended.pid)
    notes: list[str] = []
    with _driver(ledger, SECOND, A, note=notes.append):
        assert notes == []
        assert not any(FIRST in name for name in _left(ledger))


def test_a_silent_run_elsewhere_is_watched_then_asked_to_stop(ledger: Ledger) -> None:
    _write(ledger, FIRST, A, namespace="a-b-c", pid=1)
    notes: list[str] = []
    with _driver(ledger, SECOND, A, note=notes.append):
        (note,) = notes
        assert note.startswith("ann's run on far, 1/2 done has some of these jobs: wat")
        assert _left(ledger) == [
            f"{FIRST}.stop",
            f"{SECOND}.alive",
            f"{SECOND}.jobs",
        ]


def test_a_run_of_a_version_that_does_not_name_its_jobs_has_them_all(
    ledger: Ledger,
) -> None:
    _write(ledger, FIRST, [])
    ledger.storage.remove(f"{ledger.folder}/drivers/{FIRST}.jobs")
    with pytest.raises(ExecutorError, match="2 of the 2 jobs"):
        refuse_shared(ledger, APART | {"another"})


def test_asking_before_a_run_changes_nothing(ledger: Ledger) -> None:
    _write(ledger, FIRST, A, namespace="a-b-c", pid=1)
    before = ledger.storage.tree(ledger.folder)
    refuse_shared(ledger, APART)
    refuse_shared(ledger, A)  # it is silent
    refuse_shared(ledger, ())
    assert ledger.storage.tree(ledger.folder) == before


# Machines on AWS, which need no driver


@pytest.fixture
def on_aws(ledger: Ledger, project: Project) -> AwsRecord:
    record = AwsRecord(ledger.storage, ledger.folder, "proj_analysis")
    record.started = now()
    record.note("queue", "proj_analysisQueue")
    Sent(ledger, "queue-1").add(project.plan("analysis").jobs[:1])
    return record


def test_jobs_with_machines_on_aws_are_not_run_elsewhere(
    ledger: Ledger, on_aws: AwsRecord
) -> None:
    with pytest.raises(ExecutorError) as refused:
        refuse_shared(ledger, {"P1-A01-1"}, on="local")
    line = str(refused.value)
    assert "1 of the 1 job to run is with machines on AWS, since" in line
    assert "`cpengine aws down analysis` ends them" in line
    refuse_shared(ledger, {"P1-A01-1"}, on="aws")  # it goes on with them
    refuse_shared(ledger, {"P1-A02-1"}, on="local")


@pytest.mark.parametrize("change", [{"down": "now"}, {"started": ""}])
def test_jobs_of_machines_that_are_not_there_run_elsewhere(
    change: dict[str, str], ledger: Ledger, on_aws: AwsRecord
) -> None:
    for name, value in change.items():
        setattr(on_aws, name, value)
    on_aws.write()
    refuse_shared(ledger, {"P1-A01-1"}, on="local")


# From Python


def test_a_run_from_python_is_one_like_any_other(project: Project) -> None:
    plan = project.plan("analysis")
    ledger = project.ledger(plan.step)
    part = project.plan("analysis", Part(wells=frozenset({"A01"})))
    with project.running(part, part.jobs):
        (record,) = run_record.all_runs(ledger)
        assert (record["executor"], record["ended"]) == ("python", "")
        with pytest.raises(ExecutorError, match="2 of the 4 jobs to run are with"):
            refuse_shared(ledger, [job.id for job in plan.jobs])
        with pytest.raises(ExecutorError), project.running(plan, plan.jobs):
            pytest.fail("it was let in")
    with pytest.raises(KeyError), project.running(plan, plan.jobs):
        raise KeyError
    with project.running(plan, []):
        pass
    results = [record["result"] for record in run_record.all_runs(ledger)]
    assert sorted(results) == ["ended", "stopped"]
