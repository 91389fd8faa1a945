"""Two runs that have the same job: the later one's results stand, whole."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from cpengine.events import Event, PhaseBegun
from cpengine.job import turns
from cpengine.job.run_job import Machine, run_job
from cpengine.job.turns import Taken, Turn
from cpengine.ledger.ledger import Ledger
from cpengine.model import FailureKind, Job, Outcome
from cpengine.storage.store import Storage
from cpengine.testing import jobs, machine
from tests import build
from tests.services.s3.bucket_server import S3Server
from tests.unreadable.damage import ANY, JSON, NEWER


@pytest.fixture
def bench(tmp_path: Path) -> Machine:
    """A machine, and a ledger of nine runs."""
    there = machine(tmp_path, {})
    for number in range(1, 10):
        there.places.outputs.write(f"ledger/order/{number}", b"")
    return there


@pytest.fixture
def job() -> Job:
    (job,) = jobs("P1")
    return replace(job, run=1, fingerprint="old")


def later(job: Job, **changes: object) -> Job:
    return replace(job, run=job.run + 1, fingerprint="new", **changes)  # type: ignore[arg-type]


def markers(bench: Machine, job: Job) -> list[str]:
    names = Ledger(bench.places.outputs, job.ledger).markers().get(job.id, ())
    return sorted(name.split("~")[1] + "." + name.split(".")[-1] for name in names)


def during(phase: str, do: Callable[[], object]) -> Callable[[Event], None]:
    """Do something once, when an attempt gets to a phase."""
    done: list[object] = []

    def listen(event: Event) -> None:
        began = isinstance(event, PhaseBegun) and event.phase == phase
        if began and not done:
            done.append(None)
            done.append(do())

    return listen


def turn_of(job: Job, run: int, fingerprint: str, **more: Any) -> Turn:
    return Turn(run, fingerprint, "4.2.8.1", job.step, job.id, **more)


def key_of(bench: Machine, job: Job) -> str:
    return Ledger(bench.places.outputs, job.ledger).turn(job)


def file_of(bench: Machine) -> str:
    """Which run's results are published: what the stand-in was given."""
    seen = json.loads(bench.places.outputs.read_text("out/P1/P1.json"))
    return next(a for a in seen["argv"] if a.startswith("--data-file"))


def test_a_run_that_ends_late_publishes_nothing(bench: Machine, job: Job) -> None:
    results: list[Outcome] = []
    late = run_job(
        job,
        bench,
        listen=during("running", lambda: results.append(run_job(later(job), bench))),
    )
    (second,) = results
    assert second.done
    assert late.failure is not None
    assert late.failure.kind is FailureKind.SUPERSEDED
    assert "run 2 of this step began later" in late.failure.message
    assert markers(bench, job) == ["new.done", "old.failed-superseded"]


def test_the_files_of_the_later_run_stay(bench: Machine, job: Job) -> None:
    published: list[str] = []

    def second() -> None:
        run_job(later(job), bench)
        published.append(file_of(bench))

    run_job(job, bench, listen=during("running", second))
    assert published == [file_of(bench)]


def test_a_run_that_was_done_after_the_plan_is_taken_back(
    bench: Machine, job: Job
) -> None:
    """The later run's plan did not see the marker of the earlier one."""
    planned = later(job)
    assert run_job(job, bench).done
    assert run_job(planned, bench).done
    assert markers(bench, job) == ["new.done"]


def test_a_job_of_another_id_takes_the_place_and_its_marker(
    bench: Machine, job: Job
) -> None:
    """The order of the grouping has changed: other ids, the same folders."""
    table = bench.places.workspace.path(job.data_file)
    head, *rows = table.read_text().splitlines()
    wells = [f"{head},Metadata_Well", *(f"{row},A01" for row in rows)]
    table.write_text("\n".join(wells))
    of_two = replace(
        job,
        group=(("Metadata_Plate", "P1"), ("Metadata_Well", "A01")),
        output_structure="Metadata_Plate-Metadata_Well",
    )
    other = replace(of_two, group=of_two.group[::-1])
    assert other.destination == of_two.destination
    assert run_job(of_two, bench).done
    assert run_job(other, bench).done
    assert markers(bench, other) == ["old.done"]
    assert markers(bench, of_two) == ["old.replaced"]


