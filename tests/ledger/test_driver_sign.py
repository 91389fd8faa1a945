"""What a driver's sign says, and by what it is seen whether the driver lives."""

import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cpengine.ledger import driver_sign
from cpengine.ledger.driver_sign import Sign, ago, watch
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.run_record import now
from cpengine.project.last_run import describe_runs, driver_json
from cpengine.storage.store import Storage
from cpengine.system import namespace
from cpengine.system.usage import is_later_process, process_began

RUN = "20260101T000000Z-ab12"
_OTHERS = [
    str(namespace.own()._replace(**{part: "f" * 8})) for part in ("boot", "number")
]
"""Another machine, and another container of this one."""
ELSEWHERE = _OTHERS[0]
CLOCKS_S = [0, -7200, 7200, 10**9]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Storage(str(tmp_path)), "ledger")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver is silent after a second, instead of a minute."""
    monkeypatch.setattr(driver_sign, "SILENT_S", 1.0)


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def _sign(pid: int, *, space: str = str(namespace.own()), skew_s: int = 0) -> Sign:
    given = datetime.now(UTC) - timedelta(seconds=skew_s)
    began = process_began(pid)
    text = given.isoformat()
    return Sign(RUN, text, "", pid=pid, namespace=space, process_began=began)


def _write(ledger: Ledger, sign: Sign) -> None:
    text = json.dumps(asdict(sign)).encode()
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", text)


def _ended() -> int:
    with subprocess.Popen(["true"]) as ended:
        return ended.pid


# On the same machine: the process is asked


def test_a_driver_that_was_killed_is_gone_also_where_nobody_waits_for_it(
    sleeping: subprocess.Popen[bytes], ledger: Ledger
) -> None:
    _write(ledger, _sign(sleeping.pid))
    assert watch(ledger, RUN) is not None
    sleeping.kill()
    os.waitid(os.P_PID, sleeping.pid, os.WEXITED | os.WNOWAIT)  # still listed
    begun = time.monotonic()
    assert watch(ledger, RUN) is None
    sleeping.wait()
    assert watch(ledger, RUN) is None
    assert time.monotonic() - begun < 1.0  # nothing was waited for


@pytest.mark.parametrize("skew_s", CLOCKS_S)
def test_a_driver_that_is_stopped_lives(
    skew_s: int, sleeping: subprocess.Popen[bytes], ledger: Ledger
) -> None:
    sleeping.send_signal(19)
    _write(ledger, _sign(sleeping.pid, skew_s=skew_s))
    assert watch(ledger, RUN) is not None


def test_another_process_of_the_same_number_is_not_the_driver(
    sleeping: subprocess.Popen[bytes], ledger: Ledger
) -> None:
    sign = asdict(_sign(sleeping.pid))
    space = str(sign["process_began"]).partition("@")[2]
    earlier = Sign(**sign | {"process_began": f"17@{space}"})
    assert earlier.has_died
    _write(ledger, earlier)
    assert watch(ledger, RUN) is None


def test_when_a_process_began_is_known_and_does_not_change() -> None:
    first = process_began(os.getpid())
    time.sleep(0.02)
    assert first == process_began(os.getpid()) != ""
    assert process_began(_ended()) == ""


# On another machine: only a new sign tells


@pytest.mark.parametrize("space", ["", "another", "a-b-c", *_OTHERS])
def test_a_process_number_of_another_container_says_nothing(space: str) -> None:
    gone = _ended()
    assert not _sign(gone, space=space).has_died
    assert _sign(gone).has_died


@pytest.mark.parametrize("skew_s", CLOCKS_S)
def test_a_driver_whose_sign_changes_lives_whatever_its_clock_says(
    skew_s: int, ledger: Ledger
) -> None:
    sign = _sign(1, space=ELSEWHERE, skew_s=skew_s)
    _write(ledger, sign)
    noted: list[Sign] = []
    beat = Sign(**asdict(sign) | {"beat": 1})
    threading.Timer(0.3, lambda: _write(ledger, beat)).start()
    assert watch(ledger, RUN, noted.append) == beat
    assert noted == [sign]


@pytest.mark.parametrize("skew_s", CLOCKS_S)
def test_a_driver_whose_sign_does_not_change_is_gone_whatever_its_clock_says(
    skew_s: int, ledger: Ledger
) -> None:
    _write(ledger, _sign(1, space=ELSEWHERE, skew_s=skew_s))
    before = ledger.storage.tree("ledger")
    begun = time.monotonic()
    assert watch(ledger, RUN) is None
    assert time.monotonic() - begun >= 1.0
    assert ledger.storage.tree("ledger") == before  # looking changes nothing


def test_a_driver_that_ends_while_it_is_watched_is_gone(ledger: Ledger) -> None:
    _write(ledger, _sign(1, space=ELSEWHERE))
    key = f"ledger/drivers/{RUN}.alive"
    threading.Timer(0.2, lambda: ledger.storage.remove(key)).start()
    assert watch(ledger, RUN) is None


@pytest.mark.parametrize("text", [b"", b"{", b'{"of": "a newer version"}'])
def test_a_sign_that_cannot_be_read_is_watched(text: bytes, ledger: Ledger) -> None:
    key = f"ledger/drivers/{RUN}.alive"
    ledger.storage.write(key, text)
    assert watch(ledger, RUN) is None
    threading.Timer(0.3, lambda: ledger.storage.write(key, text + b" ")).start()
    assert watch(ledger, RUN) is not None


# One look, to be shown


@pytest.mark.parametrize(
    ("age_s", "alive"), [(0, True), (0.5, True), (70, False), (90_000, False)]
)
def test_a_sign_elsewhere_seems_alive_for_as_long_as_it_is_new(
    age_s: float, alive: bool
) -> None:
    given = datetime.now(UTC) - timedelta(seconds=age_s)
    sign = Sign(RUN, given.isoformat(), "", namespace=ELSEWHERE)
    assert sign.seems_alive is alive
    assert age_s <= sign.silent_s < age_s + 10


def test_a_sign_of_an_older_version_names_no_namespace(ledger: Ledger) -> None:
    fields = {"run": RUN, "time": now(), "progress": "", "host": socket.gethostname()}
    text = json.dumps(fields | {"pid": _ended()})
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", text.encode())
    sign = driver_sign.read(ledger, RUN)
    assert sign is not None
    assert (sign.namespace, sign.process_began, sign.user) == ("", "", "")
    assert not sign.has_died
    assert not sign.checking


def test_a_clock_that_is_ahead_makes_no_driver_seem_dead() -> None:
    then = datetime.now(UTC) + timedelta(seconds=90)
    assert Sign(RUN, then.isoformat(), "").silent_s == 0


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"])
def test_a_time_that_no_clock_can_have_is_no_sign_of_life(time: str) -> None:
    assert not Sign(RUN, time, "", namespace=ELSEWHERE).seems_alive
    ahead = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    assert Sign(RUN, ahead, "").silent_s == math.inf
    assert str(Sign(RUN, time, "", started=time))


def test_what_a_sign_says_is_on_one_line(ledger: Ledger) -> None:
    _write(
        ledger, Sign(RUN, now(), "1/4\nanalysis: done", host="far\nerror: x", user="\n")
    )
    found = driver_sign.read(ledger, RUN)
    assert found is not None
    assert (found.progress, found.host) == ("1/4\\nanalysis: done", "far\\nerror: x")
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-90, "just now"), (0, "just now"), (59, "59 s ago"), (250, "4 min ago")),
        *((3700, "1 h 01 min ago"), (200_000, "2 d 8 h ago")),
    ],
)
def test_times_are_given_in_words(seconds: float, words: str) -> None:
    then = datetime.now(UTC) - timedelta(seconds=seconds + 0.3)
    assert ago(then.isoformat()) == words


# Where /proc tells little

_SAYS = """
import os, sys
from cpengine.system.usage import is_later_process, lives, process_began
outside = int(sys.argv[1])
print(lives(os.getpid()), process_began(os.getpid()), lives(outside), lives(2**22 + 9))
print(is_later_process("17@1", os.getpid()))
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc; exec "$@"'],
            "True  True False",  # others' processes, or all, are hidden
        ),
        (
            ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", '"$@"; exit $?'],
            "True  False False",  # it tells of processes outside of the namespace
        ),
    ],
)
def test_processes_are_asked_for_also_where_proc_shows_none_or_others(
    words: list[str], expected: str, sleeping: subprocess.Popen[bytes]
) -> None:
    program = [sys.executable, "-c", _SAYS, str(sleeping.pid)]
    ran = subprocess.run(
        [*words, "sh", *program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [expected, "False"]


def test_ticks_of_another_time_namespace_are_not_compared() -> None:
    ticks, _, space = process_began(os.getpid()).partition("@")
    assert is_later_process(f"1{ticks}@{space}", os.getpid())
    assert not is_later_process(f"1{ticks}@another", os.getpid())
    assert not is_later_process("", os.getpid())


@pytest.mark.parametrize(
    "forged",
    [
        *({"pid": -5}, {"pid": 0}, {"pid": 10**30}, {"time": ""}, {"time": "now"}),
        *({"started": "2026"}, {"yields": "x"}, {"beat": "many"}),
    ],
)
@pytest.mark.parametrize("space", [str(namespace.own()), ELSEWHERE])
def test_a_forged_sign_breaks_nothing(
    space: str, forged: dict[str, object], ledger: Ledger
) -> None:
    sign = asdict(Sign(RUN, now(), "", namespace=space)) | forged
    key = f"ledger/drivers/{RUN}.alive"
    ledger.storage.write(key, json.dumps(sign).encode())
    (found,) = driver_sign.read_all(ledger)
    assert str(found)
    assert found.seems_alive in (True, False)
    watch(ledger, RUN)
    list(describe_runs(None, [found]))
    assert driver_json(found)["state"] in ("running", "silent", "gone")


def test_what_cannot_be_read_is_shown_as_such(ledger: Ledger) -> None:
    ledger.storage.write(f"ledger/drivers/{RUN}.alive", b"{")
    ahead = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    lines = describe_runs(
        None,
        [*driver_sign.read_all(ledger), Sign(RUN, ahead, "", namespace=ELSEWHERE)],
    )
    unreadable, far = lines
    assert "its last sign cannot be read: `cpengine attach` sees" in unreadable
    assert "its last sign is of a clock that is ahead" in far
