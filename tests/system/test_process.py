"""A child program is followed, measured, ended in time, and never outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer

import psutil
import pytest

from cpengine.model import FailureKind
from cpengine.system.process import Ended, Limits, run
from cpengine.system.usage import PROC, Sample, oom_counter, oom_kills, own_peak

pytestmark = pytest.mark.services  # they take their time

MB = 1024**2
SLEEPS = "p = subprocess.Popen(['sleep', '60']); print(p.pid)"
WAITS = f"{SLEEPS}; sys.stdout.flush(); p.wait()"


def _run(
    folder: Path,
    code: str,
    follow: Callable[[str], None] = len,
    *,
    cancelled: Event | None = None,
    proc: Path = PROC,
    **limits: float,
) -> Ended:
    return run(
        [sys.executable, "-c", f"import os, subprocess, sys, time\n{code}"],
        environment={},
        folder=folder,
        log=folder / "log",
        follow=follow,
        cancelled=cancelled or Event(),
        limits=Limits(**limits),  # type: ignore[arg-type]  # bytes are an int
        proc=proc,
    )


def test_each_line_is_followed_and_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = _run(tmp_path, "print('a\\nb'); sys.exit('c')", lines.append)
    assert (ended.code, ended.reason, ended.why) == (1, None, "")
    assert sorted(lines) == ["a", "b", "c"]
    assert sorted((tmp_path / "log").read_text().split()) == ["a", "b", "c"]


def test_a_timeout_ends_the_child_and_its_children(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = _run(tmp_path, WAITS, lines.append, timeout_s=1.5)
    assert ended.reason is FailureKind.TIMEOUT
    assert ended.why == "ended after 1.5 s"
    assert not _alive(int(lines[0]))


def test_a_cancelled_child_ends_at_once(tmp_path: Path) -> None:
    cancelled = Event()
    Timer(0.5, cancelled.set).start()
    began = time.monotonic()
    ended = _run(tmp_path, WAITS, cancelled=cancelled)
    assert ended.reason is FailureKind.CANCELLED
    assert time.monotonic() - began < 20


def test_grandchildren_do_not_outlive_a_child_that_exits(tmp_path: Path) -> None:
    lines: list[str] = []
    detached = SLEEPS.replace("'60']", "'60'], stdout=-3, stderr=-3")
    assert _run(tmp_path, detached, lines.append).code == 0
    assert not _alive(int(lines[0]))


def test_a_child_that_ends_is_not_waited_for_its_children(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = _run(tmp_path, SLEEPS, lines.append)  # `sleep` holds the output open
    assert (ended.code, ended.reason) == (0, None)
    assert not _alive(int(lines[0]))


def test_no_zombie_is_left(tmp_path: Path) -> None:
    lines: list[str] = []
    assert _run(tmp_path, "print(os.getpid()); sys.exit(7)", lines.append).code == 7
    assert not psutil.pid_exists(int(lines[0]))


def test_ignored_ends_of_children_do_no_harm(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert _run(tmp_path, "sys.exit(7)").code == 0  # nobody can know
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_cpu_and_memory_are_measured(tmp_path: Path) -> None:
    ended = _run(tmp_path, f"{_burn(0.5)}\n{_hold(200)}\ntime.sleep(1.3)")
    assert 0.5 <= ended.cpu_s < 1
    assert 200 * MB <= ended.peak_memory < 240 * MB


def test_a_tree_is_measured_as_a_whole(tmp_path: Path) -> None:
    inner = f"import time\n{_burn(0.3)}\n{_hold(100)}\ntime.sleep(1.3)"
    code = f"{_hold(100)}\nsubprocess.run([sys.executable, '-c', {inner!r}])"
    ended = _run(tmp_path, code)
    assert 0.3 <= ended.cpu_s < 1
    assert 200 * MB <= ended.peak_memory < 260 * MB


def test_orphans_belong_to_the_tree(tmp_path: Path) -> None:
    inner = f"import time\n{_burn(0.3)}\n{_hold(100)}\ntime.sleep(1.3); open('a', 'w')"
    outer = f"import subprocess; subprocess.Popen({[sys.executable, '-c', inner]!r})"
    waits = "while not os.path.exists('a'): time.sleep(0.05)"
    ended = _run(
        tmp_path, f"subprocess.run([sys.executable, '-c', {outer!r}])\n{waits}"
    )
    assert ended.cpu_s >= 0.3
    assert ended.peak_memory >= 100 * MB


def test_what_is_used_between_samples_is_measured(tmp_path: Path) -> None:
    size = own_peak() // MB + 50
    ended = _run(tmp_path, f"time.sleep(0.4)\n{_hold(size)}\n{_burn(0.3)}")
    assert ended.cpu_s >= 0.3
    assert size * MB <= ended.peak_memory < (size + 40) * MB


def test_our_own_memory_is_not_taken_for_the_childs(tmp_path: Path) -> None:
    held = b"x" * (200 * MB)
    assert own_peak() > len(held)
    assert 0 < _run(tmp_path, "time.sleep(0.5)").peak_memory < 50 * MB


def test_a_child_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    code = f"all = []\nwhile True: all.append({'x' * 100!r} * 100_000); time.sleep(0.1)"
    ended = _run(tmp_path, code, memory_bytes=60 * MB)
    assert ended.reason is FailureKind.OUT_OF_MEMORY
    assert ended.why.startswith("used 0.")
    assert ended.why.endswith(" GB of 0.06 GB allowed")
    assert 60 * MB < ended.peak_memory < 300 * MB


def test_a_child_that_sleeps_is_stalled(tmp_path: Path) -> None:
    ended = _run(tmp_path, "print('a'); time.sleep(60)", stall_s=0.8)
    assert ended.reason is FailureKind.STALLED
    assert ended.why == "no output and no CPU for 0.8 s"


def test_a_stopped_child_is_stalled(tmp_path: Path) -> None:
    code = "print(os.getpid(), flush=True)\nwhile True: pass"
    ended = _run(tmp_path, code, lambda pid: _send(pid, signal.SIGSTOP), stall_s=0.8)
    assert ended.reason is FailureKind.STALLED
    assert ended.code == -9


@pytest.mark.parametrize(
    "code",
    [
        "{burn}",
        "subprocess.run([sys.executable, '-c', {inner!r}])",
        "while time.monotonic() < end: subprocess.run(['sh', '-c', {loop!r}])",
    ],
    ids=["itself", "its child", "its many short children"],
)
def test_a_silent_child_at_work_is_not_stalled(tmp_path: Path, code: str) -> None:
    loop = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"
    inner = f"import time\n{_burn(1.4)}"
    code = code.format(burn=_burn(1.4), inner=inner, loop=loop)
    ended = _run(tmp_path, f"end = time.monotonic() + 1.4\n{code}", stall_s=0.8)
    assert (ended.code, ended.reason) == (0, None)


def test_an_idle_child_that_talks_is_not_stalled(tmp_path: Path) -> None:
    code = "for i in range(8): print(i, flush=True); time.sleep(0.2)"
    assert _run(tmp_path, code, stall_s=0.8).reason is None


def test_a_kill_by_somebody_is_not_for_memory(tmp_path: Path, proc: Path) -> None:
    code = "print(os.getpid(), flush=True); time.sleep(60)"
    ended = _run(tmp_path, code, lambda pid: _send(pid, signal.SIGKILL), proc=proc)
    assert (ended.code, ended.reason, ended.why) == (-9, None, "")


@pytest.mark.parametrize(
    ("code", "end"), [(-9, "os.kill(os.getpid(), 9)"), (137, "sys.exit(137)")]
)
def test_a_kill_with_a_rising_counter_is(
    tmp_path: Path, proc: Path, code: int, end: str
) -> None:
    ended = _run(
        tmp_path, f"{_hold(60)}\n{_rise(proc)}; time.sleep(0.3); {end}", proc=proc
    )
    assert (ended.code, ended.reason) == (code, FailureKind.OUT_OF_MEMORY)
    assert ended.why.startswith("killed by the system: out of memory (its tree had 0.0")


def test_other_ends_with_a_rising_counter_are_not(tmp_path: Path, proc: Path) -> None:
    ended = _run(tmp_path, f"{_rise(proc)}; sys.exit(1)", proc=proc)
    assert (ended.code, ended.reason) == (1, None)


def test_our_own_kill_with_a_rising_counter_is_not(tmp_path: Path, proc: Path) -> None:
    code = f"{_rise(proc, 5)}; time.sleep(60)"
    assert _run(tmp_path, code, proc=proc, timeout_s=1).reason is FailureKind.TIMEOUT


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine whose kernel has killed three processes for memory."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 5\noom_kill 3\n")
    return tmp_path / "proc"


def _rise(proc: Path, kills: int = 4) -> str:
    return f"open({str(proc / 'vmstat')!r}, 'w').write('oom_kill {kills}\\n')"


JOINS = """
import sys
from pathlib import Path
from threading import Event
from cpengine.system.process import run
folder, cgroup, code = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
(cgroup / "cgroup.procs").write_text("0")
print(run([sys.executable, "-c", code], environment={}, folder=folder,
          log=folder / "log", follow=len, cancelled=Event()))
