"""What one attempt stages, publishes and leaves, with the stand-in CellProfiler."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cpengine.events import Event, PhaseBegun
from cpengine.executors.contract import VERSION
from cpengine.executors.retry import next_try
from cpengine.inputs import loaddata, pipeline
from cpengine.job.run_job import Machine, run_job
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState
from cpengine.model import FailureKind, Job, Outcome
from cpengine.planning import fingerprint
from cpengine.planning.step_inputs import File, digest_of
from cpengine.storage.roots import BUCKET
from cpengine.system.scratch import PREFIX, owned
from cpengine.testing import jobs, machine
from tests import build

BUCKET_CSV = (
    "FileName_OrigDNA,PathName_OrigDNA,Metadata_Plate\n"
    "b.tif,/home/ubuntu/bucket/images,P1\n"
    "a.tif,/home/ubuntu/bucket/images,P1\n"
)
MOUNTED = f"{BUCKET}/images"


@pytest.fixture
def this_machine(tmp_path: Path) -> Machine:
    return machine(tmp_path, {})


@pytest.fixture
def job() -> Job:
    (job,) = jobs("P1")
    return job


def _seen(tmp_path: Path) -> dict[str, Any]:
    """What the stand-in was given."""
    seen: dict[str, Any] = json.loads((tmp_path / "out/P1/P1.json").read_text())
    return seen


def _again(job: Job, this_machine: Machine) -> Job:
    """The job as a new plan has it, with the markers it finds."""
    (again,) = Ledger(this_machine.places.outputs, job.ledger).standings([job])
    return again.job


def test_paths_of_the_bucket_are_given_as_local_ones(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "load_data.csv").write_text(BUCKET_CSV)
    for name in "ab":
        build.write(tmp_path / "images" / f"{name}.tif", "image")
    ran = run_job(job, this_machine)
    assert ran.done, ran.failure
    header, b, a, _ = _seen(tmp_path)["csv"].split("\n")
    assert header == f"{BUCKET_CSV.partition(chr(10))[0]},URL_OrigDNA"
    assert b == f"b.tif,{MOUNTED},P1,file:{tmp_path}/images/b.tif"
    assert a == f"a.tif,{MOUNTED},P1,file:{tmp_path}/images/a.tif"
    assert (tmp_path / "load_data.csv").read_text() == BUCKET_CSV


@pytest.mark.parametrize(
    ("text", "expected"), [(None, "is not there"), ("", "is empty")]
)
def test_an_image_that_vanished_since_the_plan_is_bad_input(
    this_machine: Machine, job: Job, tmp_path: Path, text: str | None, expected: str
) -> None:
    (tmp_path / "load_data.csv").write_text(BUCKET_CSV)
    build.write(tmp_path / "images" / "b.tif", "image")
    if text is not None:
        build.write(tmp_path / "images" / "a.tif", text)
    failure = run_job(job, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.BAD_INPUT
    assert failure.message.startswith(f"{tmp_path}/images/a.tif: {expected}")
    assert not list(tmp_path.glob("P1.attempt*"))


def test_an_image_that_is_cut_off_is_bad_input(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "load_data.csv").write_text(BUCKET_CSV)
    for name in "ab":
        path = tmp_path / "images" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, np.ones((64, 64), np.uint16), compression="zlib")
    assert run_job(job, this_machine).done
    path.write_bytes(path.read_bytes()[:-1])
    ran = run_job(_again(job, this_machine), this_machine)
    assert ran.failure is not None
    assert ran.failure.kind is FailureKind.BAD_INPUT
    place = f"{tmp_path}/load_data.csv:2:FileName_OrigDNA"
    words = f"{path} ends before its data ({place}): copy it again, or drop its row"
    assert ran.failure.message == words


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("any.cppipe", "CellProfiler Pipeline:\n\nCrop:[]\n", "the pipeline"),
        ("load_data.csv", "Metadata_Plate,Metadata_X\nP1,1\n", "its image sets"),
    ],
)
def test_input_that_changed_since_the_plan_is_not_run(
    this_machine: Machine, job: Job, tmp_path: Path, name: str, text: str, part: str
) -> None:
    pipe = (tmp_path / "any.cppipe").read_text()
    table = loaddata.parse((tmp_path / "load_data.csv").read_text(), "")
    shared = fingerprint.of_all(job, pipeline.parse(pipe, ""), pipe, {})
    image_sets = fingerprint.of_image_sets(table, [0], [0])
    planned = replace(job, fingerprint=shared.of_job(image_sets, fingerprint.NOTHING))
    (tmp_path / name).write_text(text)
    failure = run_job(planned, this_machine).failure
    assert failure is not None
    assert f"{part} changed while the step ran" in failure.message


def test_a_job_that_a_newer_version_planned_is_not_run(
    this_machine: Machine, job: Job
) -> None:
    failure = run_job(replace(job, fingerprint="v9-1-2-3"), this_machine).failure
    assert failure is not None
    assert "was planned by another version of cpengine" in failure.message


def test_a_function_that_changed_since_the_plan_is_not_used(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "load_data.csv").write_text(BUCKET_CSV)
    for name in "ab":
        build.write(tmp_path / "images" / f"{name}.tif", "image")
    machine = replace(
        this_machine, places=replace(this_machine.places, made=("images",))
    )
    outputs = machine.places.outputs
    files = [File("images", name) for name in ("a.tif", "b.tif")]
    digest = digest_of((file, outputs.entry(file.key)) for file in files)
    planned = replace(job, inputs=digest)
    assert run_job(planned, machine).done
    (tmp_path / "images/a.tif").write_text("egami")
    failure = run_job(_again(planned, machine), machine).failure
    assert failure is not None
    assert failure.message == (
        "P1: what it reads of earlier steps changed while the step ran: run again"
    )


def test_a_csv_with_local_paths_is_used_as_it_is(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    run_job(job, this_machine)
    assert _seen(tmp_path)["csv"] == (tmp_path / "load_data.csv").read_text()


def test_the_input_folder_is_empty_unless_there_are_rules(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    run_job(job, this_machine)
    assert _seen(tmp_path)["inputs"] == []


def test_the_rules_folder_is_the_input_folder(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.txt").touch()
    run_job(job, this_machine)
    assert _seen(tmp_path)["inputs"] == ["rules.txt"]


def test_cellprofiler_gets_one_thread_and_its_own_temporary_folder(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    run_job(job, this_machine)
    environ = _seen(tmp_path)["environ"]
    assert environ["OMP_NUM_THREADS"] == "1"
    assert PREFIX in environ["TMPDIR"]


def test_a_job_that_is_done_is_not_run_again(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    first = run_job(job, this_machine)
    second = run_job(job, this_machine)
    assert second.files == first.files
    assert len(list(tmp_path.glob("P1.attempt*"))) == 1


def test_a_done_job_that_is_planned_again_by_force_runs(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    run_job(job, this_machine)
    assert run_job(_again(job, this_machine), this_machine).done
    assert len(list(tmp_path.glob("P1.attempt*"))) == 2


def test_files_of_an_earlier_run_that_are_made_no_more_are_removed(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    old = tmp_path / "out/P1/Old.csv"
    run_job(job, this_machine)
    old.write_text("from the run before")
    ledger = Ledger(this_machine.places.outputs, job.ledger)
    ledger.record(
        Outcome(job, files={"Old.csv": 1}, versions={"cellprofiler": VERSION})
    )
    assert run_job(
        _again(replace(job, fingerprint="new"), this_machine), this_machine
    ).done
    assert not old.exists()


@pytest.mark.parametrize("killed", [False, True])
def test_they_are_removed_also_after_a_run_that_could_not_publish(
    this_machine: Machine, job: Job, tmp_path: Path, killed: bool
) -> None:
    old, in_the_way = tmp_path / "out/P1/Old.csv", tmp_path / "out/P1/Image.csv/x"
    build.write(old, "from the run before")
    build.write(in_the_way, "")
    ledger = Ledger(this_machine.places.outputs, job.ledger)
    ledger.record(
        Outcome(job, files={"Old.csv": 1}, versions={"cellprofiler": VERSION})
    )
    changed = _again(replace(job, fingerprint="new"), this_machine)
    failed = run_job(changed, this_machine)
    assert failed.failure is not None
    passing = replace(failed.failure, lasting=False)
    again = next_try(replace(failed, failure=passing), 0)
    assert again is not None
    assert old.exists()
    shutil.rmtree(in_the_way.parent)
    assert run_job(
        _again(changed, this_machine) if killed else again.job, this_machine
    ).done
    assert not old.exists()
    assert list(this_machine.places.outputs.sizes(f"{job.ledger}/markers")) == [
        f"P1~new~{VERSION}.done"
    ]


def test_stale_markers_are_gone_after_a_new_run(
    this_machine: Machine, job: Job
) -> None:
    run_job(job, this_machine)
    run_job(_again(replace(job, fingerprint="new"), this_machine), this_machine)
    names = this_machine.places.outputs.sizes(f"{job.ledger}/markers")
    assert list(names) == [f"P1~new~{VERSION}.{JobState.DONE}"]


def test_a_file_of_another_job_in_a_shared_folder_is_never_replaced(
    this_machine: Machine, tmp_path: Path
) -> None:
    first, other = (replace(job, output_structure="all") for job in jobs("P1", "P2"))
    assert run_job(first, this_machine).done
    before = (tmp_path / "out/all/Image.csv").read_text()
    failure = run_job(other, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.BAD_INPUT
    assert "was made by P1 already" in failure.message
    assert (tmp_path / "out/all/Image.csv").read_text() == before


def test_a_place_that_cannot_be_written_is_a_storage_failure(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    failure = run_job(job, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.STORAGE
    assert "out/P1" in failure.message


def test_no_place_to_work_in_is_a_storage_failure(
    this_machine: Machine, job: Job
) -> None:
    this_machine.scratch.rmdir()
    failure = run_job(job, this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.STORAGE


def test_a_missing_pipeline_is_bad_input(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    failure = run_job(replace(job, pipeline="gone.cppipe"), this_machine).failure
    assert failure is not None
    assert failure.kind is FailureKind.BAD_INPUT
    assert "gone.cppipe" in failure.message


KILLED_WHILE_PUBLISHING = """
import os, sys
from pathlib import Path
from cpengine.cellprofiler.find import CellProfiler
from cpengine.job.run_job import Machine, run_job
from cpengine.storage.cache import Cache
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from cpengine.testing import jobs

