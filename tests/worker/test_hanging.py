"""A worker that hangs says nothing of its health, whatever else of it goes on."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.executors.aws.queue import Message, Queue
from cpengine.job.admission import Slots
from cpengine.job.run_job import run_job
from cpengine.model import Outcome
from cpengine.testing import jobs
from cpengine.worker import health, loop, visibility
from cpengine.worker.loop import Worker
from tests.worker.bench import Make


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker is unwell soon after its last sign, which is its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(health, "_SILENT_S", 2.5)
    monkeypatch.setattr(visibility, "HANGS_S", 1.0)


@contextmanager
def _beside(worker: Worker) -> Iterator[None]:
    """Run a worker on a thread; tell it to leave in the end."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.leave()
        thread.join(60)
        assert not thread.is_alive()


def _until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_a_worker_whose_loop_hangs_is_not_well_though_its_messages_stay_hidden(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench({"A": ["slow4"]}, visibility_s=3)
    bench.send(*jobs("A"))
    goes_on, receive = threading.Event(), Queue.receive

    def hang(self: Queue, most: int, wait_s: int) -> list[Message]:
        if bench.tries("A"):
            goes_on.wait(30)
        return receive(self, most, wait_s)

    monkeypatch.setattr(Queue, "receive", hang)
    with _beside(bench.worker()):
        _until(lambda: bench.tries("A") == 1)
        try:
            _until(lambda: not health.is_well())
            time.sleep(1.2)  # it is hidden anew meanwhile
            assert not health.is_well()
        finally:
            goes_on.set()


def test_a_worker_with_a_job_that_hangs_is_not_well(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    bench.send(*jobs("A"))
    goes_on, waits = threading.Event(), threading.Event()

    def hang(*things: object, **more: object) -> Outcome:
        waits.set()
        goes_on.wait(30)
        return run_job(*things, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "run_job", hang)
    with _beside(bench.worker()):
        waits.wait(20)
        assert health.is_well()
        _until(lambda: "test A: hangs: see its log" in bench.lines)
        _until(lambda: not health.is_well())
        goes_on.set()
        _until(health.is_well)


def test_a_worker_is_well_while_cellprofiler_runs_long_and_jobs_wait_for_slots(
    make_bench: Make,
) -> None:
    bench = make_bench({name: ["slow2"] for name in "ABC"})
    bench.send(*jobs(*"ABC"))
    with _beside(bench.worker(replace(bench.machine, slots=Slots(1)))):
        _until(lambda: bench.tries("A") + bench.tries("B") + bench.tries("C") == 1)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert health.is_well()
            time.sleep(0.05)