"""


def test_a_real_kill_for_memory_is_reported(
    tmp_path: Path, cgroup: Path | None
) -> None:
    if cgroup is None:  # nobody may make one here: what can be read is all there is
        assert oom_kills(oom_counter()) >= 0
        return
    grows = "all = []\nfor _ in range(100): all.append(b'x' * 10_000_000)"
    output = subprocess.run(
        [sys.executable, "-c", JOINS, tmp_path, cgroup, grows],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.startswith("Ended(code=-9, reason=<FailureKind.OUT_OF_MEMORY")
    assert "why='killed by the system: out of memory (its tree had 0." in output


@pytest.fixture
def cgroup() -> Iterator[Path | None]:
    """A memory cgroup of 100 MB, of version 1 or 2; None if we may not make one."""
    top, limits = Path("/sys/fs/cgroup/memory"), ("limit", "memsw.limit")
    files = [f"memory.{name}_in_bytes" for name in limits]
    if not top.is_dir():
        top, files = top.parent, ["memory.max", "memory.swap.max"]
    folder = top / f"cpengine-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    with suppress(OSError):  # no swap to limit
        for file in files:
            with (folder / file).open("r+") as limit:
                limit.write("0" if "swap.max" in file else str(100 * MB))
    yield folder if (folder / files[0]).exists() else None
    folder.rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can promise this")
def test_the_child_dies_when_we_are_killed(tmp_path: Path) -> None:
    code = (
        "from cpengine.system.process import run\n"
        "from pathlib import Path; import sys, os\n"
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


class Elsewhere:
    """Stands for a container's processes, which hold 2 MB and have used 7 s."""

    ended = 0

    def read(self, leader: int) -> Sample:
        return Sample(7.0, 2 * MB, whole=True)

    def end(self) -> None:
        self.ended += 1


