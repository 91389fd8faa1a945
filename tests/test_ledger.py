"""The ledger: what is left is told by the names of markers alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpengine.errors import StorageError
from cpengine.ledger import Ledger, State
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.storage import Storage

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


def state(ledger: Ledger, job: Job, version: str = VERSION) -> State:
    ((_, found),) = ledger.states([job], version)
    return found


def names(ledger: Ledger) -> list[str]:
    return sorted(ledger.storage.sizes("ledger/markers"))


def test_job_without_a_marker_is_left(ledger: Ledger) -> None:
    assert state(ledger, JOB) is State.LEFT


def test_recorded_job_is_done(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB) is State.DONE


def test_job_that_failed_is_failed(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    assert state(ledger, JOB) is State.FAILED


def test_done_job_that_has_changed_is_stale(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, CHANGED) is State.STALE


def test_failed_job_that_has_changed_is_left(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    assert state(ledger, CHANGED) is State.LEFT


def test_stale_job_that_failed_is_stale(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    ledger.record(outcome(CHANGED, FAILURE))
    assert state(ledger, CHANGED) is State.STALE


def test_failed_job_that_is_done_later_is_done(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    ledger.record(outcome(JOB))
    assert state(ledger, JOB) is State.DONE


def test_no_failed_marker_stays_of_a_job_that_is_done(ledger: Ledger) -> None:
    ledger.record(outcome(JOB, FAILURE))
    ledger.record(outcome(JOB))
    assert names(ledger) == ["P1-A01~0123456789ab~4.2.8.1.done"]


def test_results_of_another_cellprofiler_are_stale(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB, "4.2.9") is State.STALE


def test_a_version_that_only_begins_alike_is_another(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB, "4.2.8") is State.STALE


def test_a_file_of_that_name_in_another_place_has_another_owner(
    ledger: Ledger,
) -> None:
    other = replace(JOB, group=(("Metadata_Plate", "P2"),))
    ledger.record(outcome(replace(other, output="elsewhere"), files={"a.tif": 3}))
    assert ledger.owner(replace(JOB, output_structure="all"), "a.tif") is None


def test_files_of_an_earlier_run_at_another_place_are_not_the_jobs_here(
    ledger: Ledger,
) -> None:
    ledger.record(outcome(JOB, files={"a.tif": 3}))
    ((job, _),) = ledger.states([replace(CHANGED, output="elsewhere")])
    assert ledger.earlier_files(job) == set()


def test_any_cellprofiler_will_do_where_none_is_known(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    assert state(ledger, JOB, "") is State.DONE


def test_marker_of_one_job_says_nothing_of_another(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    other = replace(JOB, group=(("Metadata_Plate", "P1"), ("Metadata_Well", "A0")))
    assert state(ledger, other) is State.LEFT


def test_states_keep_the_order_of_the_jobs(ledger: Ledger) -> None:
    jobs = [replace(JOB, group=(("Metadata_Plate", p),)) for p in ("P2", "P1", "P3")]
    ledger.record(outcome(jobs[1]))
    assert [(job.id, found) for job, found in ledger.states(jobs)] == [
        ("P2", State.LEFT),
        ("P1", State.DONE),
        ("P3", State.LEFT),
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
    assert len(ledger.states([JOB] * 100)) == 100
    assert listed == ["ledger/markers"]


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        (outcome(JOB), "P1-A01~0123456789ab~4.2.8.1.done"),
        (outcome(JOB, FAILURE), "P1-A01~0123456789ab~4.2.8.1.failed"),
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
    assert state(ledger, job) is State.DONE


def test_half_written_marker_does_not_count(ledger: Ledger) -> None:
    name = f".{JOB.id}~{JOB.fingerprint}~{VERSION}.done.0123abcd.part"
    ledger.storage.write(f"ledger/markers/{name}", b"{")
    assert state(ledger, JOB) is State.LEFT


def test_job_comes_with_the_markers_of_its_earlier_runs(ledger: Ledger) -> None:
    ledger.record(outcome(JOB))
    ledger.record(outcome(CHANGED, FAILURE))
    ((job, _),) = ledger.states([CHANGED])
    assert sorted(job.earlier) == names(ledger)


def test_markers_of_earlier_runs_tell_their_files_and_are_forgotten(
    ledger: Ledger,
) -> None:
    ledger.record(outcome(JOB, files={"Cells.csv": 3, "a/b.png": 4}))
    ledger.record(outcome(CHANGED, FAILURE))
    ((job, _),) = ledger.states([CHANGED])
    assert ledger.earlier_files(job) == {"Cells.csv", "a/b.png"}
    ledger.forget(job)
    assert names(ledger) == []


def test_forget_leaves_other_jobs_alone(ledger: Ledger) -> None:
    other = replace(JOB, group=(("Metadata_Plate", "P2"),))
    ledger.record(outcome(other, files={"Cells.csv": 3}))
    ((job, _),) = ledger.states([JOB])
    assert ledger.earlier_files(job) == set()
    ledger.forget(job)
    assert len(names(ledger)) == 1


def test_owner_is_the_other_job_that_published_a_file(ledger: Ledger) -> None:
    one = replace(JOB, output_structure="all")
    other = replace(one, group=(("Metadata_Plate", "P2"),))
    ledger.record(outcome(other, files={"a.tif": 3}))
    ledger.record(outcome(one, files={"b.tif": 3}))
    files = ("a.tif", "b.tif", "c.tif")
    assert [ledger.owner(one, file) for file in files] == ["P2", None, None]


def test_marker_keeps_the_outcome(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record(outcome(JOB, FAILURE, attempt=2, wall_s=1.5))
    text = (tmp_path / ledger.marker(JOB, VERSION, State.FAILED)).read_text()
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
    ((job, _),) = ledger.states([JOB])
    assert ledger.outcome(job, VERSION) is None


def test_ledger_that_cannot_be_written_is_told(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / ledger.marker(JOB, VERSION, State.DONE)).mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot be written .*: free the place"):
        ledger.record(outcome(JOB))
