"""What of a machine is ours to use: cores and memory, by affinity and cgroups."""

import os
from pathlib import Path

import psutil
import pytest

from cpengine.system.capacity import MemoryLeft, lately, usable_cores
from tests.system import kernel

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def _left(proc: Path, machine: int = 2**60) -> int:
    left = MemoryLeft.of_this_process(proc)
    return MemoryLeft(left.cgroups, lambda: machine)()


def test_without_quota_all_cores_of_our_affinity_are_ours(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == (CORES or os.cpu_count())


@pytest.mark.skipif(CORES < 2, reason="needs two cores and an affinity")
def test_an_affinity_takes_cores_away(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("50000 100000", 1), ("100000 100000", 1), ("max 100000", CORES)],
)
@pytest.mark.skipif(CORES < 2, reason="needs two cores")
def test_the_cpu_quota_of_cgroup_v2(tmp_path: Path, quota: str, cores: int) -> None:
    proc = kernel.proc(tmp_path, "0::/pod/own\n", kernel.V2)
    kernel.files(tmp_path / "pod", cpu__max=quota)
    kernel.files(tmp_path / "pod/own", cpu__max="max 100000")
    assert usable_cores(proc) == cores


@pytest.mark.skipif(CORES < 2, reason="needs two cores")
def test_part_of_a_core_counts_as_one(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/pod\n", kernel.V2)
    kernel.files(tmp_path / "pod", cpu__max="110000 100000")
    assert usable_cores(proc) == 2


@pytest.mark.parametrize(("quota", "cores"), [(100000, 1), (-1, CORES)])
@pytest.mark.skipif(CORES < 2, reason="needs two cores")
def test_the_cpu_quota_of_cgroup_v1(tmp_path: Path, quota: int, cores: int) -> None:
    proc = kernel.proc(tmp_path, "3:cpu,cpuacct:/slurm/job\n", "")
    kernel.files(
        tmp_path / "cpu/slurm/job", cpu__cfs_quota_us=quota, cpu__cfs_period_us=100000
    )
    assert usable_cores(proc) == cores


def test_memory_left_without_cgroups_is_the_machine_s(tmp_path: Path) -> None:
    assert _left(tmp_path, machine=77) == 77
    assert MemoryLeft.of_this_process(tmp_path)() <= psutil.virtual_memory().total


def test_memory_left_in_cgroup_v2_counts_what_can_be_dropped(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/pod\n", kernel.V2)
    kernel.files(
        tmp_path / "pod",
        memory__max=1000,
        memory__high="max",
        memory__current=900,
        memory__stat="anon 500\ninactive_file 30\nactive_file 20\nslab_reclaimable 1",
    )
    assert _left(proc) == 1000 - 900 + 51


def test_memory_left_in_cgroup_v2_ends_where_it_is_slowed_down(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/pod\n", kernel.V2)
    kernel.files(
        tmp_path / "pod", memory__max=1000, memory__high=800, memory__current=500
    )
    assert _left(proc) == 300


def test_memory_left_in_cgroup_v1(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "4:memory:/slurm/job\n", kernel.V1)
    kernel.files(
        tmp_path / "memory/slurm/job",
        memory__limit_in_bytes=1000,
        memory__usage_in_bytes=600,
        memory__stat="inactive_file 1\ntotal_inactive_file 40\ntotal_active_file 2",
    )
    kernel.files(
        tmp_path / "memory",
        memory__limit_in_bytes=9223372036854771712,
        memory__usage_in_bytes=9223372036854771711,
    )
    assert _left(proc) == 442


def test_the_narrowest_of_all_limits_counts(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/user/job\n", kernel.V2)
    kernel.files(tmp_path / "user", memory__max=1000, memory__current=950)
    kernel.files(tmp_path / "user/job", memory__max=500, memory__current=100)
    assert _left(proc) == 50
    assert _left(proc, machine=20) == 20


def test_a_limit_that_is_passed_leaves_nothing(tmp_path: Path) -> None:
    proc = kernel.proc(tmp_path, "0::/job\n", kernel.V2)
    kernel.files(tmp_path / "job", memory__high=100, memory__current=150)
    assert _left(proc) == 0


def test_an_answer_stands_for_a_while() -> None:
    now, answers = 0.0, iter((10, 20))
    left = lately(lambda: next(answers), 1.0, lambda: now)
    assert (left(), left()) == (10, 10)
    now = 1.0
    assert (left(), left()) == (20, 20)
