"""The numbers and lines that a person sees while jobs run."""

import io

import pytest
from rich.console import Console

from cpengine.events import Event, JobEnded, JobRetried, JobStarted, ModuleDone
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.progress import Counts, View
from cpengine.testing import jobs

A, B, C = jobs("A", "B", "C")
ERROR = Failure(FailureKind.CELLPROFILER, "ValueError: no", "Crop", "/logs/B.log")


def _counts(*events: Event) -> Counts:
    counts = Counts(jobs=3, image_sets=3)
    for event in events:
        counts.add(event)
    return counts


def test_jobs_are_counted_by_where_they_stand() -> None:
    counts = _counts(
        JobStarted(A, 1), JobStarted(B, 1), JobEnded(Outcome(A)), JobStarted(C, 1)
    )
    assert (counts.done, len(counts.running), counts.failed, counts.left) == (
        1,
        2,
        0,
        0,
    )


def test_a_failed_job_counts_as_failed() -> None:
    counts = _counts(JobStarted(B, 1), JobEnded(Outcome(B, ERROR)))
    assert (counts.done, counts.failed, counts.left) == (0, 1, 2)


def test_a_job_to_be_tried_again_is_left() -> None:
    counts = _counts(JobStarted(B, 1), JobRetried(Outcome(B, ERROR)))
    assert (len(counts.running), counts.failed, counts.left) == (0, 0, 3)


def test_image_sets_of_a_running_job_count_once_the_next_has_begun() -> None:
    lines = [ModuleDone(A, n, "Crop", 2, 0.1) for n in (7, 7, 8)]
    assert _counts(JobStarted(A, 1), *lines).seen_image_sets == 1


def test_rate_and_time_left_follow_from_image_sets() -> None:
    counts = _counts(JobStarted(A, 1), JobEnded(Outcome(A)))
    counts.begun -= 60
    assert counts.per_minute == pytest.approx(1, rel=0.01)
    assert counts.eta == "0:02:00"


def test_without_a_terminal_failures_are_told_as_lines() -> None:
    text = io.StringIO()
    with View("analysis", 3, 3, Console(file=text)) as view:
        view.listen(JobStarted(B, 1))
        view.listen(JobEnded(Outcome(B, ERROR)))
    first, failure, last = text.getvalue().splitlines()
    assert first == "analysis: 3 jobs, 3 image sets"
    assert failure == (
        "test B failed: cellprofiler in Crop: ValueError: no (log: /logs/B.log)"
    )
    assert last.startswith("analysis: 0/3 done, 0 running, 1 failed, 2 left")


def test_a_terminal_gets_a_bar_and_a_line_a_running_job() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with View("analysis", 3, 3, console) as view:
        view.listen(JobStarted(A, 1))
        view.listen(ModuleDone(A, 1, "MeasureTexture", 9, 0.5))
        console.print(view._picture())
    assert "0/3 done, 1 running" in text.getvalue()
    assert "9 MeasureTexture" in text.getvalue()


def test_a_run_that_is_stopped_tells_where_it_stood() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    view = View("analysis", 3, 3, console).__enter__()
    view.listen(JobStarted(A, 1))
    view.listen(JobEnded(Outcome(A)))
    view.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert "analysis: 1/3 done" in text.getvalue()
