"""What a driver says of itself in the ledger, and how it is told to stop."""

import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path

import pytest

from cpengine.errors import StorageError
from cpengine.ledger import driver_sign
from cpengine.ledger.driver_sign import Sign
from cpengine.ledger.heartbeat import (
    Heartbeat,
    ask_to_stop,
    clean_up,
    is_alone,
    jobs_of,
    replace_silent,
)
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from cpengine.storage.store import Storage

RUN = "20260101T000000Z-ab12"
BEAT_S = 0.05
JOBS = ["P1-A01-1", "P1-A01-2"]
LONG_AGO = "2020-01-01T00:00:00+00:00"
TRACES = {"scheduler": "slurm", "jobs": "cpengine-abc"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Storage(str(tmp_path)), "ledger")


def _line(
    ledger: Ledger,
    stop: Callable[[], None] | None = lambda: None,
    progress: Callable[[], str] = lambda: "1 of 9 jobs",
) -> Heartbeat:
    return Heartbeat(ledger, RUN, JOBS, progress, stop, every_s=BEAT_S)


def _until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up, "it takes too long"
        time.sleep(BEAT_S / 5)


def _left(ledger: Ledger) -> list[str]:
    return sorted(ledger.storage.tree("ledger"))


class _Broken:
    """Lets a method of all storages fail, as long as it is on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
        self.on = True
        self.failed = 0
        for name in methods:
            monkeypatch.setattr(Storage, name, self._method(getattr(Storage, name)))

    def _method(self, real: Callable[..., object]) -> Callable[..., object]:
        def method(storage: Storage, *arguments: object) -> object:
            if self.on:
                self.failed += 1
                raise StorageError("the disk is full")
            return real(storage, *arguments)

        return method


# Signs


def test_a_run_that_is_driven_has_a_sign(ledger: Ledger) -> None:
    assert driver_sign.read(ledger, RUN) is None
    with _line(ledger):
        sign = driver_sign.read(ledger, RUN)
        assert sign is not None
        assert sign.seems_alive
        where = (socket.gethostname(), os.getpid(), getpass.getuser())
        assert (sign.run, sign.host, sign.pid, sign.user) == (RUN, *where)
        assert jobs_of(ledger, RUN) == set(JOBS)
    assert driver_sign.read(ledger, RUN) is None
    assert _left(ledger) == []


def test_a_sign_tells_progress_and_traces(ledger: Ledger) -> None:
    done = count()
    with _line(ledger, progress=lambda: f"{next(done)} of 99 jobs") as heartbeat:
        first = driver_sign.read(ledger, RUN)
        assert first is not None
        assert (first.progress, first.traces) == ("0 of 99 jobs", {})
        heartbeat.leaves(TRACES)
        _until(lambda: (s := driver_sign.read(ledger, RUN)) and s.beat > 3)
        last = driver_sign.read(ledger, RUN)
        assert last is not None
        assert (last.progress, last.traces) == (f"{last.beat - 1} of 99 jobs", TRACES)
        assert last.started == first.started


def test_a_driver_says_whether_it_still_checks_for_others(ledger: Ledger) -> None:
    with _line(ledger) as heartbeat:
        sign = driver_sign.read(ledger, RUN)
        assert sign is not None
        assert sign.checking
        heartbeat.admitted()
        sign = driver_sign.read(ledger, RUN)
        assert sign is not None
        assert not sign.checking


def test_the_sign_of_another_run_is_not_touched(ledger: Ledger) -> None:
    ledger.storage.write("ledger/drivers/other.alive", b"{}")
    with _line(ledger):
        pass
    assert _left(ledger) == ["drivers/other.alive"]


def test_the_sign_goes_also_when_the_run_fails(ledger: Ledger) -> None:
    with pytest.raises(KeyError), _line(ledger):
        raise KeyError
    assert _left(ledger) == []


# Being told to stop


def test_a_driver_that_is_asked_to_stop_stops_once(ledger: Ledger) -> None:
    asked: list[float] = []
    with _line(ledger, stop=lambda: asked.append(time.monotonic())):
        time.sleep(3 * BEAT_S)
        assert asked == []
        ask_to_stop(ledger, RUN)
        _until(lambda: asked)
        time.sleep(5 * BEAT_S)
        assert len(asked) == 1
    assert _left(ledger) == []


def test_a_request_for_another_run_is_not_heard(ledger: Ledger) -> None:
    asked: list[int] = []
    ask_to_stop(ledger, "other")
    with _line(ledger, stop=lambda: asked.append(1)):
        time.sleep(5 * BEAT_S)
    assert asked == []


def test_a_driver_that_is_stopping_still_says_that_it_lives(ledger: Ledger) -> None:
    # Else it would be taken for dead while it stops, which may take minutes.
    asked, beats = threading.Event(), count()
    with _line(ledger, stop=asked.set, progress=lambda: str(next(beats))):
        ask_to_stop(ledger, RUN)
        assert asked.wait(20)
        before = driver_sign.read(ledger, RUN)
        time.sleep(10 * BEAT_S)
        assert driver_sign.read(ledger, RUN) != before


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Signals that this process has got; it takes none of them by itself."""
    got: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, frame: got.append(number))
    yield got
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        (signal.SIG_DFL, signal.SIGINT),  # in a terminal: Ctrl-C
        (None, signal.SIGTERM),
    ],
)
def test_a_driver_stops_by_the_signal_that_it_takes(
    ignored: signal.Handlers | None,
    expected: int,
    ledger: Ledger,
    heard: list[int],
) -> None:
    if ignored is not None:
        signal.signal(signal.SIGTERM, ignored)
    ask_to_stop(ledger, RUN)
    with _line(ledger, stop=None):
        _until(lambda: heard)
    assert heard == [expected]


