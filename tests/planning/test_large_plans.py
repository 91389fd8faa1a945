"""Plans of large batches: few bytes a job, and a run that does not grow."""

import gc
import json
import pickle
import tracemalloc
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cpengine.executors.base import Executor
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.planning.job_list import Lazy, ids
from cpengine.planning.plan import Plan
from cpengine.plates import Part
from cpengine.run.progress import views
from cpengine.run.session import Backend, StepResult, Steps, Todo
from tests import build
from tests.build import Built

PLATES = [f"P{number}" for number in range(6)]
WELLS = [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
SITES = [str(site) for site in range(1, 10)]
JOBS = len(PLATES) * len(WELLS) * len(SITES)
HELD, PEAK = 230, 330
"""Bytes a job that a plan and its standings may keep, and may need in between. So a
million jobs stay below 500 MB, with Python, its modules and longer names than here."""
VERSION = "4.2.8.1"


@pytest.fixture(scope="module", params=["there", "derived"])
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """6 plates of 384 wells with 9 sites: 20,736 jobs. The images are not there."""
    few = build.project(tmp_path_factory.mktemp("large"), plates=PLATES)
    for plate in PLATES:
        path = few.csv.parents[1] / plate / few.csv.name
        rows = build.image_sets(plate, "/images", WELLS, SITES)
        if request.param == "derived":
            path.unlink()
            path = path.with_name("load_data.csv")
            rows = [
                {name: value for name, value in row.items() if "Illum" not in name}
                for row in rows
            ]
        build.write(path, build.csv_text(rows))
    return few


def planned(built: Built) -> Todo:
    return Steps(built.project(), ["analysis"], Part(), VERSION).plan("analysis")


def test_a_job_of_a_plan_takes_few_bytes(large: Built) -> None:
    planned(large)  # for all that is made once: modules, regular expressions
    gc.collect()
    tracemalloc.start()
    todo = planned(large)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    taken = sum(bool(job.fingerprint) for job in todo.jobs)
    _, taking = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\n{held / JOBS:.0f} bytes a job, {peak / JOBS:.0f} at the most")
    assert taken == len(todo.standings) == len(todo.plan.jobs) == JOBS == 20_736
    assert held < HELD * JOBS
    assert peak < PEAK * JOBS
    # None of the jobs taken is kept; Python 3.11 keeps 2000 tuples of 20 arguments.
    assert taking < held + 500_000


# Jobs that are made when they are looked at


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two plates with two wells of two sites each."""
    return build.project(tmp_path, plates=["P1", "P2"]).project().plan("analysis")


def test_jobs_are_the_same_each_time_they_are_read(plan: Plan) -> None:
    taken = list(plan.jobs)
    assert taken == [plan.jobs[number] for number in range(len(plan.jobs))]
    assert taken[-3] == plan.jobs[-3]
    assert taken[1:6:2] == list(plan.jobs[1:6:2])
    assert (plan.jobs == taken, plan.jobs == taken[1:]) == (True, False)
    assert list(ids(plan.jobs)) == [job.id for job in taken] == list(ids(taken))
    with pytest.raises(IndexError):
        plan.jobs[len(taken)]


def test_a_job_of_a_plan_goes_elsewhere_whole(plan: Plan) -> None:
    job = plan.jobs[-1]
    assert pickle.loads(pickle.dumps(job)) == job
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job
    assert replace(job, share=2).destination == job.destination


def test_a_sequence_can_be_made_of_some_of_another() -> None:
    letters = Lazy("abcdef".__getitem__, [4, 1, 2])
    assert (list(letters), letters[-1], list(letters[1:])) == (
        ["e", "b", "c"],
        "c",
        ["b", "c"],
    )


def test_derived_csvs_are_made_when_they_are_read(large: Built) -> None:
    derived = planned(large).plan.derived
    for key, table in derived.items():
        assert table.rows[-1][-2:] == (
            f"{key.split('/')[-2]}_IllumDNA.npy",
            str(large.illum.parent / key.split("/")[-2]),
        )
    with pytest.raises(KeyError):
        derived["other.csv"]


# Runs


class Instant(Executor):
    """Jobs are done as soon as they are submitted, with three files each.

    Parameters
    ----------
    fails
        Whether all fail instead.
    """

    window = 2

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.ended: list[Outcome] = []
        self.most = 0
        """Outcomes that were there at one time."""

    def submit(self, job: Job, attempt: int) -> None:
        files = {f"{number}.csv": number for number in range(3)}
        failure = Failure(FailureKind.NO_OUTPUT, f"no file of {job.id}")
        if self.fails:
            self.ended.append(Outcome(job, failure, host="instant"))
        else:
            self.ended.append(Outcome(job, files=files, host="instant"))

    def wait(self, timeout_s: float | None) -> list[Outcome]:
        found = (thing for thing in gc.get_objects() if isinstance(thing, Outcome))
        self.most = max(self.most, sum(outcome.host == "instant" for outcome in found))
        ended, self.ended = self.ended, []
        return ended

    def cancel(self) -> None: ...


def ran(built: Built, executor: Executor) -> StepResult:
    steps = Steps(built.project(), ["analysis"], Part(), VERSION, max_failures=1000)
    backend = Backend("inline", lambda: executor, {})
    results: list[StepResult] = []
    deque(steps.run(backend, views(Console(quiet=True)), results.append), 0)
    (result,) = results
    return result


def test_a_run_counts_what_is_done_and_keeps_no_outcome(tmp_path: Path) -> None:
    built = build.project(tmp_path, wells=WELLS[:24])
    executor = Instant()
    result = ran(built, executor)
    assert result.counts == {
        "done": 48,
        "failed": 0,
        "not_run": 0,
        "image_sets": 48,
        "files": 3 * 48,
    }
    assert executor.most <= 2 * executor.window


def test_a_run_counts_what_fails_and_keeps_the_first_of_each_cause(
    tmp_path: Path,
) -> None:
    built = build.project(tmp_path, wells=WELLS[:24])
    executor = Instant(fails=True)
    result = ran(built, executor)
    assert (result.failed, [cause.times for cause in result.causes]) == (48, [48])
    assert result.to_json()["failed"] == 48
    assert executor.most <= 2 * executor.window + 1
