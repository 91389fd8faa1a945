"""A plate of a public pipeline: `cpengine run` against `xargs -P` of plain runs.

With comparing of the first jobs (`exact_check`), which a plate has once, and without,
as it is later on a large plate. The pipeline is one that you have collected (none are
in the repository) and groups by site; images are drawn with fixed seeds.

    .venv/bin/python -m benchmarks.exact_plate PIPELINE [--size 540] [--wells 12]
        [--sites 2] [--rounds 2] [--slots N] [--save]
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import Options, Ran, Report, in_turn, say_sides, scratch
from benchmarks.exact import inputs
from benchmarks.public_inputs import STEP, Fields, Made
from benchmarks.public_runs import contents
from benchmarks.work import Plate, Work, plain, run_engine
from cpengine.cellprofiler.find import find
from cpengine.demo.synthetic_plate import wells_of


def main() -> None:
    """Run the plate each way and print a table."""
    given = _options()
    report = Report(Options(False, given.save, given.slots, None, given.rounds))
    with scratch() as folder:
        fields = Fields(given.size, wells_of(given.wells), given.sites)
        ((made, name),) = inputs(find(), folder, [given.pipeline], fields)
        report.say(f"\n{name}, {given.size} px: {len(made.groups)} sites")
        sides = {
            f"xargs -P {given.slots}": partial(_plain, made, given.size, given.slots),
            "cpengine run": partial(_engine, made, given.slots, ()),
            "cpengine run --exact-check 0": partial(
                _engine, made, given.slots, ("--exact-check", "0")
            ),
        }
        ran = in_turn(sides, given.rounds)
        say_sides(report, ran, len(made.groups), "cpengine run")
    report.end("exact_plate")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("pipeline", type=Path)
    add("--size", type=int, default=540, help="pixels along an image's side")
    add("--wells", type=int, default=12)
    add("--sites", type=int, default=2, help="of each well")
    add("--rounds", type=int, default=2)
    add("--slots", type=int, default=os.cpu_count() or 1, help="default: cores")
    add("--save", action="store_true", help="keep the output in benchmarks/results")
    return parser.parse_args()


def _plain(made: Made, size: int, slots: int, folder: Path) -> Ran:
    chosen = {
        "-".join(group.values()): ",".join(f"{k}={v}" for k, v in group.items())
        for group in made.groups
    }
    work = Work("public", size, groups=1, groups_short=1)
    plate = Plate(made.folder, work, chosen, made.table, made.pipeline)
    ran = plain(plate, folder, slots)
    return Ran(ran.seconds, _files(folder / "results"), [])


def _engine(made: Made, slots: int, more: Sequence[str], folder: Path) -> Ran:
    project = folder / "project"
    shutil.copytree(made.folder, project)
    seconds = run_engine(project, slots, more=more, step=STEP)
    return Ran(seconds, _files(project / "results"), [])


def _files(results: Path) -> dict[str, str]:
    """What stands for the content of each file of each group."""
    return {
        f"{group.name}/{name}": content
        for group in sorted(results.glob("[!.]*"))
        for name, content in contents(group).items()
    }


if __name__ == "__main__":
    main()