# Storage that fails


def test_storage_that_fails_does_not_end_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    with _line(ledger, stop=asked.set):
        broken = _Broken(monkeypatch, "write", "read_if_there")
        _until(lambda: broken.failed > 6)
        broken.on = False
        _until(lambda: driver_sign.read(ledger, RUN))
        ask_to_stop(ledger, RUN)
        assert asked.wait(20)


def test_a_sign_that_cannot_be_removed_does_not_fail_the_run(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Broken(monkeypatch, "remove")
    with _line(ledger):
        pass
    assert _left(ledger) == [f"drivers/{RUN}.alive", f"drivers/{RUN}.jobs"]


def test_asking_says_that_it_could_not(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Broken(monkeypatch, "write")
    with pytest.raises(StorageError):
        ask_to_stop(ledger, RUN)


# After a driver was killed


def test_what_a_killed_driver_left_is_removed(ledger: Ledger) -> None:
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", b"{}")
    ledger.storage.write(f"ledger/drivers/{RUN}.jobs", b"[]")
    ask_to_stop(ledger, RUN)
    clean_up(ledger, RUN)
    clean_up(ledger, RUN)  # somebody else may have done it
    assert _left(ledger) == []


def _write(ledger: Ledger, run: str, **fields: object) -> None:
    sign = asdict(Sign(run, now(), "")) | fields
    ledger.storage.write(f"ledger/drivers/{run}.alive", json.dumps(sign).encode())


def test_a_driver_removes_what_killed_ones_have_left_on_its_machine(
    ledger: Ledger,
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    _write(ledger, "gone", pid=ended.pid)
    _write(ledger, "elsewhere", pid=ended.pid, namespace="a-b-c", time=LONG_AGO)
    with Heartbeat(ledger, RUN, [], lambda: ""):
        left = set(ledger.storage.sizes("ledger/drivers"))
    assert left == {"elsewhere.alive", f"{RUN}.alive", f"{RUN}.jobs"}


def test_a_driver_that_was_silent_and_wakes_up_is_asked_to_stop(
    ledger: Ledger,
) -> None:
    asked = threading.Event()
    with _line(ledger, stop=asked.set):
        replace_silent(ledger, RUN)
        assert asked.wait(20)


def test_of_one_that_has_died_nothing_stays(ledger: Ledger) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    _write(ledger, RUN, pid=ended.pid)
    replace_silent(ledger, RUN)
    assert _left(ledger) == []


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver is silent after a second, instead of a minute."""
    monkeypatch.setattr(driver_sign, "SILENT_S", 1.0)


def test_of_two_runs_none_is_alone(ledger: Ledger, soon: None) -> None:
    assert not is_alone(ledger, RUN)  # it has not given its sign
    with _line(ledger):
        assert is_alone(ledger, RUN)
        with Heartbeat(ledger, "other", [], lambda: ""):
            assert not is_alone(ledger, RUN)
            assert not is_alone(ledger, "other")
        assert is_alone(ledger, RUN)


def test_a_run_whose_driver_was_killed_leaves_another_one_alone(ledger: Ledger) -> None:
    with _line(ledger):
        _write(ledger, "other", pid=2**22 + 1)
        assert is_alone(ledger, RUN)


@pytest.mark.parametrize("clock", ["right", "far behind"])
def test_a_run_elsewhere_lives_as_long_as_its_sign_changes(
    clock: str, ledger: Ledger, soon: None
) -> None:
    time = now() if clock == "right" else LONG_AGO
    with _line(ledger):
        _write(ledger, "other", namespace="a-b-c", time=time)
        beats = threading.Timer(
            0.4, lambda: _write(ledger, "other", namespace="a-b-c", time=time, beat=2)
        )
        beats.start()
        assert not is_alone(ledger, RUN)
        beats.join()
        assert is_alone(ledger, RUN)


@pytest.mark.parametrize("text", [b"[", b"{}", b"[]", b'{"P1-A01-1": 1}'])
def test_jobs_that_cannot_be_read_are_not_known(text: bytes, ledger: Ledger) -> None:
    assert jobs_of(ledger, RUN) is None
    ledger.storage.write(f"ledger/drivers/{RUN}.jobs", text)
    known = jobs_of(ledger, RUN)
    assert known == (frozenset() if text == b"[]" else None)


_IN_BACKGROUND = """
import signal, threading, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell has it in the background
from cpengine.ledger import heartbeat
threading.Timer(0.2, heartbeat._interrupt).start()
try:
    for _ in range(300):
        time.sleep(0.1)
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_program_that_takes_no_signal_is_stopped_all_the_same() -> None:
    program = [sys.executable, "-c", _IN_BACKGROUND]
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    assert ran.stdout == "stopped\n"