replace, left = os.replace, [int(sys.argv[2])]

def killed(*places):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    replace(*places)

os.replace = killed
folder = Path(sys.argv[1])
tool = CellProfiler((str(folder / "cellprofiler"),), "4.2.8.1", "stand-in")
places = Places.single_root(Storage(str(folder)))
cache = Cache.below(folder / "scratch", 1)
run_job(jobs("P1")[0], Machine(places, tool, folder / "scratch", cache))
"""


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_a_kill_in_the_middle_of_publishing_is_mended_by_the_next_run(
    this_machine: Machine, job: Job, tmp_path: Path, moves: int
) -> None:
    code = [sys.executable, "-c", KILLED_WHILE_PUBLISHING]
    child = subprocess.run([*code, str(tmp_path), str(moves)], check=False)
    (found,) = Ledger(this_machine.places.outputs, job.ledger).standings([job])
    assert (child.returncode, found.state) == (9, JobState.LEFT)
    outcome = run_job(job, this_machine)
    assert outcome.done
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "out/P1").glob("[!.]*")}
    assert sizes == outcome.files


def test_two_copies_of_a_job_at_once_do_no_harm(
    this_machine: Machine, job: Job
) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: run_job(job, this_machine), range(2)))
    assert all(outcome.done for outcome in outcomes)
    place = this_machine.places.outputs.path(job.destination)
    assert {path.name for path in place.iterdir()} == set(outcomes[0].files)
    assert "csv" in json.loads((place / "P1.json").read_text())


def test_a_job_that_another_copy_has_done_meanwhile_publishes_nothing(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    elsewhere = Outcome(job, files={"x": 1}, versions={"cellprofiler": VERSION})

    def listen(event: Event) -> None:
        if event == PhaseBegun(job, "publishing"):
            Ledger(this_machine.places.outputs, job.ledger).record(elsewhere)

    assert run_job(job, this_machine, listen=listen).files == {"x": 1}
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_an_outcome_survives_the_ledger(this_machine: Machine, job: Job) -> None:
    outcome = run_job(job, this_machine)
    assert (
        Ledger(this_machine.places.outputs, job.ledger).outcome(job, VERSION) == outcome
    )
    assert outcome.module_s == {"1 LoadData": 0.02}
    assert outcome.wall_s > 0


def test_a_scratch_folder_names_its_process(
    this_machine: Machine, job: Job, tmp_path: Path
) -> None:
    run_job(job, this_machine)
    owner = f"{owned(os.getpid())}P1-"
    assert owner in _seen(tmp_path)["environ"]["TMPDIR"]
