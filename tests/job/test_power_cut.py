"""What a power cut may take: nothing that a marker stands for."""

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.executors.contract import VERSION
from cpengine.job.run_job import Machine, run_job
from cpengine.ledger.ledger import Ledger
from cpengine.marker import marker_of
from cpengine.model import FailureKind, Job, Outcome
from cpengine.storage.store import Storage
from cpengine.testing import jobs, machine
from tests.publishing import put
from tests.services.disk import Disk, disk

__all__ = ["disk"]

FILES = ("Image.csv", "P1.json")


@pytest.fixture
def this_machine(tmp_path: Path) -> Machine:
    return machine(tmp_path, {})


@pytest.fixture
def job() -> Job:
    (job,) = jobs("P1")
    return job


def markers(tmp_path: Path, job: Job) -> Iterator[Path]:
    return (tmp_path / job.ledger / "markers").iterdir()


def test_what_a_marker_stands_for_is_on_the_disk_before_it(
    this_machine: Machine, job: Job, disk: Disk, tmp_path: Path
) -> None:
    assert run_job(job, this_machine).done
    (marker,) = markers(tmp_path, job)
    place = tmp_path / job.destination
    assert {path.name for path in place.iterdir()} == set(FILES)
    for path in (*place.iterdir(), place, place.parent, tmp_path):
        assert disk.lasts(path, when=marker.name), path
    assert disk.lasts(marker, when=marker.name)  # never a name without its content
    for path in (marker.parent, marker.parent.parent):
        assert disk.lasts(path), path


def test_markers_that_were_set_aside_do_not_come_back(
    this_machine: Machine, job: Job, disk: Disk, tmp_path: Path
) -> None:
    outcome = run_job(job, this_machine)
    (marker,) = markers(tmp_path, job)
    folder = marker.parent.stat()
    disk.synced.clear()
    log = tmp_path / "log"
    log.touch()
    (tmp_path / "output").mkdir()
    (tmp_path / "output/Image.csv").write_text("new")
    forced = replace(job, earlier=(marker_of(outcome),))
    put(
        forced,
        Ledger(this_machine.places.outputs, job.ledger),
        tmp_path / "output",
        ["Image.csv"],
        log,
    )
    assert [path.suffix for path in markers(tmp_path, job)] == [".replaced"]
    assert (folder.st_dev, folder.st_ino) in disk.at["Image.csv"]


def test_a_key_that_a_later_run_takes_over_is_on_the_disk_before_its_files(
    this_machine: Machine, job: Job, disk: Disk, tmp_path: Path
) -> None:
    assert run_job(replace(job, run=1), this_machine).done
    disk.synced.clear()
    later = replace(job, run=2, fingerprint="another")
    assert run_job(later, this_machine).done
    (key,) = (p for p in tmp_path.rglob("*turns/**/*") if p.is_file())
    for path in (key, key.parent):
        assert disk.lasts(path, when="Image.csv")


def test_claims_are_on_the_disk_before_the_marker(
    disk: Disk, job: Job, tmp_path: Path
) -> None:
    shared = replace(job, output_structure="all")
    assert shared.shares_place
    (tmp_path / "output").mkdir()
    (tmp_path / "output/P1.csv").write_text("1")
    (tmp_path / "log").touch()
    ledger = Ledger(Storage(str(tmp_path)), job.ledger)
    put(shared, ledger, tmp_path / "output", ["P1.csv"], tmp_path / "log")
    (claim,) = (tmp_path / ".claims").glob("*/P1.csv")
    assert all(disk.lasts(path) for path in (claim, *claim.parents[:3]))


def test_a_claim_is_never_a_name_without_its_owner(disk: Disk, tmp_path: Path) -> None:
    assert Storage(str(tmp_path)).create("claims/P1.csv", b"P1-A01")
    assert disk.lasts(tmp_path / "claims/P1.csv", when="P1.csv")


def test_slots_are_free_while_the_disk_is_waited_for(
    this_machine: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = []
    monkeypatch.setattr(
        os, "fsync", lambda opened: free.append(this_machine.slots._free)
    )
    before = this_machine.slots._free
    assert run_job(job, this_machine).done
    assert len(free) > len(FILES)
    assert set(free) == {before}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_does_not_keep_the_files_fails_the_job(
    this_machine: Machine,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: int,
) -> None:
    def lost(opened: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", lost)
    failure = run_job(job, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.STORAGE
    assert os.strerror(code) in failure.message
    assert not [path for path in markers(tmp_path, job) if path.suffix == ".done"]


def test_a_file_system_that_cannot_be_asked_is_taken_as_it_is(
    this_machine: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(opened: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unable)
    assert run_job(job, this_machine).done


def test_nothing_is_asked_of_a_disk_for_other_storages(
    disk: Disk, job: Job, tmp_path: Path
) -> None:
    storage = Storage(f"memory://{tmp_path.name}")
    (tmp_path / "output").mkdir()
    (tmp_path / "output/a").write_text("1")
    (tmp_path / "log").touch()
    ledger = Ledger(storage, job.ledger)
    put(job, ledger, tmp_path / "output", ["a"], tmp_path / "log")
    ledger.record(Outcome(job, files={"a": 1}, versions={"cellprofiler": VERSION}))
    assert not disk.synced


def test_a_job_whose_marker_is_empty_runs_again_and_leaves_it_whole(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    first = run_job(job, this_machine)
    (marker,) = markers(tmp_path, job)
    marker.write_bytes(b"")
    shutil.rmtree(tmp_path / job.output)
    ledger = Ledger(this_machine.places.outputs, job.ledger)
    (standing,) = ledger.standings([job], VERSION)
    assert run_job(standing.job, this_machine).done
    (marker,) = markers(tmp_path, job)
    assert ledger.outcome(job, VERSION) is not None
    assert ledger.damaged([job]) == []
    assert set(first.files) == {p.name for p in (tmp_path / "out/P1").iterdir()}
