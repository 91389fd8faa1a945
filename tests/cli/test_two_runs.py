"""Two runs at once, and runs whose driver is gone or says nothing, as users meet them.

Processes are real, and so are the hosts: one with a name, process numbers and a clock
of its own.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cpengine.executors import contract
from tests import build
from tests.build import Built
from tests.plain_runs import MODULE, Cpengine

pytestmark = pytest.mark.services

_SKEWED = """
import sys
from datetime import UTC, datetime, timedelta
from cpengine import cli
from cpengine.ledger import driver_sign, heartbeat, run_record

skew_s, driver_sign.SILENT_S = float(sys.argv.pop(1)), float(sys.argv.pop(1))
now = lambda: (datetime.now(UTC) + timedelta(seconds=skew_s)).isoformat()
run_record.now = heartbeat.now = now
sys.argv[0] = "cpengine"
cli.main()
"""
"""cpengine where the clock is wrong, and where a driver is silent sooner."""
_HOST = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]
_SILENT_S = "6"
"""Longer than from one sign to the next."""


@dataclass
class Runs:
    """One project of four sites, and processes that run it."""

    made: Built
    ran: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.made.root / "projects/proj/workspace/cpengine/B1/analysis"

    def start(self, *options: str, command: Sequence[str] = MODULE) -> Any:
        words = [*command, "run", "analysis", "-C", str(self.made.root), *options]
        pipe = subprocess.PIPE
        process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True)
        self.ran.append(process)
        return process

    def begun(self) -> "subprocess.Popen[str]":
        """A run that has done two jobs and is held up by two others."""
        process = self.start("--workers", "4")
        _until(lambda: len(self.markers) == 2 and self.signs)
        return process

    @property
    def markers(self) -> list[Path]:
        return list(self.ledger.glob("markers/*.done"))

    @property
    def signs(self) -> list[Path]:
        return list(self.ledger.glob("drivers/*.alive"))

    def files(self) -> dict[Path, bytes]:
        """All that is in the ledger, but for signs, which drivers write anew."""
        files = (path for path in self.ledger.rglob("*") if path.is_file())
        return {p: p.read_bytes() for p in files if p.suffix not in (".alive", ".log")}

    def let_go(self) -> None:
        """Let jobs that hang be done when they are tried again."""
        (self.made.root.parent / "tool/faults.json").write_text("{}")


def _until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + 90
    while not true():
        assert time.monotonic() < give_up, "it takes too long"
        time.sleep(0.1)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    tool = tmp_path / "tool"
    tool.mkdir()
    found = contract.stand_in(tool, {"P1-A02-1": ["hang"], "P1-A02-2": ["hang"]})
    monkeypatch.setenv("CPENGINE_CELLPROFILER", found.command[0])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    runs = Runs(build.project(tmp_path / "project"))
    yield runs
    for process in runs.ran:
        process.kill()
        process.communicate()


def _refusal(ran: Any) -> str:
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    (line,) = [x for x in ran.stderr.splitlines() if x.startswith("error: ")]
    return str(line)


def test_a_second_run_of_the_same_jobs_is_refused(
    runs: Runs, cpengine: Cpengine
) -> None:
    first = runs.begun()
    where = ("-C", runs.made.root)
    before = runs.files()
    for options in ([], ["--detach"], ["--force", "--well", "A02"]):
        line = _refusal(cpengine("run", "analysis", *where, *options))
        assert re.search(r"analysis: \d of the \d jobs to run (is|are) with ", line)
        assert re.search(r"'s run on \S+, since \S+ \((\d+ s ago|just now)\), ", line)
        assert "/4 done" in line
        assert "`cpengine attach`" in line
    assert runs.files() == before
    assert first.poll() is None


def test_parts_without_common_jobs_run_side_by_side(
    runs: Runs, cpengine: Cpengine
) -> None:
    first = runs.start("--well", "A02")
    _until(lambda: runs.signs)
    ran = cpengine("run", "analysis", "-C", runs.made.root, "--well", "A01")
    assert ran.returncode == 0, ran.stderr
    assert "analysis: 2 of 2 jobs done" in ran.stdout
    assert first.poll() is None
    assert len(runs.signs) == 1


def test_a_run_that_was_killed_is_run_again_without_waiting(
    runs: Runs, cpengine: Cpengine
) -> None:
    first = runs.begun()
    first.kill()
    first.wait()
    runs.let_go()
    ran = cpengine("run", "analysis", "-C", runs.made.root)
    assert ran.returncode == 0, ran.stderr
    assert "watching" not in ran.stderr
    assert "2 done before" in ran.stdout
    assert runs.signs == []


def test_status_tells_of_a_run_that_goes_on(runs: Runs, cpengine: Cpengine) -> None:
    first = runs.begun()
    where = ("-C", runs.made.root)
    ran = cpengine("status", *where)
    text = " ".join(ran.stdout.split())
    assert re.search(r"analysis: running: \S+'s run on \S+, since \S+ \(", text)
    assert "/4 done" in text
    (step,) = json.loads(cpengine("status", *where, "--json").stdout)["steps"]
    (driver,) = step["drivers"]
    assert (driver["state"], driver["pid"]) == ("running", first.pid)
    first.kill()
    first.wait()
    ran = cpengine("status", *where)
    text = " ".join(ran.stdout.split())
    assert "was killed: `cpengine attach --go-on` goes on with it" in text
    assert "running" not in text


# A driver that is stopped


def test_following_a_stopped_driver_changes_nothing(
    runs: Runs, cpengine: Cpengine
) -> None:
    first = runs.begun()
    first.send_signal(signal.SIGSTOP)
    where, before = ("-C", runs.made.root), runs.files()
    (sign,) = runs.signs
    old = json.loads(sign.read_text()) | {"time": "2020-01-01T00:00:00+00:00"}
    sign.write_text(json.dumps(old))
    follower = subprocess.Popen(
        [*MODULE, "attach", *map(str, where), "--every", "1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stderr is not None
    assert f"process {first.pid} is stopped" in follower.stderr.readline()
    cpengine("status", *where)
    _refusal(cpengine("run", "analysis", *where))
    assert runs.files() == before
    assert runs.signs == [sign]
    runs.let_go()
    first.send_signal(signal.SIGCONT)
    cancelled = cpengine("cancel", *where)
    assert cancelled.returncode == 0, cancelled.stderr
    assert "stopped: " in cancelled.stdout
    follower.communicate(timeout=60)
    assert follower.returncode == 1
    assert runs.signs == []


# On two hosts


@pytest.fixture
def elsewhere() -> Callable[[float], list[str]]:
    """Makes the words that start cpengine on another host, whose clock is wrong."""

    def command(skew_s: float) -> list[str]:
        words = [sys.executable, "-P", "-c", _SKEWED, str(skew_s), _SILENT_S]
        return [*_HOST, "-c", 'hostname far && exec "$@"', "sh", *words]

    return command


Elsewhere = Callable[[float], list[str]]


@pytest.mark.parametrize("skew_s", [-7200.0, 7200.0])
def test_a_run_on_another_host_is_seen_whatever_its_clock_says(
    skew_s: float, runs: Runs, elsewhere: Elsewhere, cpengine: Cpengine
) -> None:
    first = runs.start("--workers", "4", command=elsewhere(skew_s))
    _until(lambda: len(runs.markers) == 2 and runs.signs)
    before, where = runs.files(), ("-C", runs.made.root)
    line = _refusal(cpengine("run", "analysis", *where))
    assert "'s run on far, since" in line
    follower = subprocess.Popen(
        [*MODULE, "attach", *map(str, where), "--every", "1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stderr is not None
    while "/4 done" not in (seen := follower.stderr.readline()):
        assert "its last sign looks old" in seen
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=30)
    assert runs.files() == before
    assert first.poll() is None


def test_a_run_that_was_killed_on_another_host_is_watched_then_gone_on_with(
    runs: Runs, elsewhere: Elsewhere
) -> None:
    first = runs.start("--workers", "4", command=elsewhere(0.0))
    _until(lambda: len(runs.markers) == 2 and runs.signs)
    first.kill()
    first.wait()
    runs.let_go()
    again = [sys.executable, "-P", "-c", _SKEWED, "0", _SILENT_S]
    second = runs.start(command=again)
    out, err = second.communicate(timeout=90)
    assert second.returncode == 0, err
    assert "'s run on far, since" in err
    assert f"watching for up to {_SILENT_S} s whether it goes on" in err
    assert "2 done before" in out


def test_a_silent_run_on_another_host_is_left_alone_until_somebody_goes_on(
    runs: Runs, elsewhere: Elsewhere
) -> None:
    first = runs.start("--workers", "4", command=elsewhere(0.0))
    _until(lambda: len(runs.markers) == 2 and runs.signs)
    (sign,) = runs.signs
    (child,) = (
        int(pid)
        for pid in Path(f"/proc/{first.pid}/task/{first.pid}/children")
        .read_text()
        .split()
    )
    os.kill(child, signal.SIGSTOP)
    before, text = runs.files(), sign.read_text()
    near = [sys.executable, "-P", "-c", _SKEWED, "0", _SILENT_S]
    words = [*near, "attach", "-C", str(runs.made.root)]
    seen = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "driver on far is gone" in _refusal(seen)
    assert runs.files() == before
    assert sign.read_text() == text
    runs.let_go()
    on = subprocess.run(
        [*words, "--go-on"], capture_output=True, text=True, check=False
    )
    assert on.returncode == 0, on.stderr
    assert "4 jobs" in on.stdout or "done before" in on.stdout
    os.kill(child, signal.SIGCONT)  # it wakes up, and ends its run
    first.communicate(timeout=90)
    assert first.returncode
