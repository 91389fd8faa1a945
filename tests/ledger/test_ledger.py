"""The ledger: what is left is told by the names of markers alone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpengine.errors import StorageError
from cpengine.ledger.claims import Claims
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState, Standing
from cpengine.marker import Marker, marker_of
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.storage.store import Storage
from tests.publishing import set_aside

JOB = Job(
    step="analysis",
    group=(("Metadata_Plate", "P1"), ("Metadata_Well", "A01")),
    pipeline="a.cppipe",
    data_file="f.csv",
    input="rules",
    output="out",
    ledger="ledger",
    fingerprint="0123456789ab",
)
CHANGED = replace(JOB, fingerprint="ba9876543210")
FAILURE = Failure(FailureKind.CELLPROFILER, "it broke")
VERSION = "4.2.8.1"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Storage(str(tmp_path)), "ledger")


def outcome(job: Job, failure: Failure | None = None, **more: Any) -> Outcome:
    return Outcome(job, failure, versions={"cellprofiler": VERSION}, **more)


def state(ledger: Ledger, job: Job, version: str = VERSION) -> JobState:
    return standing(ledger, job, version).state


def standing(ledger: Ledger, job: Job, version: str = VERSION) -> Standing:
    (found,) = ledger.standings([job], version)
    return found


def again(ledger: Ledger, job: Job) -> Job:
    """The job as a new plan has it, with the markers it finds."""
    return standing(ledger, job).job


def names(ledger: Ledger) -> list[str]:
    return sorted(ledger.storage.sizes("ledger/markers"))


def test_job_without_a_marker_is_left(ledger: Ledger) -> None:
    assert state(ledger, JOB) is JobState.LEFT


def test_recorded_job_is_done(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB) is JobState.DONE


def test_job_that_failed_is_failed(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    assert state(ledger, JOB) is JobState.FAILED


def test_done_job_that_has_changed_is_stale(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, CHANGED) is JobState.STALE


def test_failed_job_that_has_changed_is_left(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    assert state(ledger, CHANGED) is JobState.LEFT


def test_stale_job_that_failed_is_failed(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    ledger.record(outcome(CHANGED, FAILURE))
    found = standing(ledger, CHANGED)
    assert (found.state, found.failure) == (JobState.FAILED, "cellprofiler")
    assert "results of an earlier run are kept" in found.why


def test_failed_job_that_is_done_later_is_done(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    ledger.record(outcome(JOB))
    assert state(ledger, JOB) is JobState.DONE


@pytest.mark.parametrize("results_are_there", [True, False])
def test_a_job_that_fails_after_its_results_are_gone_is_done_no_more(
    ledger: Ledger, *, results_are_there: bool
) -> None:
    ledger.record(outcome(JOB))
    if results_are_there:
        ledger.storage.write(f"{JOB.destination}/Cells.csv", b"1")
    ledger.record(outcome(again(ledger, JOB), FAILURE))
    expected = JobState.DONE if results_are_there else JobState.FAILED
    assert state(ledger, JOB) is expected


def test_no_failed_marker_stays_of_a_job_that_is_done(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    ledger.record(outcome(again(ledger, JOB)))
    assert names(ledger) == ["P1-A01~0123456789ab~4.2.8.1.done"]


def test_a_job_has_one_failed_marker_at_the_most(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    crashed = outcome(again(ledger, JOB), Failure(FailureKind.CRASH, "it crashed"))
    ledger.record(crashed)
    assert names(ledger) == [marker_of(crashed)]


def test_a_marker_reads_as_it_is_written() -> None:
    marker = Marker("P~1", "a-b-0-c", VERSION, JobState.FAILED, "out_of_memory")
    assert Marker.parse(str(marker)) == marker


@pytest.mark.parametrize("name", ["x.json", "P1.done", "P1~f~4.part", ".P1~f~4.done"])
def test_other_files_are_no_markers(name: str) -> None:
    assert Marker.parse(name) is None


def test_results_of_another_cellprofiler_are_stale(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB, "4.2.9") is JobState.STALE


def test_a_version_that_only_begins_alike_is_another(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB, "4.2.8") is JobState.STALE


def test_files_of_an_earlier_run_at_another_place_are_not_the_jobs(
    ledger: Ledger,
) -> None:
    ledger.record(outcome(JOB, files={"a.tif": 3}))
    job = again(ledger, replace(CHANGED, output="elsewhere"))
    assert ledger.earlier_files(job) == set()


def test_any_cellprofiler_will_do_where_none_is_known(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB, "") is JobState.DONE


def test_marker_of_one_job_says_nothing_of_another(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    other = replace(JOB, group=(("Metadata_Plate", "P1"), ("Metadata_Well", "A0")))
    assert state(ledger, other) is JobState.LEFT


def test_states_keep_the_order_of_the_jobs(ledger: Ledger) -> None:
    jobs = [replace(JOB, group=(("Metadata_Plate", p),)) for p in ("P2", "P1", "P3")]
    ledger.record(outcome(jobs[1]))
    assert [(s.job.id, s.state) for s in ledger.standings(jobs)] == [
        ("P2", JobState.LEFT),
        ("P1", JobState.DONE),
        ("P3", JobState.LEFT),
    ]


def test_states_list_once_and_open_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record(outcome(JOB))
    listed: list[str] = []
    sizes = Storage.sizes
    monkeypatch.setattr(
        Storage, "sizes", lambda self, key: listed.append(key) or sizes(self, key)
    )
    monkeypatch.setattr(Storage, "read", None)
    assert len(ledger.standings([JOB] * 100)) == 100
    assert listed == ["ledger/markers"]


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        (outcome(JOB), "P1-A01~0123456789ab~4.2.8.1.done"),
        (outcome(JOB, FAILURE), "P1-A01~0123456789ab~4.2.8.1.failed-cellprofiler"),
    ],
)
def test_marker_name_tells_job_fingerprint_version_and_state(
    recorded: Outcome, name: str, ledger: Ledger
) -> None:
    ledger.record(recorded)
    assert names(ledger) == [name]


def test_job_with_a_tilde_in_its_name_is_found_again(ledger: Ledger) -> None:
    job = replace(JOB, group=(("Metadata_Plate", "P~1~2"),))
    ledger.record(outcome(job))
    assert state(ledger, job) is JobState.DONE


def test_half_written_marker_does_not_count(ledger: Ledger) -> None:
    name = f".{JOB.id}~{JOB.fingerprint}~{VERSION}.done.0123abcd.part"
    ledger.storage.write(f"ledger/markers/{name}", b"{")
    assert state(ledger, JOB) is JobState.LEFT


def test_job_comes_with_the_markers_of_its_earlier_runs(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    ledger.record(outcome(CHANGED, FAILURE))
    job = again(ledger, CHANGED)
    assert sorted(job.earlier) == names(ledger)


def test_markers_of_earlier_runs_tell_their_files_until_they_are_replaced(
    ledger: Ledger,
) -> None:
    ledger.record(outcome(JOB, files={"Cells.csv": 3, "a/b.png": 4}))
    ledger.record(outcome(CHANGED, FAILURE))
    job = again(ledger, CHANGED)
    assert ledger.earlier_files(job) == {"Cells.csv", "a/b.png"}
    set_aside(ledger, job)
    assert state(ledger, CHANGED) is JobState.FAILED
    assert not any(name.endswith(".done") for name in names(ledger))
    assert ledger.earlier_files(again(ledger, CHANGED)) == {"Cells.csv", "a/b.png"}
    done = outcome(job)
    ledger.record(done)
    assert names(ledger) == [marker_of(done)]


def test_setting_aside_leaves_other_jobs_alone(ledger: Ledger) -> None:
    other = replace(JOB, group=(("Metadata_Plate", "P2"),))
    ledger.record(outcome(other, files={"Cells.csv": 3}))
    job = again(ledger, JOB)
    assert ledger.earlier_files(job) == set()
    set_aside(ledger, job)
    assert len(names(ledger)) == 1


def test_markers_of_others_that_a_job_names_are_not_its_own(ledger: Ledger) -> None:
    """A job may come of a message, into which anybody can write."""
    other = outcome(replace(JOB, group=(("Metadata_Plate", "P2"),)), files={"a.csv": 3})
    ledger.record(other)
    job = replace(JOB, earlier=(marker_of(other),))
    assert ledger.earlier_files(job) == set()
    set_aside(ledger, job)
    ledger.record(outcome(job))
    assert sorted(names(ledger)) == sorted([marker_of(other), marker_of(outcome(job))])


def test_a_file_belongs_to_the_first_job_that_claims_it(ledger: Ledger) -> None:
    job = replace(JOB, output_structure="all")
    other = replace(job, group=(("Metadata_Plate", "P2"),))
    assert Claims.of_job(ledger, other).claim("a.tif") == ""
    assert [Claims.of_job(ledger, job).claim(file) for file in ("a.tif", "b.tif")] == [
        "ledger P2",
        "",
    ]
    assert Claims.of_job(ledger, other).claim("a.tif") == "ledger P2"


def test_a_file_that_was_given_up_can_be_claimed(ledger: Ledger) -> None:
    job = replace(JOB, output_structure="all")
    other = replace(job, group=(("Metadata_Plate", "P2"),))
    Claims.of_job(ledger, other).claim("a.tif")
    Claims.of_job(ledger, other).give_up("a.tif")
    assert Claims.of_job(ledger, job).claim("a.tif") == ""


def test_of_many_that_claim_a_file_at_once_one_owns_it(ledger: Ledger) -> None:
    jobs = [replace(JOB, group=(("Metadata_Plate", f"P{i}"),)) for i in range(16)]
    jobs = [replace(job, output_structure="all") for job in jobs]
    with ThreadPoolExecutor(16) as pool:
        before = list(
            pool.map(lambda job: Claims.of_job(ledger, job).claim("a.tif"), jobs)
        )
    (owner,) = [job for job, other in zip(jobs, before, strict=True) if not other]
    assert set(before) == {"", f"ledger {owner.id}"}


def test_done_jobs_whose_files_are_gone_or_cut_are_damaged(
    ledger: Ledger, tmp_path: Path
) -> None:
    jobs = [replace(JOB, group=(("Metadata_Plate", p),)) for p in ("P1", "P2", "P3")]
    for job in jobs:
        ledger.record(outcome(job, files={"Cells.csv": 3}))
    for place, text in (("P1", "abc"), ("P2", "ab")):
        (tmp_path / "out" / place).mkdir(parents=True)
        (tmp_path / "out" / place / "Cells.csv").write_text(text)
    assert [(job.id, what) for job, what in ledger.damaged(jobs)] == [
        ("P2", "out/P2/Cells.csv has 2 of 3 bytes"),
        ("P3", "out/P3/Cells.csv is gone"),
    ]


def test_marker_keeps_the_outcome(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record(outcome(JOB, FAILURE, attempt=2, wall_s=1.5))
    text = (tmp_path / "ledger/markers" / names(ledger)[0]).read_text()
    assert '"attempt": 2' in text
    assert '"message": "it broke"' in text
    assert '"Metadata": "Metadata_Plate=P1,Metadata_Well=A01"' in text


def test_outcome_of_a_done_job_is_the_one_recorded(ledger: Ledger) -> None:
    recorded = outcome(JOB, attempt=2, wall_s=1.5, files={"Cells.csv": 3})
    ledger.record(recorded)
    assert ledger.outcome(JOB, VERSION) == recorded


@pytest.mark.parametrize("recorded", [outcome(CHANGED), outcome(JOB, FAILURE)])
def test_job_that_is_not_done_has_no_outcome(recorded: Outcome, ledger: Ledger) -> None:
    ledger.record(recorded)
    assert ledger.outcome(JOB, VERSION) is None


def test_outcome_that_is_to_be_replaced_does_not_count(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    job = again(ledger, JOB)
    assert ledger.outcome(job, VERSION) is None


def test_ledger_that_cannot_be_written_is_reported(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "ledger/markers" / marker_of(outcome(JOB))).mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot be written .*: change the step"):
        ledger.record(outcome(JOB))