def test_a_job_of_another_step_takes_the_place_and_its_marker(
    bench: Machine, job: Job
) -> None:
    """A step was renamed, and has the output that it had."""
    mine = replace(job, ledger=f"ledgers/{job.step}")
    renamed = replace(job, step="renamed", ledger="ledgers/renamed")
    assert run_job(mine, bench).done
    assert run_job(renamed, bench).done
    assert markers(bench, renamed) == ["old.done"]
    assert markers(bench, mine) == ["old.replaced"]


def test_steps_that_share_their_places_do_not_mind_each_other(
    bench: Machine, job: Job
) -> None:
    mine = replace(job, ledger=f"ledgers/{job.step}", shared=True)
    second = replace(job, step="second", ledger="ledgers/second", shared=True)
    assert run_job(mine, bench).done
    run_job(second, bench)
    assert markers(bench, mine) == ["old.done"]


def test_two_runs_of_one_fingerprint_do_no_harm(bench: Machine, job: Job) -> None:
    second = replace(job, run=2)
    listen = during("publishing", lambda: run_job(second, bench))
    assert run_job(job, bench, listen=listen).done
    assert markers(bench, job) == ["old.done"]


def test_a_later_run_waits_until_an_earlier_one_has_published(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, publish = threading.Event(), Storage.publish

    def slowly(self: Storage, file: Path, key: str) -> None:
        if not begun.is_set():
            begun.set()
            time.sleep(1.5)
        publish(self, file, key)

    monkeypatch.setattr(Storage, "publish", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run_job, job, bench)
        assert begun.wait(60)
        second = run_job(later(job), bench)
        assert first.result().done
    assert second.done
    assert markers(bench, job) == ["new.done"]


def test_of_two_that_publish_at_once_neither_counts(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier run went on publishing after the later one had given up waiting."""
    monkeypatch.setattr(turns, "WAIT_S", 0.0)
    publish, results = Storage.publish, []

    def overtaken(self: Storage, file: Path, key: str) -> None:
        if key.endswith("Image.csv") and not results:
            results.append(None)
            results.append(run_job(later(job), bench))
        publish(self, file, key)

    monkeypatch.setattr(Storage, "publish", overtaken)
    late = run_job(job, bench)
    assert late.failure is not None
    assert late.failure.kind is FailureKind.SUPERSEDED
    assert markers(bench, job) == ["new.replaced", "old.failed-superseded"]


def test_of_two_that_publish_at_once_neither_counts_whoever_ends_first(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later run is in the middle of publishing when the earlier one ends."""
    monkeypatch.setattr(turns, "WAIT_S", 0.0)
    publish = Storage.publish
    results: dict[str, Outcome] = {}
    begun, ended = threading.Event(), threading.Event()

    def both(self: Storage, file: Path, key: str) -> None:
        publish(self, file, key)
        if key.endswith("Image.csv") and not begun.is_set():
            begun.set()
            pool.submit(run_second)
            assert taken.wait(60)
        elif key.endswith("Image.csv"):
            taken.set()
            assert ended.wait(60)

    def run_second() -> None:
        results["second"] = run_job(later(job), bench)

    taken = threading.Event()
    monkeypatch.setattr(Storage, "publish", both)
    with ThreadPoolExecutor(1) as pool:
        first = run_job(job, bench)
        ended.set()
    assert markers(bench, job) == ["new.failed-superseded", "old.failed-superseded"]
    for outcome in (first, results["second"]):
        assert outcome.failure is not None
        assert "neither counts" in outcome.failure.message
    monkeypatch.setattr(Storage, "publish", publish)
    assert run_job(replace(later(job), run=3), bench).done


def publishing(
    monkeypatch: pytest.MonkeyPatch, name: str, wait_s: float = 0.0
) -> list[str]:
    """The keys of a file as it is published, slowly."""
    published, publish = [], Storage.publish

    def slowly(self: Storage, file: Path, key: str) -> None:
        if key.endswith(name):
            published.append(key)
            time.sleep(wait_s)
        publish(self, file, key)

    monkeypatch.setattr(Storage, "publish", slowly)
    return published


def test_of_two_runs_of_one_fingerprint_only_one_publishes(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its marker has the sizes of its files: times make others of another size."""
    published = publishing(monkeypatch, "Image.csv", 1.0)
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(
            lambda run: run_job(replace(job, run=run), bench), (1, 2)
        ):
            assert outcome.done
    assert len(published) == 1
    assert markers(bench, job) == ["old.done"]


def test_of_two_that_take_over_a_key_at_once_one_goes_on(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_job(job, bench).done
    published = publishing(monkeypatch, "Image.csv", 1.0)
    replaced, meeting = Storage.replace, threading.Barrier(2)

    def together(self: Storage, key: str, old: bytes, new: bytes) -> bool:
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(2)
        return replaced(self, key, old, new)

    monkeypatch.setattr(Storage, "replace", together)
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(
            lambda run: run_job(replace(later(job), run=run), bench), (2, 3)
        ):
            assert outcome.done
    assert len(published) == 1
    assert markers(bench, job) == ["new.done"]


def test_what_killed_runs_left_is_removed(
    bench: Machine, job: Job, tmp_path: Path
) -> None:
    """Of run 1, which run 2 was about to remove when it was killed, too."""
    outside = tmp_path / "out" / "other.csv"
    names = ("run1.csv", "deep/run2.csv")
    left = [tmp_path / job.destination / name for name in names]
    for path in (outside, *left):
        build.write(path, "left over")
    files = (*names, "../other.csv")
    dead = turn_of(job, 2, "older", files=files, pid=dead_process())
    write_turn(bench, job, dead)
    assert run_job(replace(later(job), run=3), bench).done
    assert [path.exists() for path in (outside, *left)] == [True, False, False]


def test_a_key_names_what_may_be_there(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = turn_of(job, 1, "older", files=("a",), pid=dead_process())
    write_turn(bench, job, older)
    key, found = key_of(bench, job), []
    publish = Storage.publish

    def see(self: Storage, file: Path, to: str) -> None:
        found.append(json.loads(bench.places.outputs.read(key))["files"])
        publish(self, file, to)

    monkeypatch.setattr(Storage, "publish", see)
    outcome = run_job(later(job), bench)
    assert {tuple(files) for files in found} == {tuple(sorted({"a", *outcome.files}))}


def dead_process() -> int:
    gone = subprocess.Popen(["true"])
    gone.wait()
    return gone.pid


def test_nobody_waits_for_a_run_that_was_killed(
    bench: Machine, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_turn(bench, job, turn_of(job, 1, "older", pid=dead_process()))
    monkeypatch.setattr(turns, "_EVERY_S", 3600.0)
    assert run_job(later(job), bench).done


def test_a_key_that_cannot_be_read_stops_nobody(bench: Machine, job: Job) -> None:
    key = key_of(bench, job)
    for text in (b"", b"{", b'{"run": 1, "who": 2}', b"\xff", b"3", b"[" * 10**5):
        bench.places.outputs.write(key, text)
        with turns.turn(
            Ledger(bench.places.outputs, job.ledger), later(job), "4.2.8.1"
        ):
            pass
        found = json.loads(bench.places.outputs.read(key))
        assert (found["run"], found["fingerprint"]) == (2, "new")


@pytest.mark.parametrize("kind", {**ANY, **JSON})
def test_a_damaged_turn_is_named_and_stops_nobody(
    bench: Machine, job: Job, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    text = json.dumps(asdict(turn_of(job, 9, "newer", pid=1, namespace="")))
    damaged = {**ANY, **JSON}[kind](text.encode())
    if kind == "wrong types inside":  # there is nothing inside
        damaged = text.replace("9", "null").encode()
    bench.places.outputs.write(key_of(bench, job), damaged)
    assert run_job(later(job), bench).done
    assert f"{key_of(bench, job)}: is damaged (" in caplog.text


@pytest.mark.parametrize("kind", NEWER)
def test_a_later_run_of_a_newer_version_has_its_turn(
    bench: Machine, job: Job, kind: str
) -> None:
    text = json.dumps(asdict(turn_of(job, 9, "newer", pid=1, namespace="")))
    key = key_of(bench, job)
    bench.places.outputs.write(key, NEWER[kind](text.encode()))
    late = run_job(job, bench)
    assert late.failure is not None
    assert late.failure.kind is FailureKind.SUPERSEDED


def test_what_a_run_published_that_failed_in_it_is_removed(
    bench: Machine, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody waits for it, though its process lives."""
    monkeypatch.setattr(turns, "_EVERY_S", 3600.0)
    left = tmp_path / job.destination / "left.csv"
    ledger = Ledger(bench.places.outputs, job.ledger)
    with (
        contextlib.suppress(OSError),
        turns.turn(ledger, job, "4.2.8.1", ["left.csv"]),
    ):
        build.write(left, "left")
        raise OSError("the disk is full")
    assert run_job(later(job), bench).done
    assert not left.exists()


def test_a_job_of_no_recorded_run_comes_after_any(bench: Machine, job: Job) -> None:
    assert run_job(later(job), bench).done
    assert run_job(replace(job, run=0), bench).done
    assert markers(bench, job) == ["old.done"]


@pytest.mark.parametrize("run", [0, 1])
def test_copies_of_a_job_in_one_process_come_to_one_result(
    bench: Machine, job: Job, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue may hand a job out twice, also of no run that is recorded."""
    job, record = replace(job, run=run), Ledger.record
    publishes, waited = threading.Event(), threading.Event()

    def late(ledger: Ledger, outcome: Outcome) -> None:
        if not publishes.is_set():
            publishes.set()
            assert waited.wait(60)
        record(ledger, outcome)

    def waits(_: float) -> None:
        waited.set()

    monkeypatch.setattr(Ledger, "record", late)
    monkeypatch.setattr(turns.time, "sleep", waits)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run_job, job, bench)
        assert publishes.wait(60)
        copy = pool.submit(run_job, job, bench)
    assert copy.result().files == first.result().files
    assert copy.result().started == first.result().started


def test_runs_are_numbered_in_their_order_also_at_the_same_time(
    bench: Machine,
) -> None:
    ledger = Ledger(bench.places.outputs, "new")
    assert [ledger.number_run() for _ in range(3)] == [1, 2, 3]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: ledger.number_run(), range(16)))
    assert sorted(numbers) == list(range(4, 20))


@pytest.mark.parametrize("number", [10, 10**9, 10**16, 10**250])
def test_a_turn_of_a_run_that_never_began_bars_no_job(
    bench: Machine, job: Job, number: int, tmp_path: Path
) -> None:
    """Its files are known all the same, and its marker is set aside."""
    left = tmp_path / job.destination / "forged.csv"
    build.write(left, "left over")
    forged = turn_of(job, number, "forged", files=("forged.csv",), pid=dead_process())
    write_turn(bench, job, forged)
    assert run_job(job, bench).done
    assert not left.exists()
    assert json.loads(bench.places.outputs.read(key_of(bench, job)))["run"] == 1


def test_a_message_with_a_number_of_no_run_bars_no_job(
    bench: Machine, job: Job
) -> None:
    assert run_job(replace(job, run=10**9), bench).done
    assert run_job(later(job), bench).done
    assert markers(bench, job) == ["new.done"]


@pytest.mark.parametrize("number", [10**9, 10**15 - 1, 10**15, 10**16])
def test_runs_are_numbered_also_where_others_have_written_high_numbers(
    bench: Machine, number: int
) -> None:
    ledger = Ledger(bench.places.outputs, "new")
    ledger.storage.write(f"new/order/{number}", b"")
    first, second, third = (ledger.number_run() for _ in range(3))
    assert first < second < third
    assert ledger.has_run(third)


@contextlib.contextmanager
def no_turn(ledger: Ledger, job: Job, *_: object, **options: object) -> Iterator[Taken]:
    yield Taken(ledger, job)


def test_a_turn_costs_one_request_to_write_and_one_to_read(
    bucket_bench: Machine, job: Job, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    ways = (no_turn, no_turn, turns.turn)  # the first one fills the cache
    for number, way in enumerate(ways):
        s3.reset_counts()
        monkeypatch.setattr(turns, "turn", way)
        of_run = replace(job, fingerprint=f"f{number}")
        assert run_job(of_run, bucket_bench).done
        counts.append(s3.counts())
    _, without, with_turn = counts
    assert with_turn["put"] - without["put"] == 1
    assert with_turn["get"] - without["get"] == 1
    assert with_turn["list"] == without["list"]


def write_turn(bench: Machine, job: Job, turn: Turn) -> None:
    text = json.dumps(asdict(turn)).encode()
    bench.places.outputs.write(key_of(bench, job), text)