def _run_apart(
    folder: Path, code: str, limits: Limits = Limits()
) -> tuple[Ended, Elsewhere]:
    apart = Elsewhere()
    ended = run(
        [sys.executable, "-c", code],
        environment=dict(os.environ),
        folder=folder,
        log=folder / "log",
        follow=lambda line: None,
        cancelled=Event(),
        limits=limits,
        apart=apart,
    )
    return ended, apart


def test_processes_apart_are_measured_and_end_with_the_child(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=MB)
    ended, apart = _run_apart(tmp_path, "import time; time.sleep(60)", limits)
    assert (ended.reason, apart.ended) == (FailureKind.OUT_OF_MEMORY, 1)
    assert ended.cpu_s == 7.0


def test_processes_apart_that_have_ended_are_left_alone(tmp_path: Path) -> None:
    ended, apart = _run_apart(tmp_path, "raise SystemExit(3)")
    assert (ended.code, apart.ended) == (3, 0)


def test_a_signal_that_ended_processes_apart_is_reported(tmp_path: Path) -> None:
    assert _run_apart(tmp_path, "raise SystemExit(139)")[0].code == -11
    assert _run_apart(tmp_path, "raise SystemExit(255)")[0].code == 255


def test_processes_apart_can_see_by_their_input_that_we_are_gone(
    tmp_path: Path,
) -> None:
    code = "import select, sys; sys.exit(len(select.select([sys.stdin], [], [], 0)[0]))"
    assert _run_apart(tmp_path, code)[0].code == 0  # not at its end


def _burn(seconds: float) -> str:
    return f"while time.process_time() < {seconds}: pass"


def _hold(megabytes: int) -> str:
    return f"held = b'x' * {megabytes * MB}"


def _send(pid: str, number: signal.Signals) -> None:
    os.kill(int(pid), number)


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
