"""What the engine adds to a job, in time and memory, with a host that does nothing.

The host speaks as CellProfiler's does, but a job of it only writes two small files. It
is driven twice: by the engine, from the plan to the last marker, and by a bare loop
that sends one request after another. What differs is all that cpengine does around a
job: scratch, the check of its input and images, log, verification, publishing, marker.
The batch has a LoadData CSV a plate, of 3,456 sites with five channels and their
illumination functions, in a bucket's places that are below a local root here.

Each size runs in a process of its own, so that its memory is its alone.

    .venv/bin/python -m benchmarks.overhead [--full] [--slots N] [--folder F] [--save]

`engine` is wall time of a slot, without what the host takes that the loop drives. `CPU`
is that of the engine's process, user and system, which does not depend on what else
the machine does. Memory is what is resident at the end; `plan` is the part of it that
came with the plan.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks.common import RESULTS, header
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Hosts
from cpengine.executors.local import LocalExecutor
from cpengine.job.admission import Slots
from cpengine.job.run_job import Machine
from cpengine.model import Job
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.progress import views
from cpengine.run.session import Steps
from tests import build

SIZES = (1_000, 10_000)
FULL = (*SIZES, 100_000)
AIM_MS = 5.0
STEP, VERSION = "analysis", "4.2.8.1"
CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")
WELLS = [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
SITES = range(1, 10)
MODULES = 60
PROGRAM = "host.py"
BATCH = "projects/proj/B1"
WORKSPACE = "projects/proj/workspace"

HOST = """\
import json, sys

def tell(**event):
    sys.stdout.write(json.dumps(event) + "\\n")
    sys.stdout.flush()

def write(path, text):
    with open(path, "w") as file:
        file.write(text)

ended = dict(module="LoadData", module_num=1, cpu_s=0.01, wall_s=0.02)
good = dict(code=0, status="Complete", cpu_s=0.01, peak_memory=1, memory=1)
tell(event="ready")
while line := sys.stdin.readline():
    request = json.loads(line)
    option = dict(zip(request["argv"], request["argv"][1:]))
    write(request["log"], "a line of CellProfiler's log\\n")
    tell(event="start")
    write(option["-o"] + "/Image.csv", "some,values\\n")
    write(option["-o"] + "/Cells.csv", "some,more,values\\n")
    write(option["-d"], "Complete\\n")
    tell(event="module", image_number=1, **ended)
    tell(event="end", left_open=[], **good)
"""

Found = dict[str, float]


# --- the work ------------------------------------------------------------------------


def write_batch(folder: Path, jobs: int) -> None:
    """Write a project with so many sites; all sites of a plate have the same images."""
    build.write(folder / "cpengine.toml", build.project_file())
    settings = {f"Select what to measure, number {n}": f"Any_{n}" for n in range(25)}
    more = [build.module("MeasureTexture", n, settings) for n in range(4, MODULES)]
    pipeline = folder / WORKSPACE / f"pipelines/B1/{STEP}.cppipe"
    build.write(pipeline, build.pipeline_text(build.SITE, *more))
    sites = [(well, str(site)) for well in WELLS for site in SITES]
    for number, first in enumerate(range(0, jobs, len(sites)), 1):
        plate = f"BR{number:08d}"
        images = _columns(plate)
        rows = [images | _site(plate, *site) for site in sites[: jobs - first]]
        csv = folder / WORKSPACE / f"load_data_csv/B1/{plate}/load_data_with_illum.csv"
        build.write(csv, build.csv_text(rows))
        for _, place, name in _images(plate):
            build.write(folder / place / name, "image")


def _images(plate: str) -> Iterator[tuple[str, str, str]]:
    """The name, the folder and the file of each of a plate's images."""
    for channel in CHANNELS:
        place = f"{BATCH}/images/{plate}/Images"
        yield f"Orig{channel}", place, f"r01c01f01p01-{channel}.tiff"
        place = f"{BATCH}/illum/{plate}"
        yield f"Illum{channel}", place, f"{plate}_Illum{channel}.npy"


def _columns(plate: str) -> dict[str, str]:
    columns = {}
    for image, place, name in _images(plate):
        columns[f"FileName_{image}"] = name
        columns[f"PathName_{image}"] = f"{build.MOUNT}/{place}"
    return columns


def _site(plate: str, well: str, site: str) -> dict[str, str]:
    return {
        "Metadata_Plate": plate,
        "Metadata_Well": well,
        "Metadata_Site": site,
        "Metadata_Row": str(ord(well[0]) - 64),
        "Metadata_Col": str(int(well[1:])),
    }


# --- one size, in a process of its own -----------------------------------------------


