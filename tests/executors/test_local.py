"""How many jobs the local executor runs at a time."""

from types import SimpleNamespace

import psutil
import pytest

from cpengine.executors.local import GB, default_workers


@pytest.mark.parametrize(
    ("cores", "free_gb", "memory_gb", "expected"),
    [(8, 64, 2, 8), (8, 6, 2, 3), (8, 1, 2, 1), (2, 64, 2, 2)],
)
def test_workers_follow_cores_and_free_memory(
    cores: int,
    free_gb: int,
    memory_gb: float,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Patched, because a test cannot change the machine.
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    free = SimpleNamespace(available=free_gb * GB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert default_workers(memory_gb) == expected
