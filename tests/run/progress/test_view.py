"""What is said while jobs run, on a terminal and without one."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from rich.console import Console

from cpengine.events import (
    Event,
    JobEnded,
    JobRetried,
    JobStarted,
    ModuleDone,
    Noted,
    ProcessEachJob,
    RunStopped,
)
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.run.progress import View, views
from cpengine.testing import jobs
from tests.run.progress.screen import (
    WELLS_384,
    Clock,
    done,
    ended,
    follow,
    plan,
    terminal,
)

A, B, C = ABC = jobs("A", "B", "C")
ERROR = Failure(FailureKind.CELLPROFILER, "ValueError: no", "Crop", "/logs/B.log")


@pytest.fixture
def text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plain(text: io.StringIO, clock: Clock) -> View:
    """A view without a terminal."""
    return View("analysis", ABC, Console(file=text), clock=clock)


def test_without_a_terminal_failures_are_printed_as_lines(
    plain: View, text: io.StringIO
) -> None:
    with plain:
        follow(plain, JobStarted(B, 1), JobEnded(Outcome(B, ERROR)))
    first, failure, last = text.getvalue().splitlines()
    assert first == "analysis: 3 jobs, 3 image sets"
    assert failure == (
        "test B failed: cellprofiler in Crop: ValueError: no (log: /logs/B.log)"
    )
    assert last.startswith("analysis: 0/3 done, 0 running, 1 failed, 2 left")


def test_without_a_terminal_each_try_of_a_job_is_reported(
    plain: View, text: io.StringIO
) -> None:
    outcome = Outcome(B, ERROR)
    follow(plain, JobRetried(outcome), JobRetried(outcome), JobEnded(outcome))
    line = "test B failed: cellprofiler in Crop: ValueError: no (log: /logs/B.log)"
    again = f"{line}; trying again"
    assert text.getvalue().splitlines() == [again, again, line]


def test_three_thousand_same_failures_are_few_lines(
    text: io.StringIO, clock: Clock
) -> None:
    many = plan([f"P{n}" for n in range(8)], WELLS_384)[:3_000]
    view = View("analysis", many, Console(file=text), clock=clock)
    for number, job in enumerate(many):
        clock.now += 0.05
        view.listen(ended(job, f"/data/{number}.csv: channel OrigER missing"))
    first, *rest = text.getvalue().splitlines()
    assert first == (
        "analysis P0-A01-1 failed: bad_input: /data/0.csv: channel OrigER missing"
    )
    assert [line.partition(",")[0] for line in rest] == [
        "analysis: 0/3000 done",
        "  failed: 1201 jobs",
        "analysis: 0/3000 done",
        "  failed: 2402 jobs",
    ]
    assert rest[1].endswith(
        "first P0-A01-1: bad_input: /data/0.csv: channel OrigER missing"
    )


def test_a_line_a_minute_tells_where_the_step_stands(
    plain: View, text: io.StringIO, clock: Clock
) -> None:
    for second in range(181):
        clock.now = float(second)
        plain.listen(ModuleDone(A, 1, "Crop", 1, 0.1))
    assert (
        text.getvalue().splitlines()
        == [
            "analysis: 0/3 done, 0 running, 0 failed, 3 left, 0.0 image sets/min, "
            "ETA -:--:--"
        ]
        * 2
    )


def test_a_terminal_gets_pictures_and_no_line_a_failure() -> None:
    console = terminal()
    with View("analysis", ABC, console) as view:
        follow(view, JobStarted(A, 1), ModuleDone(A, 1, "MeasureTexture", 9, 0.5))
        follow(view, JobStarted(B, 1), JobEnded(Outcome(B, ERROR)))
        view._live.refresh()
    output = _output(console)
    assert "module 9  MeasureTexture" in output
    assert "✗ 1 job, first B: cellprofiler in Crop: ValueError: no" in output
    assert "test B failed" not in output


def test_a_run_that_is_stopped_tells_where_it_stood_and_what_failed() -> None:
    console = terminal(120)
    view = View("analysis", ABC, console).__enter__()
    follow(view, done(A), JobEnded(Outcome(B, ERROR)))
    view.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    stood, failed = _output(console).splitlines()[-2:]
    assert "analysis: 1/3 done" in stood
    assert failed == ("  failed: 1 job, first B: cellprofiler in Crop: ValueError: no")


def test_a_run_that_is_stopped_tells_why_jobs_are_tried_again() -> None:
    console = terminal(120)
    view = View("analysis", ABC, console).__enter__()
    follow(view, JobStarted(B, 1), JobRetried(Outcome(B, ERROR)))
    view.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert _output(console).splitlines()[-1] == (
        "  failed: 1 try, first B: cellprofiler in Crop: ValueError: no"
    )


def test_notes_and_the_reason_of_a_stop_are_reported_once(
    plain: View, text: io.StringIO
) -> None:
    each = ProcessEachJob("it is a wrapper")
    follow(plain, Noted("no worker"), each, Noted("no worker"), each, RunStopped("so"))
    assert text.getvalue().splitlines() == [
        "note: no worker",
        "note: each job starts a CellProfiler of its own, because it is a wrapper",
        "analysis: stopped: so",
    ]


def test_events_may_come_from_many_threads() -> None:
    many = plan([f"P{n}" for n in range(4)], WELLS_384)
    with View("analysis", many, terminal()) as view, ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda job: follow(view, done(job)), many):
            pass
    plates = list(view._plates.in_sight())
    assert (view.counts.done, view.counts.left, view.counts.running) == (1536, 0, {})
    assert [(plate.done, plate.running) for plate in plates] == [(384, 0)] * 4


def test_others_get_each_event() -> None:
    got: list[Event] = []
    view = views(Console(quiet=True), got.append)("analysis", ABC)
    events: list[Event] = [JobStarted(A, 1), JobEnded(Outcome(A))]
    follow(view, *events)
    assert got == events


def test_what_was_done_before_is_not_read_without_a_terminal() -> None:
    def already() -> object:
        raise AssertionError
        yield

    view = views(Console(file=io.StringIO()))("analysis", ABC, already())
    assert view.counts.jobs == 3


def test_a_dumb_terminal_gets_lines() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, _environ={"TERM": "dumb"})
    with View("analysis", ABC, console):
        pass
    assert text.getvalue().startswith("analysis: 3 jobs, 3 image sets\n")


def test_image_sets_are_counted_from_the_jobs(plain: View) -> None:
    view = View("illum", [replace(A, image_sets=9), B], Console(quiet=True))
    assert view.counts.image_sets == 10


def _output(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.TextIOWrapper)
    file.flush()
    buffer = file.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
