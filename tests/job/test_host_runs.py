"""Runs with accelerations and without: which counts, what is compared and kept."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.events import Event, PhaseBegun
from cpengine.executors.contract import VERSION
from cpengine.job import host_runs
from cpengine.job.run_job import Machine, run_job
from cpengine.ledger import exact_marks
from cpengine.ledger.ledger import Ledger
from cpengine.model import (
    ALL_OFF,
    CHECK_ALWAYS,
    CHECK_NEW,
    FailureKind,
    Job,
    Outcome,
)
from cpengine.testing import jobs, machine

NAMES = ("windows", "texture")
DIFFERED = "Image.csv: column Metadata differs in 1 row, in row 1: "


@contextmanager
def accelerated(
    folder: Path, faults: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Machine]:
    """A machine with hosts that may use accelerations."""
    with machine(folder, faults or {}, warm=True) as made:
        yield replace(made, exact=NAMES)


def another(machine: Machine) -> Machine:
    """The same machine as another worker has it: it knows what the ledger says."""
    return replace(machine, marks=exact_marks.ExactMarks())


def _job(name: str, check: str = "") -> Job:
    (job,) = jobs(name)
    return replace(job, exact_check=check)


def _write_rows(folder: Path, count: int) -> None:
    """Have the plate P1 so many image sets."""
    table = ["Metadata_Plate,Metadata_Site", *(f"P1,{n}" for n in range(count))]
    (folder / "load_data.csv").write_text("\n".join([*table, ""]))


def _runs(folder: Path, name: str) -> int:
    return len(list(folder.glob(f"{name}.attempt*")))


def _image_csv(folder: Path, name: str) -> str:
    return (folder / "out" / name / "Image.csv").read_text()


def _ledger(folder: Path, name: str) -> list[Path]:
    return sorted(p for p in (folder / "ledger" / name).rglob("*") if p.is_file())


def test_a_job_that_is_not_compared_runs_once(tmp_path: Path) -> None:
    with accelerated(tmp_path) as warm:
        ran = run_job(_job("A"), warm)
    assert (ran.exact, ran.exact_off, ran.check) == (NAMES, {}, None)
    assert ran.processor["blas_kernel"] == "Generic"
    assert _runs(tmp_path, "A") == 1


def test_both_ways_are_compared_and_the_plain_one_is_published(tmp_path: Path) -> None:
    events: list[Event] = []
    job = _job("A", CHECK_ALWAYS)
    with accelerated(tmp_path) as warm:
        ran = run_job(job, warm, listen=events.append)
    assert ran.done, ran.failure
    assert (ran.exact, ran.exact_off) == ((), {})
    assert ran.check is not None
    assert (ran.check.exact, ran.check.differences) == (NAMES, ())
    assert (ran.check.files, ran.check.image_sets) == (2, 1)
    assert ran.check.module_s == ran.module_s == {"1 LoadData": 0.02}
    assert _runs(tmp_path, "A") == 2
    pids = {path.read_text() for path in tmp_path.glob("A.attempt*")}
    assert len(pids) == 1, "both ways in one process"
    phases = [event.phase for event in events if isinstance(event, PhaseBegun)]
    assert phases == [
        *("fetching", "waiting", "running", "checking", "running", "publishing")
    ]
    assert set(ran.phase_s) == set(phases)
    (marker,) = _ledger(tmp_path, exact_marks.OK)
    assert json.loads(marker.read_text())["processor"]["cpu"] == "stand-in"


def test_an_outcome_with_a_check_is_itself_again_out_of_json(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["exact_bytes"]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
    again = Outcome.from_json(json.loads(json.dumps(ran.to_json())))
    assert again == ran
    marker = Ledger(warm.places.outputs, "ledger").outcome(ran.job, VERSION)
    assert marker is not None
    assert marker.check == ran.check


def test_a_difference_publishes_plain_results_and_keeps_both_sets(
    tmp_path: Path,
) -> None:
    with accelerated(tmp_path, {"A": ["exact_bytes"]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
        later = run_job(_job("B"), warm)
        elsewhere = run_job(_job("C"), another(warm))
    assert ran.done
    assert _image_csv(tmp_path, "A") == "Metadata\nMetadata_Plate=A\n"
    assert ran.check is not None
    plate = "Metadata_Plate=A"
    assert ran.check.differences == (f"{DIFFERED}{plate}-other instead of {plate}",)
    texts = {
        path.parent.name: path.read_text()
        for path in _ledger(tmp_path, "")
        if path.name == "Image.csv"
    }
    assert texts == {
        "plain": f"Metadata\n{plate}\n",
        "exact": f"Metadata\n{plate}-other\n",
    }
    place = tmp_path / "ledger/exact-differences/A"
    assert ran.check.place == str(place)
    for other in (later, elsewhere):
        assert other.exact == ()
        assert other.exact_off == {
            ALL_OFF: f"they differed from plain modules in A ({DIFFERED}{plate}-other "
            f"instead of {plate}): see {place}"
        }
    assert _ledger(tmp_path, exact_marks.OK) == []


@pytest.mark.parametrize(
    ("changed", "used"),
    [({"fingerprint": "v2-1-2-3-4-5"}, NAMES), ({"fingerprint": "f"}, ())],
)
def test_a_difference_holds_for_the_pipeline_that_had_it(
    tmp_path: Path, changed: dict[str, str], used: tuple[str, ...]
) -> None:
    with accelerated(tmp_path) as warm:
        marks, ledger = warm.marks, Ledger(warm.places.outputs, "ledger")
        check = run_job(_job("A", CHECK_ALWAYS), warm).check
        assert check is not None
        bad = replace(check, differences=("Image.csv: has other bytes",))
        marks.differed(ledger, _job("A"), VERSION, bad)
        why = another(warm).marks.why_off(
            ledger, replace(_job("B"), **changed), VERSION
        )  # type: ignore[arg-type]  # only texts
    assert bool(why) != bool(used)


def test_the_first_job_on_a_kind_of_processor_is_compared(tmp_path: Path) -> None:
    with accelerated(tmp_path) as warm:
        first, second = (run_job(_job(n, CHECK_NEW), warm) for n in "AB")
        elsewhere = run_job(_job("C", CHECK_NEW), another(warm))
    assert first.check is not None
    assert (second.check, elsewhere.check) == (None, None)
    given = {"processor": {"blas_kernel": "Haswell"}}
    (tmp_path / "host.json").write_text(json.dumps(given))
    with accelerated(_fresh_scratch(tmp_path)) as warm:
        found = [run_job(_job(name, CHECK_NEW), warm).check for name in "DE"]
    assert [check is not None for check in found] == [True, False]
    assert len(_ledger(tmp_path, exact_marks.OK)) == 2


def test_two_jobs_at_a_time_compare_once(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["slow1"]}) as warm, ThreadPoolExecutor(1) as pool:
        first = pool.submit(run_job, _job("A", CHECK_ALWAYS), warm)
        while not _runs(tmp_path, "A"):
            time.sleep(0.01)
        second = run_job(_job("B", CHECK_NEW), warm)
        assert first.result().check is not None
    assert second.check is None


def _fresh_scratch(folder: Path) -> Path:
    """The folder, for another machine."""
    number = len(list(folder.glob("scratch-*")))
    (folder / "scratch").rename(folder / f"scratch-{number}")
    return folder


def test_a_comparison_that_came_to_nothing_is_made_again(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["module_error"] * 2}) as warm:
        failed = run_job(_job("A", CHECK_NEW), warm)
        then = run_job(_job("B", CHECK_NEW), warm)
    assert failed.failure is not None
    assert failed.failure.module == "Crop"
    assert failed.check is None
    assert then.check is not None


@pytest.mark.parametrize(
    ("act", "why"),
    [("raise", "ValueError: no such thing"), ("crash", "ended by SIGSEGV")],
)
@pytest.mark.parametrize("check", ["", CHECK_ALWAYS])
def test_what_fails_in_an_acceleration_is_made_again_without(
    tmp_path: Path, act: str, why: str, check: str
) -> None:
    with accelerated(tmp_path, {"A": [f"exact_{act}"]}) as warm:
        ran = run_job(_job("A", check), warm)
        later = run_job(_job("B", check), warm)
    assert ran.done, ran.failure
    assert (ran.exact, ran.check, ran.attempt) == ((), None, 1)
    assert ran.exact_off == {"windows": f"failed in this job ({why})"}
    assert _image_csv(tmp_path, "A") == "Metadata\nMetadata_Plate=A\n"
    assert ran.phase_s["checking"] > 0
    used = later.check.exact if later.check else later.exact
    assert used == ("texture",)
    assert later.exact_off == {"windows": f"failed in an earlier job ({why})"}


def test_a_crash_outside_of_accelerations_is_made_again_without_and_blames_none(
    tmp_path: Path,
) -> None:
    with accelerated(tmp_path, {"A": ["exact_fault"]}) as warm:
        ran = run_job(_job("A"), warm)
        later = run_job(_job("B"), warm)
    assert ran.done, ran.failure
    assert (ran.exact, ran.exact_off, ran.attempt) == ((), {}, 1)
    assert (later.exact, later.exact_off) == (NAMES, {})


def test_a_run_that_somebody_kills_is_no_difference(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["exact_kill"]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
        later = run_job(_job("B"), warm)
    assert ran.done, ran.failure
    assert (ran.check, later.exact) == (None, NAMES)


def test_a_failure_with_accelerations_alone_is_a_difference(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["exact_module_error"]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
    assert ran.done
    assert ran.check is not None
    assert ran.check.differences == (
        "Crop: CellProfiler: fails with accelerated modules (ValueError: no such "
        "thing)",
    )


def test_a_failure_without_accelerations_alone_is_a_difference(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["ok", "module_error"]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
        later = run_job(_job("B"), warm)
    assert ran.failure is not None
    assert ran.failure.module == "Crop"
    assert ran.check is not None
    assert ran.check.differences == (
        "Crop: CellProfiler: fails with plain modules alone (ValueError: no such "
        "thing)",
    )
    assert later.exact == ()


def test_what_differs_between_plain_runs_is_no_difference(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"A": ["exact_bytes", "ok", "bytes"]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
        later = run_job(_job("B"), warm)
    assert ran.done, ran.failure
    assert ran.check is not None
    assert ran.check.differences == ()
    assert _image_csv(tmp_path, "A") == "Metadata\nMetadata_Plate=A\n"
    assert _runs(tmp_path, "A") == 3
    assert later.exact == NAMES


@pytest.mark.parametrize("third", ["module_error", "kill", "crash"])
def test_a_third_run_that_fails_excuses_nothing(tmp_path: Path, third: str) -> None:
    with accelerated(tmp_path, {"A": ["exact_bytes", "ok", third]}) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
    assert ran.done, ran.failure
    assert ran.check is not None
    assert len(ran.check.differences) == 1
    assert _image_csv(tmp_path, "A") == "Metadata\nMetadata_Plate=A\n"


def test_limits_count_for_each_way(tmp_path: Path) -> None:
    job = replace(_job("A", CHECK_ALWAYS), timeout_s=3.0)
    with accelerated(tmp_path, {"A": ["slow2", "slow2"]}) as warm:
        assert run_job(job, warm).done
    fresh = _fresh_scratch(tmp_path)
    job = replace(_job("B", CHECK_ALWAYS), timeout_s=1.0)
    with accelerated(fresh, {"B": ["exact_hang"]}) as warm:
        ran = run_job(job, warm)
    assert ran.done, "the plain way has its own limit"
    assert ran.check is None
    with accelerated(_fresh_scratch(tmp_path), {"C": ["ok", "hang"]}) as warm:
        ran = run_job(replace(job, group=_job("C").group), warm)
    assert ran.failure is not None
    assert ran.failure.kind is FailureKind.TIMEOUT


def test_of_a_large_group_the_first_image_sets_are_compared(tmp_path: Path) -> None:
    count = host_runs.WHOLE + 1
    with accelerated(tmp_path) as warm:
        _write_rows(tmp_path, count)
        ran = run_job(_job("P1", CHECK_ALWAYS), warm)
    assert ran.done, ran.failure
    assert ran.check is not None
    assert (ran.check.image_sets, ran.check.differences) == (host_runs.FIRST, ())
    assert ran.exact == NAMES, "what is published is made with accelerations"
    assert _runs(tmp_path, "P1") == 3
    seen = json.loads((tmp_path / "out/P1/P1.json").read_text())
    assert seen["csv"].count("P1,") == count


def test_where_the_first_image_sets_differ_all_run_plain(tmp_path: Path) -> None:
    with accelerated(tmp_path, {"P1": ["exact_bytes"] * 3}) as warm:
        _write_rows(tmp_path, host_runs.WHOLE + 1)
        ran = run_job(_job("P1", CHECK_ALWAYS), warm)
    assert ran.check is not None
    assert ran.check.differences
    assert ran.exact == ()
    assert _image_csv(tmp_path, "P1") == "Metadata\nMetadata_Plate=P1\n"


def test_what_a_host_cannot_use_is_named_and_not_compared(tmp_path: Path) -> None:
    off = {name: "there are no kernels" for name in (*NAMES, "another")}
    (tmp_path / "host.json").write_text(json.dumps({"off": off}))
    with accelerated(tmp_path) as warm:
        ran = run_job(_job("A", CHECK_ALWAYS), warm)
        unwanted = run_job(_job("B"), replace(warm, exact=()))
    assert (ran.exact, ran.check) == ((), None)
    assert ran.exact_off == dict.fromkeys(NAMES, "there are no kernels")
    assert unwanted.exact_off == {}
    assert _runs(tmp_path, "A") == 1


def test_without_a_host_an_outcome_says_why_modules_are_plain(tmp_path: Path) -> None:
    cold = replace(machine(tmp_path, {}), exact=NAMES)
    ran = run_job(_job("A", CHECK_ALWAYS), cold)
    assert ran.exact_off == {ALL_OFF: "each job starts a CellProfiler of its own"}
    assert ran.check is None


def test_a_job_of_another_version_is_not_compared(tmp_path: Path) -> None:
    job = _job("A").to_json() | {"exact_check": "as-of-2030"}
    with accelerated(tmp_path) as warm:
        assert run_job(Job.from_json(job), warm).check is None
