"""The same jobs on a SLURM cluster and by local slots of this machine.

The cluster is the one of the tests: a real SLURM whose nodes are this machine. First
many jobs that do nothing, so that what is measured is how fast they are handed out and
what the driver holds; then a plate, where all that SLURM and Dask take counts.

    .venv/bin/python -m benchmarks.slurm [--short] [--save] [--slots N] [--groups N]
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.common import Options, Ran, Report, in_turn, say_sides, scratch
from benchmarks.overhead import (
    HOST,
    PROGRAM,
    STEP,
    VERSION,
    worker_machine,
    write_batch,
)
from benchmarks.work import (
    LOGS,
    RESULTS,
    TEN,
    Plate,
    engine,
    run_engine,
    say_plate,
    write_project,
)
from cpengine.config import SlurmSection
from cpengine.executors.base import Executor
from cpengine.executors.local import LocalExecutor
from cpengine.executors.slurm.cluster_executor import ClusterExecutor
from cpengine.job.run_job import Machine
from cpengine.model import Job
from cpengine.project import Project
from tests.services.slurm.cluster import Cluster

JOBS, JOBS_SHORT = 10_000, 1_000
LOCAL, SLURM = "local slots", "SLURM"
MAKE = "benchmarks.overhead:worker_machine"


def main() -> None:
    """Measure both and print their ratios."""
    options = Options.read(__doc__, rounds=1)
    report = Report(options)
    with TemporaryDirectory(prefix="bench-") as place, Cluster(Path(place)) as cluster:
        os.environ.update(cluster.environ)
        dispatch(report, options)
        with scratch() as folder:
            compare(report, TEN.plate(folder, options, times=4), options)
    report.end("slurm")


# --- jobs that do nothing ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Dispatched:
    """What handing out jobs took."""

    per_s: float
    memory: int
    """Bytes that the driver held at the end, above those before."""


def dispatch(report: Report, options: Options) -> None:
    """Run jobs that do nothing by both executors."""
    count = JOBS_SHORT if options.short else JOBS
    report.say()
    report.say(f"{count:,} jobs that do nothing; {options.slots} slots")
    report.say(f"{'':<12}{'jobs/s':>10}{'driver':>12}")
    found = {}
    for name, make in ((LOCAL, _local), (SLURM, _slurm)):
        found[name] = _dispatched(count, options.slots, make)
        memory = f"+{found[name].memory / 1e6:.0f} MB"
        report.say(f"{name:<12}{found[name].per_s:>10.0f}{memory:>12}")
    ratio = found[SLURM].per_s / found[LOCAL].per_s
    report.say(f"ratio jobs/s {SLURM} / {LOCAL}: {ratio:.2f}")


Make = Callable[[Machine, Path, int], Executor]


def _dispatched(count: int, slots: int, make: Make) -> _Dispatched:
    with TemporaryDirectory(prefix="bench-") as at:
        folder = Path(at)
        write_batch(folder, count)
        (folder / PROGRAM).write_text(HOST)
        machine = worker_machine(str(folder))
        jobs = Project.load(folder).plan(STEP, cellprofiler=VERSION).jobs
        before = psutil.Process().memory_info().rss
        with machine, make(machine, folder, slots) as executor:
            seconds = _first_to_last(executor, jobs)
            memory = psutil.Process().memory_info().rss - before
    return _Dispatched(count / seconds, memory)


def _first_to_last(executor: Executor, jobs: Sequence[Job]) -> float:
    """Seconds from the first outcome to the last: workers have to start before."""
    begun = 0.0
    for outcome in executor.run(jobs):
        assert outcome.done, outcome.failure
        begun = begun or time.perf_counter()
    return time.perf_counter() - begun


def _local(machine: Machine, folder: Path, slots: int) -> Executor:
    return LocalExecutor(machine, slots)


def _slurm(machine: Machine, folder: Path, slots: int) -> Executor:
    settings = SlurmSection(cores=1, memory_gb=2.0, workers=slots, interface="lo")
    spec = str(folder)
    return ClusterExecutor(
        "slurm", settings, machine, MAKE, spec, folder=folder / "run"
    )


# --- a plate -------------------------------------------------------------------------


def compare(report: Report, plate: Plate, options: Options) -> None:
    """Run one plate on the cluster and by local slots."""
    say_plate(report, plate, options)
    sides = {
        LOCAL: partial(engine, plate, slots=options.slots),
        SLURM: partial(_on_cluster, plate, slots=options.slots),
    }
    say_sides(report, in_turn(sides, options.rounds), len(plate.groups), LOCAL)


def _on_cluster(plate: Plate, folder: Path, slots: int) -> Ran:
    """`cpengine run --on slurm` with as many workers of a core."""
    outputs = folder / "outputs"
    outputs.mkdir()
    section = ("[executors.slurm]", "cores = 1", "memory_gb = 3.0", "interface = 'lo'")
    write_project(folder, str(plate.folder), str(outputs), *section)
    seconds = run_engine(folder, slots, more=("--on", "slurm"))
    return Ran.read(seconds, outputs / RESULTS, outputs / LOGS)


if __name__ == "__main__":
    main()
