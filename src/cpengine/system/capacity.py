"""How much of the machine is ours to use: cores, and memory that is left."""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cpengine.system.cgroups import folders, lines
from cpengine.system.usage import PROC

_NO_LIMIT = 2**60
"""Cgroup v1 writes no limit as nearly 2^63 bytes."""


def usable_cores(proc: Path = PROC) -> int:
    """Cores that our affinity and the CPU quotas of our cgroups let us use.

    At least one. Part of a core counts as one, so that a quota is used up.
    """
    quotas = [_quota(folder) for folder in folders("cpu", proc)]
    return max(1, math.ceil(min([_cores(), *filter(None, quotas)])))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(folder: Path) -> float | None:
    """Cores that a cgroup may use: CPU time a period, both in microseconds."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    found = lines(folder / "cpu.max") or [
        " ".join(line for name in names for line in lines(folder / name))
    ]
    match found[0].split():
        case [quota, period] if quota.isdigit() and period.isdigit():  # not max or -1
            return int(quota) / int(period)
    return None


def _of_the_machine() -> int:
    return int(psutil.virtual_memory().available)


@dataclass(frozen=True, slots=True)
class MemoryLeft:
    """Says, when called, how many bytes of memory can be had before someone must die.

    That is what the machine has available, or less where a cgroup allows less. Cached
    files count as available in both, because the kernel drops them first.
    """

    cgroups: tuple[Path, ...] = ()
    machine: Callable[[], int] = _of_the_machine

    @classmethod
    def of_this_process(cls, proc: Path = PROC) -> "MemoryLeft":
        """That of this process."""
        usages = [names.usage for names in _VERSIONS]
        return cls(
            tuple(
                folder
                for folder in folders("memory", proc)
                if any((folder / usage).exists() for usage in usages)
            )
        )

    def __call__(self) -> int:
        left = [_left(folder) for folder in self.cgroups]
        known = [size for size in left if size is not None]
        return max(0, min([self.machine(), *known]))


def lately(
    ask: Callable[[], int],
    within_s: float = 0.2,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], int]:
    """Ask anew only when the last answer is older: it costs time for each job."""
    answer, asked_at = 0, float("-inf")

    def give() -> int:
        nonlocal answer, asked_at
        if clock() >= asked_at + within_s:
            answer, asked_at = ask(), clock()
        return answer

    return give


@dataclass(frozen=True, slots=True)
class _Names:
    """What a version of cgroups calls its files, and lines in `memory.stat`."""

    limits: tuple[str, ...]
    usage: str
    droppable: frozenset[str]


_VERSIONS = (
    _Names(
        ("memory.max", "memory.high"),  # above the second it is slowed to a crawl
        "memory.current",
        frozenset({"inactive_file", "active_file", "slab_reclaimable"}),
    ),
    _Names(
        ("memory.limit_in_bytes",),
        "memory.usage_in_bytes",
        frozenset({"total_inactive_file", "total_active_file"}),
    ),
)


def _left(folder: Path) -> int | None:
    """Bytes up to a cgroup's limit; None if it has none."""
    for names in _VERSIONS:
        limit = min(_numbers(folder / name for name in names.limits), default=None)
        if limit is None or limit >= _NO_LIMIT:
            continue
        used = next(iter(_numbers([folder / names.usage])), None)
        if used is not None:
            stat = _stat(folder / "memory.stat")
            return limit - used + sum(stat.get(name, 0) for name in names.droppable)
    return None


def _numbers(files: Iterable[Path]) -> list[int]:
    """The numbers that are alone in files; not those of files that say `max`."""
    words = [line for file in files for line in lines(file)]
    return [int(word) for word in words if word.isdigit()]


def _stat(file: Path) -> Mapping[str, int]:
    pairs = [line.partition(" ") for line in lines(file)]
    return {name: int(size) for name, _, size in pairs if size.isdigit()}
