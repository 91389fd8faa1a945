"""The plates that are run, and the ways of running them that benchmarks compare.

All ways run the same pipeline on the same images with the same CellProfiler, one
thread each. Images and pipelines are the demo's; the illumination functions are the
very light that its microscope has, so that the illum step need not run.
"""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common import (
    Options,
    Ran,
    Report,
    cellprofiler_found,
    module_seconds,
    scratch,
)
from cpengine.demo.images import CHANNELS, illumination
from cpengine.demo.make import BATCH, NAME, Size, make

PLATE, STEP = "DemoPlate1", "analysis"
BUCKET = "/home/ubuntu/bucket"  # what the demo's CSVs have in place of the root
HOME = f"projects/{NAME}"
WORKSPACE = f"{HOME}/workspace"
CSVS = f"{WORKSPACE}/load_data_csv/{BATCH}/{PLATE}"
PIPELINE = f"{WORKSPACE}/pipelines/{BATCH}/{STEP}.cppipe"
ILLUM = f"{HOME}/{BATCH}/illum/{PLATE}"
RESULTS = f"{WORKSPACE}/{STEP}/{BATCH}/{PLATE}/{STEP}"
LOGS = f"{WORKSPACE}/cpengine/{BATCH}/{STEP}/logs"
WELLS = 96
THREADS = (
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Work:
    """How long the modules take for a group; the size of the images makes it so."""

    name: str
    pixels: int
    groups: int
    """How many groups a slot gets."""
    groups_short: int

    def plate(self, folder: Path, options: Options, times: int = 1) -> "Plate":
        """Write a plate with so many groups, or with `times` as many."""
        a_slot = self.groups_short if options.short else times * self.groups
        return make_plate(folder, self, options.groups or a_slot * options.slots)


TEN = Work("10 s", pixels=896, groups=6, groups_short=2)
TWO = Work("2 s", pixels=256, groups=24, groups_short=4)


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate on this machine's disk, as the image-based profiling handbook has it."""

    folder: Path
    work: Work
    groups: dict[str, str]
    """What `-g` is given, by the name of the group's folder."""
    data_file: Path
    """The plate's whole CSV with the places where the images really are."""
    pipeline: Path

    def __str__(self) -> str:
        pixels = self.work.pixels
        return f"{len(self.groups)} sites of 5 images of {pixels} x {pixels} pixels"


def make_plate(folder: Path, work: Work, groups: int) -> Plate:
    """Write images, pipelines, illumination functions and both CSVs."""
    sites = -(-groups // WELLS)
    size = Size(1, -(-groups // sites), sites, work.pixels, 1)
    make(folder, size, lambda done, total: None)
    with (folder / CSVS / "load_data.csv").open(newline="") as file:
        rows = [row | _write_illum(folder, work) for row in csv.DictReader(file)]
    _write_csv(folder / CSVS / "load_data_with_illum.csv", rows)
    data_file = folder / "load_data_here.csv"
    place = str(folder.resolve())
    _write_csv(
        data_file,
        [{key: text.replace(BUCKET, place) for key, text in r.items()} for r in rows],
    )
    return Plate(folder, work, dict(map(_group, rows)), data_file, folder / PIPELINE)


def _write_illum(folder: Path, work: Work) -> dict[str, str]:
    """The columns of the illumination functions, which are written if need be."""
    columns = {}
    for channel in CHANNELS:
        name = f"{PLATE}_Illum{channel}.npy"
        columns[f"FileName_Illum{channel}"] = name
        columns[f"PathName_Illum{channel}"] = f"{BUCKET}/{ILLUM}"
        path = folder / ILLUM / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, illumination(channel, work.pixels))
    return columns


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _group(row: Mapping[str, str]) -> tuple[str, str]:
    values = {f"Metadata_{k}": row[f"Metadata_{k}"] for k in ("Plate", "Well", "Site")}
    chosen = ",".join(f"{key}={value}" for key, value in values.items())
    return "-".join(values.values()), chosen


def say_plate(report: Report, plate: Plate, options: Options) -> None:
    """Begin a table: what is run, on how many slots, how often."""
    rounds = f"{options.rounds} round{'s' if options.rounds > 1 else ''}"
    report.say()
    report.say(f"{plate.work.name}: {plate}; {options.slots} slots, {rounds}")


# --- plain CellProfiler --------------------------------------------------------------

ONE_GROUP = """\
# Run one group: $1 is the name of its folder, $2 what -g is given.
mkdir -p {folder}/results/"$1"
exec {command} -o {folder}/results/"$1" -g "$2" > {folder}/logs/"$1".log 2>&1
"""


def plain(plate: Plate, folder: Path, slots: int) -> Ran:
    """`xargs -P` of plain CellProfiler, as people run a plate by hand."""
    script = write_one_group(plate, folder)
    lines = "".join(f"{name} {chosen}\n" for name, chosen in plate.groups.items())
    command = ["xargs", "-P", str(slots), "-n", "2", "sh", str(script)]
    seconds = timed(command, folder, plain_environ(folder), lines)
    return Ran.read(seconds, folder / "results", folder / "logs")


def write_one_group(plate: Plate, folder: Path) -> Path:
    """Write the shell script that runs plain CellProfiler for a group."""
    for name in ("input", "logs", "results", "temp"):
        (folder / name).mkdir()
    script = folder / "one_group.sh"
    command = " ".join(plain_command(plate, folder))
    script.write_text(ONE_GROUP.format(folder=folder, command=command))
    return script


def plain_command(plate: Plate, folder: Path) -> list[str]:
    """All but the group and its folder.

    The input folder is an empty one: CellProfiler would walk through any other.
    """
    command = [*cellprofiler_found()["command"], "-c", "-r"]
    command += ["-p", str(plate.pipeline), f"--data-file={plate.data_file}"]
    return [*command, "-i", str(folder / "input")]


def plain_environ(folder: Path) -> dict[str, str]:
    """One thread and hash seed, as cpengine's jobs have, and one disk to work on."""
    found: dict[str, str] = cellprofiler_found()["env"]
    threads = dict.fromkeys(THREADS, "1")
    same = {**threads, "PYTHONHASHSEED": "0", "TMPDIR": str(folder / "temp")}
    return {**os.environ, **found, **same}


def modules_alone(plate: Plate, groups: int) -> tuple[list[float], list[float]]:
    """What modules take for the first few groups but one while nothing else runs.

    First each in a CellProfiler of its own, where the first use of everything (Java,
    libraries) counts, too; then in one that has run the first group before.
    """
    some = replace(plate, groups=dict(list(plate.groups.items())[:groups]))
    with scratch() as folder:
        first = plain(some, folder, 1).modules[1:]
    with scratch() as folder:
        write_one_group(plate, folder)
        command = plain_command(plate, folder)
        command += ["-o", str(folder / "results"), "-f", "1", "-l", str(groups)]
        timed(command, folder, plain_environ(folder))
        later = module_seconds(folder / "said.log")[1:]
    return first, later


# --- cpengine ------------------------------------------------------------------------

PROJECT_FILE = """\
[project]
name = "{name}"
batch = "{batch}"
[executors.local]
scratch = "{scratch}"
[storage]
root = "{root}"
outputs = "{outputs}"
"""


def engine(plate: Plate, folder: Path, slots: int) -> Ran:
    """`cpengine run` with the plate on the local disk."""
    outputs = folder / "outputs"
    outputs.mkdir()
    write_project(folder, str(plate.folder), str(outputs))
    seconds = run_engine(folder, slots)
    return Ran.read(seconds, outputs / RESULTS, outputs / LOGS)


def write_project(folder: Path, root: str, outputs: str, *more: str) -> None:
    """Write a project file; `more` are further lines below [storage]."""
    (folder / "scratch").mkdir()
    text = PROJECT_FILE.format(
        name=NAME, batch=BATCH, scratch=folder / "scratch", root=root, outputs=outputs
    )
    (folder / "cpengine.toml").write_text("\n".join([text, *more, ""]))


def run_engine(
    folder: Path,
    slots: int,
    environ: Mapping[str, str] = os.environ,
    more: Sequence[str] = (),
    step: str = STEP,
) -> float:
    """Seconds that the whole command takes, from its start to its end.

    Parameters
    ----------
    more
        Further options of it.
    """
    command = [sys.executable, "-m", "cpengine", "run", step]
    command += ["-C", str(folder), "--workers", str(slots), *more]
    return timed(command, folder, environ)


def timed(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], given: str = ""
) -> float:
    """Seconds that a command takes; what it says goes to `said.log` in the folder.

    The benchmark ends if the command fails.
    """
    path = folder / "said.log"
    with path.open("w") as log:
        begun = time.monotonic()
        done = subprocess.run(
            command, input=given, text=True, env=environ, stdout=log, stderr=log
        )
        seconds = time.monotonic() - begun
    if done.returncode:
        sys.exit(f"{command[0]} failed: {path.read_text()[-2000:]}")
    return seconds
