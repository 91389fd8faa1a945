"""One place, whoever publishes there: steps, batches, and projects of their ledgers."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cpengine.executors.contract import VERSION
from cpengine.job.run_job import Machine, run_job
from cpengine.job.turns import Turn
from cpengine.ledger.claims import Claims
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState
from cpengine.model import FailureKind, Job, Outcome
from cpengine.storage.real_place import real_place
from cpengine.storage.store import Storage
from cpengine.testing import jobs, machine

HOME = "projects/p/workspace/cpengine"


@pytest.fixture
def bench(tmp_path: Path) -> Machine:
    """A machine, and runs of two batches."""
    there = machine(tmp_path, {})
    for batch in ("B1", "B2"):
        for number in (1, 2, 3):
            there.places.outputs.write(f"{HOME}/{batch}/test/order/{number}", b"")
    return there


@pytest.fixture
def job() -> Job:
    (job,) = jobs("P1")
    return replace(job, run=1, fingerprint="f", ledger=f"{HOME}/B1/test")


def in_batch(job: Job, batch: str, **changes: object) -> Job:
    ledger = f"{HOME}/{batch}/test"
    return replace(job, ledger=ledger, fingerprint=batch, **changes)  # type: ignore[arg-type]


def ledger_of(bench: Machine, job: Job) -> Ledger:
    return Ledger(bench.places.outputs, job.ledger)


def state(bench: Machine, job: Job) -> JobState:
    (standing,) = ledger_of(bench, job).standings([job], VERSION)
    return standing.state


def refused(outcome: Outcome, why: str) -> bool:
    failure = outcome.failure
    assert failure is not None
    assert failure.kind is FailureKind.BAD_INPUT
    return why in failure.message


def test_a_batch_does_not_replace_what_another_one_has_done(
    bench: Machine, job: Job, tmp_path: Path
) -> None:
    first, second = in_batch(job, "B1"), in_batch(job, "B2")
    assert run_job(first, bench).done
    text = (tmp_path / "out/P1/Image.csv").read_text()
    why = f"{tmp_path}/out/P1: has the results of P1 of batch B1: give each batch an"
    assert refused(run_job(second, bench), why)
    assert (tmp_path / "out/P1/Image.csv").read_text() == text
    assert (state(bench, first), state(bench, second)) == ("done", "failed")
    assert run_job(replace(first, run=2, fingerprint="B1-new"), bench).done


def test_nor_does_one_that_was_refused_bar_the_other(bench: Machine, job: Job) -> None:
    first, second = in_batch(job, "B1"), in_batch(job, "B2")
    assert run_job(first, bench).done
    assert not run_job(second, bench).done
    ledger = ledger_of(bench, first)
    for name in ledger.markers()["P1"]:
        ledger.remove(name)  # as if its results were not wanted any more
    assert run_job(replace(second, run=2), bench).done


SPELLINGS: dict[str, Callable[[Path], str]] = {
    "whole path": lambda root: f"{root}/out",
    "address": lambda root: f"file://{root}/out",
    "link": lambda root: "linked",
    "points": lambda root: "./out/../out/",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("batch", ["B1", "B2"])
def test_a_place_is_one_however_it_is_spelt(
    bench: Machine, job: Job, tmp_path: Path, spelling: str, batch: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "out")
    first = in_batch(job, "B1")
    assert run_job(first, bench).done
    other = in_batch(job, batch, output=SPELLINGS[spelling](tmp_path))
    if batch == "B1":  # a step that was renamed takes the place, and says so
        other = replace(other, step="renamed", ledger=f"{HOME}/B1/renamed")
    assert run_job(other, bench).done == (batch == "B1")
    assert (state(bench, first) == "done") == (batch == "B2")


def test_a_place_is_one_at_any_depth_of_output_and_structure(
    bench: Machine, job: Job
) -> None:
    first = in_batch(job, "B1", output="out", output_structure="a/Metadata_Plate")
    other = in_batch(job, "B2", output="out/a", output_structure="")
    assert first.destination == other.destination
    assert run_job(first, bench).done
    assert refused(run_job(other, bench), "batch B1")


def test_batches_of_one_folder_share_names_of_files_as_jobs_do(
    bench: Machine, job: Job
) -> None:
    """Also a folder of many jobs, in which each owns its files."""
    first = in_batch(job, "B1", output_structure="all")
    second = in_batch(job, "B2", output_structure="all")
    assert run_job(first, bench).done
    why = "out/all/Image.csv was made by B1/test P1 already"
    assert refused(run_job(second, bench), why)
    assert state(bench, first) == "done"


def test_a_copy_of_all_goes_on_by_itself(
    bench: Machine, job: Job, tmp_path: Path
) -> None:
    assert run_job(job, bench).done
    shutil.copytree(tmp_path, tmp_path.with_name("copy"), symlinks=True)
    copied = Storage(str(tmp_path.with_name("copy")))
    there = replace(bench, places=replace(bench.places, outputs=copied))
    assert state(there, job) == "done"
    assert run_job(replace(job, run=2, fingerprint="new"), there).done
    assert state(there, job) != "done"
    assert state(bench, job) == "done"


def test_turns_of_an_older_ledger_count(bench: Machine, job: Job) -> None:
    """A step was renamed since, and a run began before another one that has ended."""
    older = replace(job, older_records=True)
    renamed = replace(older, step="renamed", ledger=f"{HOME}/B1/renamed")
    assert run_job(replace(job, run=0), bench).done
    as_before(bench, job, run=2)
    assert run_job(renamed, bench).done
    assert state(bench, job) != "done"
    late = run_job(replace(older, fingerprint="late"), bench)
    assert late.failure is not None
    assert late.failure.kind is FailureKind.SUPERSEDED


def as_before(bench: Machine, job: Job, run: int) -> None:
    """Write a turn as a version before has left it."""
    turn = asdict(Turn(run, job.fingerprint, VERSION, job.step, job.id))
    old = {name: turn[name] for name in turn if name not in ("ledger", "over")}
    key = ledger_of(bench, job).older_turn(job)
    bench.places.outputs.write(key, json.dumps(old).encode())


@pytest.mark.parametrize("shared", [False, True])
def test_claims_of_an_older_ledger_count(
    bench: Machine, job: Job, shared: bool
) -> None:
    (other,) = jobs("P2")
    key = f"{HOME}/B1/.claims/out/all" if shared else f"{HOME}/B1/test/claims/all"
    owner = "test P1" if shared else "P1"
    bench.places.outputs.write(f"{key}/Image.csv", owner.encode())
    older = {"output_structure": "all", "shared": shared, "older_records": True}
    first, second = (in_batch(replace(j, run=1), "B1", **older) for j in (job, other))
    assert refused(run_job(second, bench), "Image.csv was made by P1 already")
    assert run_job(first, bench).done
    assert refused(run_job(second, bench), "Image.csv was made by P1 already")
    claims = Claims.of_job(ledger_of(bench, first), first)
    assert claims.owners()["Image.csv"] == "B1/test P1"


def test_a_ledger_knows_whether_a_version_before_has_written_it(
    bench: Machine, job: Job
) -> None:
    ledger = ledger_of(bench, job)
    assert run_job(job, bench).done
    assert not ledger.has_older_records()
    as_before(bench, job, run=1)
    assert ledger.has_older_records()
    (new,) = jobs("P2")
    in_step = Ledger(ledger.storage, f"{HOME}/B2/test")
    assert not in_step.has_older_records()
    ledger.storage.write(f"{HOME}/B2/test/claims/all/a", new.id.encode())
    assert in_step.has_older_records()


@pytest.mark.parametrize(
    ("root", "key", "place"),
    [
        ("s3://bucket/a", "out/P1", "out/P1"),
        ("s3://bucket/a", "out//./x/../P1/", "out/P1"),
        ("s3://bucket/a/", "s3://bucket/a/out/P1", "out/P1"),
        ("s3://bucket/a", "s3a://bucket//a/out/P1", "out/P1"),
        ("s3://bucket/a", "s3://bucket/ab/out", "s3://bucket/ab/out"),
        ("s3://bucket", "s3://other/out", "s3://other/out"),
        ("/", "/no/such/out/", "no/such/out"),
        ("/tmp", "file:///no/such/../such/out", "/no/such/out"),
    ],
)
def test_a_place_has_one_name(root: str, key: str, place: str) -> None:
    assert real_place(Storage(root), key) == place
