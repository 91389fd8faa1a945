"""A whole plate: `cpengine run` against Snakemake with one rule and a job a group.

Snakemake runs the same plain CellProfiler commands as `xargs` does in `plate.py`. It
is installed into `.tools` before anything is timed.

    .venv/bin/python -m benchmarks.snakemake [--short] [--save] [--slots N]
"""

import os
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.common import (
    REPOSITORY,
    Options,
    Ran,
    Report,
    in_turn,
    say_sides,
    scratch,
)
from benchmarks.work import (
    TEN,
    TWO,
    Plate,
    engine,
    plain_environ,
    say_plate,
    timed,
    write_one_group,
)

VERSION = "9.27.1"
TOOLS = REPOSITORY / ".tools"
SNAKEMAKE = TOOLS / "snakemake" / "bin" / "snakemake"

SNAKEFILE = """\
import csv

KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")
with open("{data_file}") as file:
    SITES = {{"-".join(row[key] for key in KEYS): row for row in csv.DictReader(file)}}


def group(wildcards):
    return ",".join(f"{{key}}={{SITES[wildcards.site][key]}}" for key in KEYS)


rule all:
    input:
        expand("results/{{site}}/Image.csv", site=SITES),


rule site:
    output:
        "results/{{site}}/Image.csv",
    params:
        group=group,
    shell:
        "sh {script} {{wildcards.site}} {{params.group}}"
"""


def main() -> None:
    """Measure the short groups, and the long ones, too, in the full form."""
    options = Options.read(__doc__)
    install()
    report = Report(options)
    report.say(f"against    Snakemake {VERSION}")
    for work in (TWO,) if options.short else (TWO, TEN):
        with scratch() as folder:
            compare(report, work.plate(folder, options), options)
    report.end("snakemake")


def install() -> None:
    """Give Snakemake an environment of its own, if it has none of this version."""
    folder = TOOLS / "snakemake"
    environ = {"UV_TOOL_DIR": str(folder), "UV_TOOL_BIN_DIR": str(SNAKEMAKE.parent)}
    command = [str(TOOLS / "uv" / "bin" / "uv"), "tool", "install", "--quiet"]
    command.append(f"snakemake=={VERSION}")
    subprocess.run(command, check=True, env=os.environ | environ)


def compare(report: Report, plate: Plate, options: Options) -> None:
    """Run one plate both ways."""
    slots = options.slots
    say_plate(report, plate, options)
    sides = {
        f"snakemake --cores {slots}": partial(snakemake, plate, slots=slots),
        "cpengine run": partial(engine, plate, slots=slots),
    }
    ran = in_turn(sides, options.rounds)
    say_sides(report, ran, len(plate.groups), "cpengine run")


def snakemake(plate: Plate, folder: Path, slots: int) -> Ran:
    """One rule that makes a group's Image.csv with plain CellProfiler."""
    script = write_one_group(plate, folder)
    text = SNAKEFILE.format(data_file=plate.data_file, script=script)
    (folder / "Snakefile").write_text(text)
    command = [str(SNAKEMAKE), "--cores", str(slots), "--directory", str(folder)]
    command += ["--snakefile", str(folder / "Snakefile")]
    seconds = timed(command, folder, plain_environ(folder))
    return Ran.read(seconds, folder / "results", folder / "logs")


if __name__ == "__main__":
    main()
