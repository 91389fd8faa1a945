"""What a batch needs next, from what its pages have left."""

import pytest

from cpengine.results.overview.next_steps import Need, half_collected, needs
from cpengine.results.overview.step_records import (
    CollectedJobs,
    FailedJobs,
    JobsRecord,
    QualityRecord,
    StepRecords,
    TablesRecord,
)

FIRST, THEN, LAST = (f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 3))


def jobs(ended: str = FIRST, made: str = FIRST, **counts: int) -> JobsRecord:
    return JobsRecord({"P1": counts}, ended, made=made)


def collected(made: str = FIRST, **left_out: int) -> TablesRecord:
    return TablesRecord({"P1": CollectedJobs(4, left_out, made)})


def whole(
    record: JobsRecord, tables: TablesRecord | None = None
) -> dict[str, StepRecords]:
    return {"analysis": StepRecords(record, tables=tables)}


def commands(steps: dict[str, StepRecords]) -> list[str]:
    return [need.command for need in needs(steps)]


def test_what_failed_comes_first_with_its_kinds() -> None:
    record = JobsRecord(
        {"P1": {"done": 1, "failed": 2}, "P2": {"failed": 1, "left": 3}},
        failures=[FailedJobs(2, "bad_input", "mend it"), FailedJobs(1, "crash", "")],
    )
    first, then, _ = needs(whole(record))
    what = "3 jobs failed (2 bad_input, 1 crash)"
    command = "cpengine run analysis --only failed"
    assert first == Need("analysis", what, command, wrong=True)
    assert then == Need("analysis", "3 jobs left to run", "cpengine run analysis")


def test_stale_jobs_say_what_has_changed() -> None:
    why = "the pipeline changed since it was done"
    record = JobsRecord({"P1": {"stale": 2}}, stale={why: 2})
    (need,) = needs(whole(record))
    assert (need.what, need.command) == (
        f"2 jobs stale: {why}",
        "cpengine run analysis",
    )


def test_missing_results_are_made_alone() -> None:
    (need,) = needs(whole(jobs(missing=1)))
    assert need.what == "1 job missing: the results are gone"
    assert need.command == "cpengine run analysis --only missing"


def test_tables_come_after_analysis() -> None:
    assert commands(whole(jobs(done=4))) == ["cpengine collect analysis"]
    assert commands(whole(jobs(done=4), collected())) == []


@pytest.mark.parametrize(
    ("record", "tables"),
    [
        (jobs(done=4), collected(left=2)),
        (jobs(done=4), collected(failed=1)),
        (jobs(ended=THEN, made=THEN, done=4), collected(made=FIRST)),
        (JobsRecord({"P1": {"done": 4}, "P2": {"done": 4}}, FIRST), collected()),
    ],
)
def test_tables_that_lack_jobs_or_are_older_are_half_collected(
    record: JobsRecord, tables: TablesRecord
) -> None:
    (need,) = needs(whole(record, tables))
    assert need.what == "tables of 1 plate are not whole, or of earlier results"


def test_jobs_without_csvs_are_no_reason_to_collect_again() -> None:
    tables = TablesRecord({"P1": CollectedJobs(3, {"without CSVs": 1}, FIRST)})
    assert commands(whole(jobs(done=4), tables)) == []
    assert not half_collected("P9", tables, jobs(done=4))


def test_images_are_judged_after_qc_and_again_when_it_ran_again() -> None:
    record = jobs(done=4)
    steps = {"qc": StepRecords(record)}
    assert commands(steps) == ["cpengine qc qc"]
    quality = QualityRecord(8, 1, ["P1"], FIRST)
    assert commands({"qc": StepRecords(record, quality)}) == []
    again = jobs(ended=THEN, made=THEN, done=4)
    assert commands({"qc": StepRecords(again, quality)}) == ["cpengine qc qc"]


def test_a_step_that_reads_what_ran_again_is_to_be_asked_again() -> None:
    steps = {
        "illum": StepRecords(jobs(ended=THEN, made=THEN, done=1)),
        "analysis": StepRecords(jobs(done=4), tables=collected()),
    }
    (need,) = needs(steps)
    assert need.what == "its states are of before illum ran again"
    assert need.command == "cpengine report analysis"
    late = StepRecords(jobs(made=LAST, done=4), tables=collected())
    assert commands(steps | {"analysis": late}) == []


def test_after_illumination_comes_analysis() -> None:
    assert commands({"illum": StepRecords(jobs(done=1))}) == ["cpengine run analysis"]
    assert commands({"own": StepRecords(jobs(done=1))}) == []