def measure(count: int, slots: int, place: str | None) -> Found:
    """Run so many jobs by the engine and by the bare loop."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as at:
        folder = Path(at)
        write_batch(folder, count)
        program = folder / PROGRAM
        program.write_text(HOST)
        requests = min(count, 10_000)
        alone_s = _alone(program, folder, requests, slots)
        before = _memory()
        project = Project.load(folder)
        steps = Steps(project, [STEP], Part(), VERSION)
        todo = steps.plan(STEP)
        assert len(todo.jobs) == count
        planned = _memory()
        machine = no_op_machine(project, folder, program)
        wall_s, user_s, system_s = _engine(machine, todo.jobs, slots)
        used = _memory()
    return {
        "jobs": count,
        "wall_ms": 1000 * slots * wall_s / count,
        "host_ms": 1000 * slots * alone_s / requests,
        "user_ms": 1000 * user_s / count,
        "system_ms": 1000 * system_s / count,
        "per_s": count / wall_s,
        "plan": planned - before,
        "used": used,
    }


def worker_machine(path: str, slots: int = 1) -> Machine:
    """The machine of a batch's folder, as workers of `benchmarks.slurm` make it."""
    folder = Path(path)
    machine = no_op_machine(Project.load(folder), folder, folder / PROGRAM)
    return replace(machine, slots=Slots(slots))


def no_op_machine(project: Project, folder: Path, program: Path) -> Machine:
    """The project's machine, with a host that does nothing."""
    python = Path(sys.executable)
    tool = CellProfiler(("no command",), VERSION, "no-op", python=python)
    (folder / "scratch").mkdir(exist_ok=True)
    machine = replace(project.machine(tool), scratch=folder / "scratch")
    return replace(machine, hosts=Hosts(tool, machine.scratch, program=program))


def _engine(
    machine: Machine, jobs: Sequence[Job], slots: int
) -> tuple[float, float, float]:
    """Wall seconds of all jobs, and CPU seconds of this process: user, system."""
    view = views(Console(quiet=True))(STEP, jobs)
    begun, before = time.perf_counter(), os.times()
    with machine, view, LocalExecutor(machine, slots) as executor:
        for outcome in executor.run(jobs, view.listen):
            assert outcome.done, outcome.failure
    used = os.times()
    return (
        time.perf_counter() - begun,
        used.user - before.user,
        used.system - before.system,
    )


def _alone(program: Path, folder: Path, count: int, slots: int) -> float:
    """Wall seconds of as many requests without the engine, from as many hosts."""

    def drive(slot: int) -> None:
        own = folder / f"alone{slot}"
        (own / "output").mkdir(parents=True)
        with subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as host:
            assert host.stdin
            assert host.stdout
            host.stdout.readline()
            for _ in range(count // slots):
                host.stdin.write(_request(own))
                host.stdin.flush()
                for line in host.stdout:
                    if json.loads(line)["event"] == "end":
                        break
            host.stdin.close()

    begun = time.perf_counter()
    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(drive, range(slots)))
    return time.perf_counter() - begun


def _request(folder: Path) -> bytes:
    argv = ["-o", str(folder / "output"), "-d", str(folder / "done")]
    return json.dumps({"argv": argv, "log": str(folder / "log")}).encode() + b"\n"


def _memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


# --- all sizes -----------------------------------------------------------------------


def main() -> None:
    """Measure each size and print a line of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--full", action="store_true", help="100,000 jobs, too")
    add("--slots", type=int, default=os.cpu_count() or 1, help="default: cores")
    add("--folder", help="where all files are; default: the folder of temporary ones")
    add("--save", action="store_true", help="keep the output in benchmarks/results")
    add("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.slots, given.folder)))
        return
    lines: list[str] = []
    for line in _report(FULL if given.full else SIZES, given.slots, given.folder):
        print(line, flush=True)
        lines.append(line)
    if given.save:
        (RESULTS / "overhead.txt").write_text("\n".join([*lines, ""]), "utf-8")


def _report(sizes: Sequence[int], slots: int, place: str | None) -> Iterator[str]:
    yield from header()
    disk = _file_system(Path(place or tempfile.gettempdir()))
    yield f"slots      {slots}, files on {disk}"
    yield _row(
        "jobs", "engine", "CPU: user", "system", "host", "jobs/s", "memory", "plan"
    )
    found = []
    for count in sizes:
        found.append(_measured(count, slots, place))
        yield _line(found[-1])
    yield f"aim        engine: less than {AIM_MS:g} ms a job; memory: that of the plan"
    before, last = found[-2:]
    jobs = last["jobs"] - before["jobs"]
    grown, plan = ((last[name] - before[name]) / jobs for name in ("used", "plan"))
    yield (
        f"memory     from {before['jobs']:,} to {last['jobs']:,} jobs: {grown:,.0f} "
        f"bytes more a job, of which the plan has {plan:,.0f}"
    )


def _line(found: Found) -> str:
    return _row(
        f"{found['jobs']:,}",
        f"{found['wall_ms'] - found['host_ms']:.2f} ms",
        f"{found['user_ms']:.2f} ms",
        f"{found['system_ms']:.2f} ms",
        f"{found['host_ms']:.2f} ms",
        f"{found['per_s']:,.0f}",
        f"{found['used'] / 1e6:.1f} MB",
        f"{found['plan'] / 1e6:.1f} MB",
    )


def _row(*cells: str) -> str:
    return "".join(f"{cell:>11}" for cell in cells)


def _file_system(folder: Path) -> str:
    parts = [
        p
        for p in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(p.mountpoint)
    ]
    return max(parts, key=lambda part: len(part.mountpoint)).fstype


def _measured(count: int, slots: int, place: str | None) -> Found:
    """One size in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.overhead", "--one", str(count)]
    command += ["--slots", str(slots), *(["--folder", place] if place else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: Found = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
