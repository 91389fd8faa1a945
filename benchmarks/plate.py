"""A whole plate: `cpengine run` against `xargs -P` of plain CellProfiler, as by hand.

Twice the demo's analysis pipeline: on images so large that its modules take about
10 s a group, and on images so small that they take about 2 s.

    .venv/bin/python -m benchmarks.plate [--short] [--save] [--slots N]
"""

import statistics
from functools import partial

from benchmarks.common import Options, Report, in_turn, say_sides, scratch
from benchmarks.work import TEN, TWO, Plate, engine, modules_alone, plain, say_plate


def main() -> None:
    """Measure both kinds of work and print a table of each."""
    options = Options.read(__doc__)
    report = Report(options)
    for work in (TEN, TWO):
        with scratch() as folder:
            compare(report, work.plate(folder, options), options)
    report.end("plate")


def compare(report: Report, plate: Plate, options: Options) -> None:
    """Run one plate both ways."""
    slots = options.slots
    say_plate(report, plate, options)
    say_modules(report, plate, options)
    sides = {
        f"xargs -P {slots}": partial(plain, plate, slots=slots),
        "cpengine run": partial(engine, plate, slots=slots),
    }
    ran = in_turn(sides, options.rounds)
    say_sides(report, ran, len(plate.groups), "cpengine run")


def say_modules(report: Report, plate: Plate, options: Options) -> None:
    """What the modules take by CellProfiler's own account, one group at a time."""
    first, later = modules_alone(plate, groups=3 if options.short else 5)
    report.say(
        f"modules take {statistics.median(first):.1f} s a group, run alone "
        f"({statistics.median(later):.1f} s in a process that has run others before)"
    )


if __name__ == "__main__":
    main()
