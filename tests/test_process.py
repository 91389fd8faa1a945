"""A child program is followed, ended in time, and never outlives us."""

import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Timer

import psutil
import pytest

from cpengine.model import FailureKind
from cpengine.process import Ended, run

SLEEPS = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid)"
WAITS = f"{SLEEPS}; sys.stdout.flush(); p.wait()"


def _run(tmp_path: Path, code: str, lines: list[str], **limits: object) -> Ended:
    return run(
        [sys.executable, "-c", code],
        environment={},
        folder=tmp_path,
        log=tmp_path / "log",
        follow=lines.append,
        **{"cancelled": Event(), **limits},  # type: ignore[arg-type]  # one of two
    )


def test_each_line_is_followed_and_kept(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = _run(tmp_path, "import sys; print('a\\nb'); sys.exit('c')", lines)
    assert ended == Ended(1)
    assert sorted(lines) == ["a", "b", "c"]
    assert sorted((tmp_path / "log").read_text().split()) == ["a", "b", "c"]


def test_a_timeout_ends_the_child_and_its_children(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = _run(tmp_path, WAITS, lines, timeout_s=5)
    assert ended.reason is FailureKind.TIMEOUT
    assert ended.why == "ended after 5 s"
    assert not _alive(int(lines[0]))


def test_a_cancelled_child_ends_at_once(tmp_path: Path) -> None:
    cancelled = Event()
    Timer(1, cancelled.set).start()
    began = time.monotonic()
    ended = _run(tmp_path, WAITS, [], cancelled=cancelled)
    assert ended.reason is FailureKind.CANCELLED
    assert time.monotonic() - began < 20


def test_grandchildren_do_not_outlive_a_child_that_exits(tmp_path: Path) -> None:
    lines: list[str] = []
    detached = SLEEPS.replace("'60']", "'60'], stdout=-3, stderr=-3")
    assert _run(tmp_path, detached, lines).code == 0
    assert not _alive(int(lines[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can promise this")
def test_the_child_dies_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "from cpengine.process import run; from pathlib import Path; import sys, os\n"
        "from threading import Event\n"
        "run([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True);"
        "time.sleep(60)'], environment={}, folder=Path(sys.argv[1]), cancelled=Event(),"
        "log=Path(sys.argv[1]) / 'log', follow=lambda l: print(l, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    assert not _alive(child)


def _alive(pid: int, wait_s: float = 5) -> bool:
    """Whether a process still runs after a while; init may be slow to bury it."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.05)
    return True
