"""Folders of results for which somebody put a link, and what jobs do behind it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.job.run_job import Machine, run_job
from cpengine.ledger.ledger import Ledger
from cpengine.marker import marker_of
from cpengine.model import FailureKind, Job, Outcome
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from cpengine.testing import jobs, machine
from tests.services.other_user import OtherUser, other_user

__all__ = ["other_user"]

KEYS = ".ssh/authorized_keys"


@pytest.fixture
def job() -> Job:
    (job,) = jobs("P1")
    return job


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that has nothing to do with any job."""
    keys = tmp_path / "home" / KEYS
    keys.parent.mkdir(parents=True)
    keys.write_text("mine")
    return tmp_path / "home"


def in_home(home: Path) -> list[str]:
    return sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())


def shared(this_machine: Machine, folder: Path) -> Machine:
    """A machine with the outputs in a folder in which all may write."""
    places = this_machine.places
    outputs = Storage(str(folder))
    return replace(
        this_machine, places=Places(places.images, places.workspace, outputs)
    )


def forced(job: Job, outcome: Outcome, this_machine: Machine, *names: str) -> Job:
    """The job that is to run again, after somebody added names to its marker."""
    ledger = Ledger(this_machine.places.outputs, job.ledger)
    ledger.record(replace(outcome, files={**outcome.files, **dict.fromkeys(names, 4)}))
    return replace(job, earlier=(marker_of(outcome),))


def test_nothing_is_written_or_removed_behind_a_link_of_another_user(
    other_user: OtherUser, job: Job, home: Path, tmp_path: Path
) -> None:
    this_machine = shared(machine(tmp_path, {}), other_user.shared)
    outcome = run_job(job, this_machine)
    assert outcome.done
    again = forced(job, outcome, this_machine, KEYS)
    place = other_user.shared / job.destination
    place.rename(place.with_name("old"))
    place.parent.chmod(0o777)
    other_user.run(f"ln -s {home} {place}")
    failure = run_job(again, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.STORAGE
    assert failure.message.startswith(
        f"{place}: is a link that another user has made, so nothing is written"
    )
    assert in_home(home) == [KEYS]


@pytest.mark.parametrize("where", ["P1", "."])
def test_files_that_a_marker_names_behind_a_link_are_not_removed(
    job: Job, home: Path, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the link is one's own, as others may have moved it there."""
    this_machine = machine(tmp_path, {})
    outcome = run_job(job, this_machine)
    again = forced(job, outcome, this_machine, KEYS)
    place = tmp_path / job.destination
    if where == "P1":
        place.rename(place.with_name("old"))
        place.symlink_to(home)
    else:
        (place / ".ssh").symlink_to(home / ".ssh")
    assert run_job(again, this_machine).done
    assert (home / KEYS).read_text() == "mine"
    assert "1 file of earlier runs behind a link: not removed" in caplog.text


def test_a_folder_of_plates_may_be_a_link_of_ones_own(job: Job, tmp_path: Path) -> None:
    this_machine = machine(tmp_path, {})
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "out").symlink_to(disk)
    outcome = run_job(job, this_machine)
    again = forced(job, outcome, this_machine, "old/x.csv")
    stale = tmp_path / job.destination / "old/x.csv"
    stale.parent.mkdir()
    stale.touch()
    (disk / "P1/Image.csv").write_text("old")
    assert run_job(again, this_machine).done
    assert (disk / "P1/Image.csv").read_text() != "old"
    assert not stale.exists()


WAYS: dict[str, Callable[[Storage, Path], object]] = {
    "write": lambda storage, _: storage.write("to/x", b"x"),
    "write-deeper": lambda storage, _: storage.write("to/new/x", b"x"),
    "create": lambda storage, _: storage.create("to/x", b"x"),
    "publish": lambda storage, file: storage.publish(file, "to/x"),
    "remove": lambda storage, _: storage.remove("to/mine"),
    "sync": lambda storage, _: storage.sync(["to/mine"]),
    "whole-path": lambda storage, _: storage.remove(f"{storage.root}/to/mine"),
    "elsewhere": lambda storage, _: Storage("/").remove(f"{storage.root}/to/mine"),
    "check": lambda storage, _: storage.check_writable("to"),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_into_a_storage_goes_through_a_link_of_another_user(
    other_user: OtherUser, tmp_path: Path, way: str
) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/mine").write_text("mine")
    (tmp_path / "new").write_text("new")
    other_user.run(f"ln -s {tmp_path}/target to")
    with pytest.raises(Exception, match="is a link that another user has made"):
        WAYS[way](Storage(str(other_user.shared)), tmp_path / "new")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine"]
