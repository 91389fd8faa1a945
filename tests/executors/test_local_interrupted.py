"""Ctrl-C at any step of the main thread leaves no job of the local executor behind."""

import concurrent.futures
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cpengine.executors import base, local
from cpengine.executors.local import LocalExecutor
from cpengine.model import Job, Outcome
from cpengine.testing import jobs, machine

_FILES = {
    base.__file__,
    local.__file__,
    threading.__file__,
    concurrent.futures.thread.__file__,
    concurrent.futures._base.__file__,
}
"""Where the main thread is interrupted."""


class _Running:
    """Stands for `run_job`: counts the jobs that run, which end a moment after that."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __call__(self, job: Job, *_: object, cancelled: Any, **__: object) -> Outcome:
        self.names.add(job.id)
        give_up = time.monotonic() + 0.02
        while not cancelled.is_set() and time.monotonic() < give_up:
            time.sleep(0.001)
        time.sleep(0.02 * cancelled.is_set())
        self.names.discard(job.id)
        return Outcome(job)


@contextmanager
def _interrupted(step: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at a step of this thread; gives how many there were.

    A step is where Python looks for signals: a function begins, or one of C came back.
    """
    seen = [0]

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename in _FILES:
            seen[0] += 1
            if seen[0] == step:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def _run(executor: LocalExecutor, step: int) -> int:
    """Run jobs, interrupted at a step; how many steps there were until then."""
    with _interrupted(step) as seen, suppress(KeyboardInterrupt):
        outcomes = executor.run(jobs("A", "B"))
        for _ in outcomes:
            pass
    return seen[0]


def test_ctrl_c_at_any_step_leaves_no_job_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = _Running()
    monkeypatch.setattr(local, "run_job", running)
    this_machine = machine(tmp_path, {})
    step = 1
    while True:
        with LocalExecutor(this_machine, 1) as executor:
            seen = _run(executor, step)
        assert not running.names, f"interrupted at step {step}"
        if seen < step:
            break
        step += 1
    assert step > 50
