"""A run that cannot publish: what earlier runs have published stays, and stays done."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.executors.contract import VERSION
from cpengine.job.run_job import Machine, run_job
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState
from cpengine.model import Job
from cpengine.storage import local_files
from cpengine.storage.store import Storage
from cpengine.testing import jobs, machine

Files = dict[str, bytes]


@pytest.fixture
def bench(tmp_path: Path) -> Machine:
    """A machine, and a ledger of some runs."""
    there = machine(tmp_path, {})
    for number in (1, 2, 3):
        there.places.outputs.write(f"ledger/order/{number}", b"")
    return there


@pytest.fixture
def job() -> Job:
    (job,) = jobs("P1")
    return replace(job, run=1, fingerprint="old")


def forced(bench: Machine, job: Job, **changes: object) -> Job:
    """The job as the next run has it, which does all again."""
    ledger = Ledger(bench.places.outputs, job.ledger)
    (standing,) = ledger.standings([replace(job, **changes)], VERSION)  # type: ignore[arg-type]
    return replace(standing.job, run=job.run + 1)


def files(bench: Machine, job: Job) -> Files:
    storage = bench.places.outputs
    names = sorted(storage.tree(job.destination))
    return {name: storage.read(f"{job.destination}/{name}") for name in names}


def state(bench: Machine, job: Job) -> JobState:
    (standing,) = Ledger(bench.places.outputs, job.ledger).standings([job], VERSION)
    return standing.state


def full_for_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    move, moved = local_files.move_beside, []

    def full(file: Path, url: str) -> Path:
        moved.append(url)
        if len(moved) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), url)
        return move(file, url)

    monkeypatch.setattr(local_files, "move_beside", full)


def no_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is on the disk that is full."""
    write = Storage.write

    def full(self: Storage, key: str, data: bytes, *, durable: bool = False) -> None:
        if key.endswith(".replaced"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), key)
        write(self, key, data, durable=durable)

    monkeypatch.setattr(Storage, "write", full)


def no_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder of many users, over a file of another one."""

    def refused(file: Path, url: str) -> None:
        if "/out/" in url:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), url)
        os.replace(file, url)

    monkeypatch.setattr(local_files, "move", refused)


BREAKS = {f.__name__: f for f in (full_for_the_second, no_marker, no_rename)}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("run", [1, 0])
def test_a_forced_run_that_cannot_publish_undoes_nothing(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch, name: str, run: int
) -> None:
    assert run_job(replace(job, run=run), bench).done
    before, again = files(bench, job), forced(bench, job)
    with monkeypatch.context() as patch:
        BREAKS[name](patch)
        outcome = run_job(replace(again, run=2 * run), bench)
    assert outcome.failure is not None
    assert files(bench, job) == before
    assert state(bench, job) is JobState.DONE
    assert run_job(replace(forced(bench, job), run=3 * run), bench).done


def test_nor_does_a_run_of_what_is_stale(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_job(job, bench).done
    again = forced(bench, job, fingerprint="new")
    full_for_the_second(monkeypatch)
    assert not run_job(again, bench).done
    assert state(bench, job) is JobState.DONE
    assert state(bench, again) is JobState.FAILED


def test_nor_what_another_step_has_put_there(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = replace(job, ledger=f"ledgers/{job.step}")
    renamed = replace(job, step="renamed", ledger="ledgers/renamed")
    assert run_job(mine, bench).done
    with monkeypatch.context() as patch:
        no_rename(patch)
        assert not run_job(renamed, bench).done
    assert state(bench, mine) is JobState.DONE
    assert run_job(renamed, bench).done
    assert state(bench, mine) is JobState.LEFT


def test_a_run_that_was_killed_before_its_first_file_leaves_who_was_there(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of another step's results had been taken over by then."""
    mine = replace(job, ledger=f"ledgers/{job.step}")
    renamed = replace(job, step="renamed", ledger="ledgers/renamed")
    assert run_job(mine, bench).done
    killed(monkeypatch, lambda: run_job(renamed, bench))
    assert state(bench, mine) is JobState.DONE
    assert run_job(renamed, bench).done
    assert state(bench, mine) is JobState.LEFT


def killed(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Do something that is killed when it is about to set markers aside."""

    class Killed(BaseException):
        pass

    def kill(self: Ledger, name: str) -> bool:
        monkeypatch.undo()
        monkeypatch.setattr(Storage, "write", lambda *args, **kw: None)
        monkeypatch.setattr(Storage, "replace", lambda *args: False)
        raise Killed

    monkeypatch.setattr(Ledger, "set_aside", kill)
    with pytest.raises(Killed):
        do()
    monkeypatch.undo()


def test_after_it_a_run_that_ends_late_is_late_still(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = replace(job, run=2, fingerprint="new")
    assert run_job(second, bench).done
    before = files(bench, job)
    with monkeypatch.context() as patch:
        no_marker(patch)
        assert not run_job(forced(bench, second), bench).done
    key = Ledger(bench.places.outputs, job.ledger).turn(job)
    turn = json.loads(bench.places.outputs.read(key))
    assert (turn["run"], turn["fingerprint"]) == (2, "new")
    late = run_job(job, bench)
    assert late.failure is not None
    assert late.failure.kind == "superseded"
    assert files(bench, job) == before


def test_a_file_that_was_replaced_takes_back_that_the_job_is_done(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_job(job, bench).done
    again, move, moved = forced(bench, job), local_files.move, []

    def second_fails(file: Path, url: str) -> None:
        moved.extend([url] if "/out/" in url else [])
        if len(moved) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO), url)
        move(file, url)

    with monkeypatch.context() as patch:
        patch.setattr(local_files, "move", second_fails)
        assert not run_job(again, bench).done
    assert state(bench, job) is not JobState.DONE
    assert run_job(replace(forced(bench, job), run=3), bench).done


def test_nothing_in_the_making_is_left(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full_for_the_second(monkeypatch)
    assert not run_job(job, bench).done
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_results_in_a_bucket_stay_where_it_takes_no_more(
    bucket_bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, storage = bucket_bench, bucket_bench.places.outputs
    assert run_job(replace(job, run=0), there).done
    before, again = files(there, job), forced(there, job)
    send = type(storage._filesystem("")).pipe_file

    def refused(self: object, path: str, *args: object, **more: object) -> object:
        if "/out/" in path:
            raise PermissionError("Access Denied")
        return send(self, path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(storage._filesystem("")), "pipe_file", refused)
        patch.setattr(Storage, "publish", None)
        assert not run_job(replace(again, run=0), there).done
    assert files(there, job) == before
    assert state(there, job) is JobState.DONE


def test_the_turn_is_not_waited_for_with_files_to_copy(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another run could begin while a disk is slow: the key says done still."""
    created, move = [], local_files.move_beside

    def see(file: Path, url: str) -> Path:
        key = Ledger(bench.places.outputs, job.ledger).turn(job)
        created.append(bench.places.outputs.exists(key))
        return move(file, url)

    monkeypatch.setattr(local_files, "move_beside", see)
    assert run_job(job, bench).done
    assert created
    assert not any(created)
