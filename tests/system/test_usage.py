"""What is read from the kernel: samples, the silence, its kills for want of memory."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cpengine.system.usage import (
    Meter,
    Sample,
    Silence,
    exited,
    oom_counter,
    oom_kills,
    own_peak,
    sample,
    usage,
)
from tests.system import kernel


def test_a_sample_of_ourselves() -> None:
    me = sample(os.getpid())
    assert me.whole
    assert me.cpu_s >= 0.9 * time.process_time()
    assert me.memory >= 0.9 * psutil.Process().memory_info().rss


def test_a_sample_of_nobody(ended: int) -> None:
    assert sample(ended) == Sample(0.0, 0, True)


@pytest.fixture
def ended() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize("waitid", [True, False])
def test_a_child_that_has_exited_is_left_to_be_waited_for(
    ended: int, waitid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not waitid:  # as on macOS before Python 3.13
        monkeypatch.delattr(os, "waitid", raising=False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        assert not exited(process.pid)
        process.kill()
        while not exited(process.pid):
            time.sleep(0.01)
        assert process.wait() == -9
    assert exited(ended)


def _pass(silence: Silence, seconds: int, share: float = 0.0) -> float:
    """Let a tree use this share of a CPU for a while; give the longest silence."""
    longest = 0.0
    for _ in range(seconds):
        silence.lengthen(1, Sample(silence._last_cpu_s + share, 0, True))
        longest = max(longest, silence.lasted_s)
    return longest


def test_housekeeping_is_silence() -> None:
    assert _pass(Silence(600), 600, share=0.009) == 600


@pytest.mark.parametrize("share", [0.011, 0.1, 1.0, 8.0])
def test_work_ends_the_silence(share: float) -> None:
    assert _pass(Silence(600), 3000, share) < 600


def test_a_hang_after_long_work_is_seen_in_time() -> None:
    silence = Silence(600)
    _pass(silence, 10_000, share=1.0)
    assert _pass(silence, 606) >= 600


def test_in_doubt_there_is_no_silence() -> None:
    silence = Silence(600)
    _pass(silence, 599)
    silence.lengthen(1, Sample(0.0, 0, False))
    assert silence.lasted_s == 0


def test_time_that_an_orphan_took_with_it_is_no_work() -> None:
    silence = Silence(600)
    silence.lengthen(1, Sample(100.0, 0, True))
    silence.lengthen(1, Sample(20.0, 0, True))
    assert silence.lasted_s == 1
    assert _pass(silence, 30, share=1.0) < 10  # work, though less than there was


def _meter(*samples: Sample) -> Meter:
    """A meter that starts at 100 s and reads these, the last one over and over."""
    rest = list(samples)
    return Meter(1, Silence(600), 100.0, lambda _: rest.pop(0) if rest[1:] else rest[0])


def test_a_meter_keeps_the_peak_and_the_latest() -> None:
    meter = _meter(Sample(1.0, 10, True), Sample(3.0, 30, True), Sample(2.0, 20, True))
    meter.check(100.1)
    assert meter.memory == 0
    for now in (100.2, 101.1, 101.3, 102.4):
        meter.check(now)
    assert (meter.cpu_s, meter.memory, meter.peak_memory) == (3.0, 20, 30)


def test_output_ends_the_silence() -> None:
    meter = _meter(Sample(0.0, 0, True))
    for now in range(101, 111):
        meter.check(now)
    assert meter.silence.lasted_s == 10
    meter.heard(110.5)
    assert meter.silence.lasted_s == 0
    meter.check(111)
    assert meter.silence.lasted_s == 0.5


def test_the_time_in_which_we_were_stopped_ourselves_is_no_silence() -> None:
    meter = _meter(Sample(0.0, 0, True))
    meter.check(101)
    meter.check(5000)
    assert meter.silence.lasted_s <= 3


def test_samples_take_a_hundredth_of_a_cpu_at_most() -> None:
    taken: list[float] = []

    def slow(_: int) -> Sample:
        taken.append(now)
        end = time.thread_time() + 0.022
        while time.thread_time() < end:
            pass
        return Sample(0.0, 0, True)

    meter = Meter(1, Silence(600), 0.0, slow)
    for now in range(1, 9):
        meter.check(now)
    assert taken == [1, 4, 7]


def test_usage_is_in_seconds_and_bytes() -> None:
    spent = resource.struct_rusage((1.5, 0.25, 300 * 1024, *[0] * 13))
    unit = 1 if sys.platform == "darwin" else 1024
    assert usage(spent, 0).cpu_s == 1.75
    assert usage(spent, 0).peak_memory == 300 * 1024 * unit
    assert usage(spent, 300 * 1024 * unit).peak_memory == 0  # not known


def test_our_own_peak_is_in_bytes() -> None:
    rss = psutil.Process().memory_info().rss
    assert 0.9 * rss <= own_peak() < 100 * rss


def _counter(file: Path, kills: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    before = "low 0\nmax 4\n" if file.name == "memory.events" else "under_oom 0\n"
    file.write_text(f"{before}oom_kill {kills}\noom_group_kill 9\n")
    return file


def test_the_counter_of_cgroup_v2(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/user.slice/job_5\n", kernel.V2)
    file = _counter(tmp_path / "user.slice/job_5/memory.events", 2)
    _counter(tmp_path / "user.slice/memory.events", 3)
    assert oom_counter(proc) == file
    assert oom_kills(file) == 2


def test_the_counter_above_where_memory_is_not_left_to_us(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/user.slice/app/job_5\n", kernel.V2)
    file = _counter(tmp_path / "user.slice/memory.events", 3)
    assert oom_counter(proc) == file


def test_the_counter_of_cgroup_v1(tmp_path: Path) -> None:
    proc = kernel.proc(
        tmp_path,
        "8:pids:/\n4:hugetlb,memory:/slurm/job:5\n0::/\n",
        kernel.V1 + kernel.V2,
    )
    file = _counter(tmp_path / "memory/slurm/job:5/memory.oom_control", 1)
    _counter(tmp_path / "memory/memory.oom_control", 3)
    assert oom_counter(proc) == file
    assert oom_kills(file) == 1


@pytest.mark.parametrize("path", ["/docker/abc", "/"])
def test_the_counter_in_a_container(tmp_path: Path, path: str) -> None:
    proc = kernel.proc(tmp_path, f"4:memory:{path}\n", kernel.V1, root="/docker/abc")
    file = _counter(tmp_path / "memory/memory.oom_control", 1)
    assert oom_counter(proc) == file


def test_the_counter_below_a_container(tmp_path: Path) -> None:
    proc = kernel.proc(
        tmp_path, "4:memory:/docker/abc/own\n", kernel.V1, root="/docker/abc"
    )
    _counter(tmp_path / "memory/memory.oom_control", 3)
    file = _counter(tmp_path / "memory/own/memory.oom_control", 1)
    assert oom_counter(proc) == file


def test_the_counter_of_the_machine_if_there_is_no_other(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/\n", kernel.V2)
    (tmp_path / "memory.events").write_text("low 0\n")  # a kernel before 4.13
    assert oom_counter(proc) == proc / "vmstat"
    assert oom_kills(proc / "vmstat") == 7


def test_no_counter_is_no_kill(tmp_path: Path) -> None:
    assert oom_kills(oom_counter(tmp_path)) == 0
