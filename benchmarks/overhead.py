"""What the engine adds to a job: the local executor against a bare thread pool.

Both sides run the same stand-in CellProfiler (a Python script that writes two small
files) on the same number of slots, in one run, turn and turn about. What differs is
all that cpengine does around a job: scratch, log, verification, publishing, marker.

    .venv/bin/python benchmarks/overhead.py [JOBS] [SLOTS] [ROUNDS]
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from cpengine.cellprofiler.command import run_command
from cpengine.executors.local import LocalExecutor
from cpengine.model import Job
from cpengine.runner import Machine
from cpengine.testing import jobs, machine


def prepared(folder: Path, todo: Sequence[Job]) -> Machine:
    """The stand-in's machine, with a data file that has all these jobs' groups."""
    here = machine(folder, {})
    names = [job.id for job in todo]
    (folder / "load_data.csv").write_text("\n".join(["Metadata_Plate", *names, ""]))
    return here


def bare(folder: Path, todo: Sequence[Job], slots: int) -> float:
    """Seconds for the commands alone, as `xargs -P` would run them."""
    script = prepared(folder, todo).cellprofiler.command
    (folder / "empty").mkdir()

    def run(job: Job) -> None:
        out = folder / "bare" / job.id
        out.mkdir(parents=True)
        command = run_command(
            script,
            pipeline=folder / job.pipeline,
            input=folder / "empty",
            output=out,
            done_file=out / "done",
            data_file=folder / job.data_file,
            group=dict(job.group),
            temp=folder,
        )
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

    begun = time.monotonic()
    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(run, todo))
    return time.monotonic() - begun


def engine(folder: Path, todo: Sequence[Job], slots: int) -> float:
    """Seconds for the same commands run as jobs."""
    here = prepared(folder, todo)
    begun = time.monotonic()
    with LocalExecutor(here, slots) as executor:
        assert all(outcome.done for outcome in executor.run(todo))
    return time.monotonic() - begun


def main(count: int = 200, slots: int = 2, rounds: int = 3) -> None:
    todo = jobs(*(f"P{i}" for i in range(count)))
    seconds: dict[str, list[float]] = {"bare": [], "engine": []}
    for _ in range(rounds):
        for side in (bare, engine):
            with tempfile.TemporaryDirectory() as folder:
                seconds[side.__name__].append(side(Path(folder), todo, slots))
    alone, with_us = (statistics.median(seconds[name]) for name in ("bare", "engine"))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    ).stdout.strip()
    print(f"date     {datetime.now(UTC):%Y-%m-%d}, commit {commit}")
    print(f"machine  {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"jobs     {count} on {slots} slots, median of {rounds} rounds")
    print(f"bare     {alone:8.2f} s")
    print(f"engine   {with_us:8.2f} s   ratio {with_us / alone:.2f}")
    print(
        f"added    {1000 * slots * (with_us - alone) / count:8.1f} ms of a slot a job"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
