"""What a driver says of itself in the ledger, and how it is told to stop."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from cpengine.errors import StorageError
from cpengine.ledger.heartbeat import (
    Heartbeat,
    Sign,
    ask_to_stop,
    clean_up,
    is_alone,
    sign_of,
)
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from cpengine.storage.store import Storage
from cpengine.system import namespace

RUN = "20260101T000000Z-ab12"
BEAT_S = 0.05
_OTHERS = [
    str(namespace.own()._replace(**{part: "f" * 8})) for part in ("boot", "number")
]
"""Another machine, and another container of this one."""
TRACES = {"scheduler": "slurm", "jobs": "cpengine-abc"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Storage(str(tmp_path)), "ledger")


def _line(
    ledger: Ledger,
    stop: Callable[[], None] | None = lambda: None,
    progress: Callable[[], str] = lambda: "1 of 9 jobs",
) -> Heartbeat:
    return Heartbeat(ledger, RUN, TRACES, progress, stop, every_s=BEAT_S)


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
    assert sign_of(ledger, RUN) is None
    with _line(ledger):
        sign = sign_of(ledger, RUN)
        assert sign is not None
        assert sign.alive
        assert (sign.run, sign.host, sign.pid) == (
            RUN,
            socket.gethostname(),
            os.getpid(),
        )
    assert sign_of(ledger, RUN) is None
    assert _left(ledger) == []


def test_a_sign_tells_progress_and_traces(ledger: Ledger) -> None:
    done = count()
    with _line(ledger, progress=lambda: f"{next(done)} of 99 jobs"):
        first = sign_of(ledger, RUN)
        assert first is not None
        assert (first.progress, first.traces) == ("0 of 99 jobs", TRACES)
        _until(
            lambda: (sign := sign_of(ledger, RUN)) and sign.progress != "0 of 99 jobs"
        )


def test_the_sign_of_another_run_is_not_touched(ledger: Ledger) -> None:
    ledger.storage.write("ledger/drivers/other.alive", b"{}")
    with _line(ledger):
        pass
    assert _left(ledger) == ["drivers/other.alive"]


def test_the_sign_goes_also_when_the_run_fails(ledger: Ledger) -> None:
    with pytest.raises(KeyError), _line(ledger):
        raise KeyError
    assert _left(ledger) == []


@pytest.mark.parametrize(
    ("age_s", "alive"), [(0, True), (50, True), (70, False), (90_000, False)]
)
def test_a_driver_that_is_silent_for_a_minute_is_gone(age_s: int, alive: bool) -> None:
    then = datetime.now(UTC) - timedelta(seconds=age_s)
    sign = Sign(RUN, then.isoformat(), "")
    assert sign.alive is alive
    assert age_s <= sign.silent_s < age_s + 10


def test_a_driver_that_was_killed_is_gone_also_where_nobody_waits_for_it() -> None:
    with subprocess.Popen(["sleep", "60"]) as driver:
        sign = Sign(RUN, now(), "", pid=driver.pid)
        assert sign.alive
        driver.kill()
        os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)  # still listed
        assert not sign.alive
    assert not sign.alive


@pytest.mark.parametrize("space", ["", "another", "a-b-c", *_OTHERS])
def test_a_process_number_of_another_container_says_nothing(space: str) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert Sign(RUN, now(), "", pid=ended.pid, namespace=space).alive
    assert not Sign(RUN, now(), "", pid=ended.pid).alive


def test_a_sign_of_an_older_version_names_no_namespace(ledger: Ledger) -> None:
    fields = {"run": RUN, "time": now(), "progress": "", "host": socket.gethostname()}
    with subprocess.Popen(["true"]) as ended:
        pass
    text = json.dumps(fields | {"pid": ended.pid})
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", text.encode())
    sign = sign_of(ledger, RUN)
    assert sign is not None
    assert (sign.namespace, sign.alive) == ("", True)


def test_a_clock_that_is_ahead_makes_no_driver_dead() -> None:
    then = datetime.now(UTC) + timedelta(seconds=90)
    assert Sign(RUN, then.isoformat(), "").silent_s == 0


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"])
def test_a_time_that_no_clock_can_have_is_no_sign_of_life(time: str) -> None:
    assert not Sign(RUN, time, "").alive
    ahead = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    assert not Sign(RUN, ahead, "").alive


def test_what_a_sign_says_is_on_one_line(ledger: Ledger) -> None:
    sign = Sign(RUN, now(), "1/4\nanalysis: done", host="far\nerror: x")
    text = json.dumps(asdict(sign)).encode()
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", text)
    found = sign_of(ledger, RUN)
    assert found is not None
    assert (found.progress, found.host) == ("1/4\\nanalysis: done", "far\\nerror: x")


def test_the_time_that_a_driver_writes_can_be_read() -> None:
    assert Sign(RUN, now(), "").silent_s < 10


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
        before = sign_of(ledger, RUN)
        time.sleep(10 * BEAT_S)
        assert sign_of(ledger, RUN) != before


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
    broken = _Broken(monkeypatch, "write", "read_if_there")
    with _line(ledger, stop=asked.set):
        _until(lambda: broken.failed > 6)
        broken.on = False
        _until(lambda: sign_of(ledger, RUN))
        ask_to_stop(ledger, RUN)
        assert asked.wait(20)


def test_a_sign_that_cannot_be_removed_does_not_fail_the_run(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Broken(monkeypatch, "remove")
    with _line(ledger):
        pass
    assert _left(ledger) == [f"drivers/{RUN}.alive"]


def test_asking_says_that_it_could_not(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Broken(monkeypatch, "write")
    with pytest.raises(StorageError):
        ask_to_stop(ledger, RUN)


# After a driver was killed


def test_what_a_killed_driver_left_is_removed(ledger: Ledger) -> None:
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", b"{}")
    ask_to_stop(ledger, RUN)
    clean_up(ledger, RUN)
    clean_up(ledger, RUN)  # somebody else may have done it
    assert _left(ledger) == []


def test_a_driver_removes_what_killed_ones_have_left(ledger: Ledger) -> None:
    gone, elsewhere = "20250101T000000Z-aaaa", "20250101T000000Z-bbbb"
    with subprocess.Popen(["true"]) as ended:
        pass
    for run, space in ((gone, str(namespace.own())), (elsewhere, "a-b-c")):
        fields = {"run": run, "time": now(), "progress": "", "pid": ended.pid}
        text = json.dumps(fields | {"host": socket.gethostname(), "namespace": space})
        ledger.storage.write(f"{ledger.folder}/drivers/{run}.alive", text.encode())
    with Heartbeat(ledger, RUN, {}, lambda: ""):
        left = set(ledger.storage.sizes(f"{ledger.folder}/drivers"))
    assert left == {f"{elsewhere}.alive", f"{RUN}.alive"}


def test_of_two_runs_none_is_alone(ledger: Ledger) -> None:
    assert not is_alone(ledger, RUN)  # it has not given its sign
    with _line(ledger):
        assert is_alone(ledger, RUN)
        with Heartbeat(ledger, "other", {}, lambda: ""):
            assert not is_alone(ledger, RUN)
            assert not is_alone(ledger, "other")
        assert is_alone(ledger, RUN)
        ledger.storage.write("ledger/drivers/newer.alive", b'{"of": "a newer version"}')
        assert not is_alone(ledger, RUN)


def test_a_run_whose_driver_was_killed_leaves_another_one_alone(ledger: Ledger) -> None:
    dead = Sign("other", now(), "", host=socket.gethostname(), pid=2**22 + 1)
    with _line(ledger):
        text = json.dumps(asdict(dead)).encode()
        ledger.storage.write("ledger/drivers/other.alive", text)
        assert is_alone(ledger, RUN)


def test_a_run_elsewhere_lives_until_it_has_been_silent_for_long(
    ledger: Ledger,
) -> None:
    def write(time: str) -> None:
        sign = Sign("other", time, "", host="elsewhere", pid=1)
        ledger.storage.write(
            "ledger/drivers/other.alive", json.dumps(asdict(sign)).encode()
        )

    with _line(ledger):
        write(now())
        assert not is_alone(ledger, RUN)
        write((datetime.now(UTC) - timedelta(minutes=2)).isoformat())
        assert is_alone(ledger, RUN)
