"""How many jobs the local executor runs at a time, and when it tries again."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from cpengine.executors.local import GB, LocalExecutor, default_workers
from cpengine.testing import jobs, machine


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


def test_a_job_that_waits_for_its_next_try_is_not_held_up_by_a_long_one(
    tmp_path: Path,
) -> None:
    here = machine(tmp_path, {"A": ["hang"]})
    (tmp_path / "file").write_text("where B's output must go")
    broken = replace(jobs("B")[0], output="file/out")
    with LocalExecutor(here, 2) as executor:
        executor.storage_pause_s = 0.01
        run = executor.run([*jobs("A", timeout_s=30), broken])
        first = next(run)
        run.close()
    assert (first.job.id, first.attempt) == ("B", 3)
