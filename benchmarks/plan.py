"""Planning a large batch: seconds and memory, against a plain loop over its CSVs.

One side makes a project's plan, asks the ledger what is left of it and takes job after
job, as an executor does. The other reads the same CSVs with `csv.DictReader` and keeps
a Distributed-CellProfiler message of each site in a list, as scripts in the manner of
`run_batch_general.py` do; it checks nothing and knows nothing of what is done. Each
side has a process of its own, so that its peak memory is its alone. Ratios are of
cpengine to the loop.

    .venv/bin/python -m benchmarks.plan [GROUPS]
"""

import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import header, scratch

# What only one side needs is imported there, so that the loop's memory is its own.

GROUPS = 1_000_000
LIMIT_MB = 500
STEP = "analysis"
CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")
WELLS = [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
SITES = range(1, 10)
MODULES = 60
CSVS = "projects/proj/workspace/load_data_csv/B1"
PIPELINE = "projects/proj/workspace/pipelines/B1/analysis.cppipe"

Seconds = dict[str, float]


def main(groups: int = GROUPS) -> None:
    """Write the batch, measure both sides and print them side by side."""
    with scratch() as folder:
        size = write_batch(folder, groups)
        found = {name: _measured(name, folder) for name in SIDES}
    for side in found.values():
        assert side["groups"] == groups, side
    print(*header(), sep="\n")
    columns = 2 * len(CHANNELS) * 2 + 5
    print(f"groups   {groups:,} in CSVs of {columns} columns, {size / 1e6:,.0f} MB")
    _print_table(found, groups)


def write_batch(folder: Path, groups: int) -> int:
    """Write a project whose CSVs have so many sites; give the bytes of the CSVs."""
    from tests import build

    build.write(folder / "cpengine.toml", build.project_file())
    more = [build.module("MeasureTexture", n, _SETTINGS) for n in range(4, MODULES)]
    build.write(folder / PIPELINE, build.pipeline_text(build.SITE, *more))
    first, *lines = _csv("@").splitlines(keepends=True)
    text = "".join(lines)
    size = 0
    for number in range(-(-groups // len(lines))):
        left = groups - number * len(lines)
        body = text if left >= len(lines) else "".join(lines[:left])
        path = folder / CSVS / f"BR{number:08d}" / "load_data_with_illum.csv"
        build.write(path, first + body.replace("@", path.parent.name))
        size += path.stat().st_size
    return size


_SETTINGS = {f"Select what to measure, number {n}": f"Something_{n}" for n in range(25)}


def _csv(plate: str) -> str:
    """A plate's CSV as pe2loaddata writes it, with illumination functions."""
    from tests import build

    rows = [
        _images(plate, number, well, site)
        | {
            "Metadata_Plate": plate,
            "Metadata_Well": well,
            "Metadata_Site": str(site),
            "Metadata_Row": str(ord(well[0]) - 64),
            "Metadata_Col": str(int(well[1:])),
        }
        for number, well in enumerate(WELLS)
        for site in SITES
    ]
    return build.csv_text(rows)


def _images(plate: str, number: int, well: str, site: int) -> dict[str, str]:
    row, column = divmod(number, 24)
    base = "/home/ubuntu/bucket/projects/proj/B1"
    images = f"{base}/images/{plate}__2026-11-22T10_11_24/Images"
    illum = f"{base}/illum/{plate}"
    found = {}
    for channel, name in enumerate(CHANNELS, 1):
        place = f"r{row + 1:02d}c{column + 1:02d}f{site:02d}p01"
        tiff = f"{place}-ch{channel}sk1fk1fl1.tiff"
        found |= {f"FileName_Orig{name}": tiff, f"PathName_Orig{name}": images}
    for name in CHANNELS:
        found[f"FileName_Illum{name}"] = f"{plate}_Illum{name}.npy"
        found[f"PathName_Illum{name}"] = illum
    return found


def cpengine(folder: Path) -> tuple[int, Seconds]:
    """Make the plan, ask what is left and take each job."""
    from cpengine.project import Project

    seconds: Seconds = {}
    with _timed(seconds, "plan"):
        project = Project.load(folder)
        plan = project.plan(STEP, cellprofiler="4.2.8.1")
    with _timed(seconds, "standings"):
        standings = project.ledger(plan.step).standings(plan.jobs, "4.2.8.1")
        left = sum(standing.state == "left" for standing in standings)
    with _timed(seconds, "jobs"):
        taken = sum(bool(standing.job.fingerprint) for standing in standings)
    assert left == taken
    return taken, seconds


def loop(folder: Path) -> tuple[int, Seconds]:
    """Make a list of messages."""
    seconds: Seconds = {}
    messages = []
    with _timed(seconds, "plan"):
        for plate in sorted(os.listdir(folder / CSVS)):
            data_file = f"{CSVS}/{plate}/load_data_with_illum.csv"
            with open(folder / data_file, newline="") as file:
                for row in csv.DictReader(file):
                    group = f"Metadata_Plate={row['Metadata_Plate']},Metadata_Well="
                    group += f"{row['Metadata_Well']},Metadata_Site="
                    messages.append(
                        {
                            "Metadata": group + row["Metadata_Site"],
                            "pipeline": PIPELINE,
                            "output": "projects/proj/workspace/analysis/B1",
                            "output_structure": "Metadata_Plate/analysis/"
                            "Metadata_Plate-Metadata_Well-Metadata_Site",
                            "input": "projects/proj/workspace/qc/B1/rules",
                            "data_file": data_file,
                        }
                    )
    with _timed(seconds, "jobs"):
        taken = sum(bool(message["Metadata"]) for message in messages)
    return taken, seconds


SIDES: dict[str, Callable[[Path], tuple[int, Seconds]]] = {
    "cpengine": cpengine,
    "loop": loop,
}


@contextmanager
def _timed(seconds: Seconds, name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begun


def _measured(name: str, folder: Path) -> dict[str, float]:
    """One side in a process of its own.

    Linux counts the memory of the process that starts it as its peak, too, so this one
    must stay small.
    """
    command = [sys.executable, "-m", "benchmarks.plan", name, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(name: str, folder: Path) -> None:
    """Print what one side came to, in the process of its own."""
    groups, seconds = SIDES[name](folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "groups": groups,
        **seconds,
        "total": sum(seconds.values()),
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss * 1024 / 1e6,
    }
    print(json.dumps(found))


def _print_table(found: dict[str, dict[str, float]], groups: int) -> None:
    ours, theirs = found["cpengine"], found["loop"]
    print(f"{'':<24}{'cpengine':>10}{'loop':>10}{'ratio':>8}")
    for name, label in {
        "plan": "plan, s",
        "standings": "what is left, s",
        "jobs": "taking each job, s",
        "total": "in all, s",
        "cpu": "CPU, s",
        "peak": "peak memory, MB",
    }.items():
        own, other = ours[name], theirs.get(name)
        if other is None:
            print(f"{label:<24}{own:>10.1f}{'-':>10}{'-':>8}")
        else:
            print(f"{label:<24}{own:>10.1f}{other:>10.1f}{own / other:>8.2f}")
    own, other = (groups / side["total"] for side in (ours, theirs))
    print(f"{'groups/s':<24}{own:>10,.0f}{other:>10,.0f}{own / other:>8.2f}")
    print(f"{'limit of memory, MB':<24}{LIMIT_MB:>10}")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in SIDES:
        _measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:]))
