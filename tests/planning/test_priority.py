"""The order of a step's jobs, by what earlier runs tell of their plates."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cpengine.ledger import run_record
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import RunRecord
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.planning.plan import plate_of
from cpengine.planning.priority import PlateTimes, longest_first
from cpengine.storage.store import Storage
from cpengine.testing import jobs

A, B = jobs("A", "B")


def _job(plate: str, well: str) -> Job:
    return replace(A, group=(("Metadata_Plate", plate), ("Metadata_Well", well)))


def test_the_longest_plate_comes_first_and_its_jobs_keep_their_order() -> None:
    todo = [_job(plate, well) for plate in ("P1", "P2", "P3") for well in ("B", "A")]
    found = longest_first(todo, {"P1": 5.0, "P2": 60.5, "P3": 20.0})
    assert [job.id for job in found] == ["P2-B", "P2-A", "P3-B", "P3-A", "P1-B", "P1-A"]


def test_a_plate_without_a_known_time_comes_before_all() -> None:
    todo = [_job("P1", "A"), _job("new2", "A"), _job("P2", "A"), _job("new1", "A")]
    found = longest_first(todo, {"P1": 5.0, "P2": 60.0, "gone": 1.0})
    assert [job.id for job in found] == ["new2-A", "new1-A", "P2-A", "P1-A"]


def test_jobs_without_a_plate_keep_their_order() -> None:
    todo = [replace(A, group=(("Metadata_Well", well),)) for well in "CAB"]
    assert longest_first(todo, {"P1": 5.0}) == todo


@given(
    st.lists(st.tuples(st.sampled_from("PQRS"), st.integers(0, 99))),
    st.dictionaries(st.sampled_from("PQR"), st.floats(0, 1e6)),
)
def test_no_job_is_lost_and_equals_keep_their_order(
    groups: list[tuple[str, int]], plate_s: dict[str, float]
) -> None:
    todo = [_job(plate, str(well)) for plate, well in groups]
    found = longest_first(todo, plate_s)
    for plate in "PQRS":
        before = [job for job in todo if plate_of(job) == plate]
        assert [job for job in found if plate_of(job) == plate] == before
    assert len(found) == len(todo)
    known = [plate_s[plate_of(job)] for job in found if plate_of(job) in plate_s]
    assert known == sorted(known, reverse=True)


def test_times_are_means_of_the_jobs_that_were_done() -> None:
    times = PlateTimes()
    for plate, seconds in (("P1", 1.0), ("P1", 2.0), ("P2", 0.125)):
        times.add(Outcome(_job(plate, "A"), phase_s={"running": seconds}))
    broken = Failure(FailureKind.CRASH, "gone")
    times.add(Outcome(_job("P1", "B"), broken, phase_s={"running": 99.0}))
    times.add(Outcome(_job("P3", "A")))  # another run had done it meanwhile
    assert times.mean_s == {"P1": 1.5, "P2": 0.12}


def _ledger(tmp_path: Path) -> Ledger:
    return Ledger(Storage(str(tmp_path)), "ledger")


def _record(ledger: Ledger, number: int, **plate_s: float) -> RunRecord:
    """Write the record of a run that began, and its end if it has times."""
    (ledger.storage.path("") / "any.cppipe").write_text("CellProfiler Pipeline:\n")
    begun = run_record.begin(
        A,
        1,
        executor="local",
        versions={},
        workspace=ledger.storage,
        softened={},
    )
    begun = replace(begun, id=f"20250101T000000Z-{number:04}")
    begun.write(ledger)
    if plate_s:
        begun.ended_with("ended", {}, plate_s).write(ledger)
    return begun


def test_the_newest_record_of_a_plate_counts(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    _record(ledger, 1, P1=1.0, P2=2.0)
    _record(ledger, 2, P1=10.0)
    _record(ledger, 3)  # it was killed
    assert run_record.known_times(ledger) == {"P1": 10.0, "P2": 2.0}


def test_a_step_that_never_ran_has_no_known_times(tmp_path: Path) -> None:
    assert run_record.known_times(_ledger(tmp_path)) == {}


def test_a_record_of_an_older_version_tells_no_times(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    ledger.storage.write("ledger/runs/20250101T000000Z-0000.json", b'{"id": "x"}')
    assert run_record.known_times(ledger) == {}


def test_only_the_newest_records_are_read(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    for number in range(20):
        _record(ledger, number, **{f"P{number}": 1.0})
    found = run_record.known_times(ledger)
    assert set(found) == {f"P{number}" for number in range(12, 20)}
