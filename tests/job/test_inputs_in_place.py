"""What a job opens of earlier steps is what it was planned with, until it ends."""

import os
import time
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.job.publish import digests_of
from cpengine.job.run_job import run_job
from cpengine.job.stage import Stager
from cpengine.ledger.ledger import Ledger
from cpengine.storage.cache import Cache
from cpengine.testing import jobs, machine
from tests import build
from tests.build import Built
from tests.planning.test_input_contents import OTHER, function, make, with_illum

CHANGED = "what it reads of earlier steps changed while the step ran"


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A plate whose functions the project's own step has just made."""
    built = build.project(tmp_path / "P", wells=["A01"], sites=["1"])
    make(with_illum(built))
    return built


@pytest.fixture
def stager(built: Built, tmp_path: Path) -> Stager:
    """What stages the one job, as it was planned."""
    project = built.project()
    (job,) = project.plan("analysis").jobs
    (tmp_path / "scratch").mkdir()
    cache = Cache.below(tmp_path / "scratch", 1)
    return Stager(job, project.places, cache, tmp_path / "scratch/in")


def swap(path: Path) -> Path:
    """Put another file of equal size and time in the place of one; give that."""
    aside = path.with_name("aside.npy")
    seen = path.stat()
    path.rename(aside)
    path.write_bytes(OTHER)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    return aside


def test_a_function_of_equal_size_and_time_is_not_taken_for_the_planned_one(
    built: Built, stager: Stager
) -> None:
    swap(function(built, "P1"))
    with pytest.raises(InputError, match=CHANGED):
        stager.stage()


def test_a_function_swapped_back_before_a_job_is_staged_is_taken(
    built: Built, stager: Stager
) -> None:
    time.sleep(0.02)  # the clock of file systems is that coarse
    path = function(built, "P1")
    swap(path).replace(path)
    path.touch()
    stager.stage()
    stager.check_opened_in_place()


def test_a_function_swapped_in_and_back_while_a_job_runs_fails_it(
    built: Built, stager: Stager
) -> None:
    stager.stage()
    stager.check_opened_in_place()
    time.sleep(0.02)
    path = function(built, "P1")
    swap(path).replace(path)
    with pytest.raises(InputError, match=CHANGED):
        stager.check_opened_in_place()


def test_a_function_put_anew_is_not_taken_where_its_content_is_not_known(
    built: Built, tmp_path: Path
) -> None:
    for marker in built.root.rglob("P1~*.done"):
        marker.unlink()
    project = built.project()
    (job,) = project.plan("analysis").jobs
    assert job.inputs
    assert not job.input_contents
    time.sleep(0.02)
    swap(function(built, "P1"))
    (tmp_path / "scratch").mkdir()
    cache = Cache.below(tmp_path / "scratch", 1)
    with pytest.raises(InputError, match=CHANGED):
        Stager(job, project.places, cache, tmp_path / "scratch/in").stage()


def test_a_marker_tells_what_its_files_hold(tmp_path: Path) -> None:
    (job,) = jobs("P1")
    this_machine = machine(tmp_path, {})
    assert run_job(job, this_machine).done
    ledger = Ledger(this_machine.places.outputs, job.ledger)
    (outcome,) = ledger.outcomes(ledger.markers()["P1"])
    folder = this_machine.places.outputs.path(job.destination)
    assert outcome.digests == digests_of(folder, list(outcome.files)) != {}


def test_tables_and_very_many_files_have_no_digests(tmp_path: Path) -> None:
    names = ["a.npy", "Image.csv", "b.TIF", "DefaultOut.db"]
    for name in names:
        build.write(tmp_path / name, name)
    found = digests_of(tmp_path, names)
    assert found.keys() == {"a.npy", "b.TIF"}
    assert len(set(found.values())) == 2
    assert digests_of(tmp_path, ["a.npy"] * 501) == {}
