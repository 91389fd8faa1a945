"""How much of the slots' time is spent in modules, by CellProfiler's own account.

Efficiency is the seconds that modules take for all groups, divided by slots x the
seconds that `cpengine run` takes. The modules' seconds are taken from CellProfiler's
logs, three times:

- alone: plain CellProfilers one after the other, while nothing else runs;
- together: as many plain CellProfilers at a time as there are slots. They take longer
  then, because cores share caches and memory: that loss is the machine's;
- in the run: the logs of the very jobs of `cpengine run`. In a process that has run
  groups before, modules take less, as Java and libraries are there already.

    .venv/bin/python -m benchmarks.efficiency [--short] [--save] [--slots N]
"""

import statistics
from collections.abc import Sequence
from functools import partial

from benchmarks.common import Options, Ran, Report, in_turn, median, say_sides, scratch
from benchmarks.work import TEN, Plate, engine, plain, say_plate

ALONE, TOGETHER, RUN = "plain, one at a time", "plain, {} at a time", "cpengine run"


def main() -> None:
    """Measure all three and print the ratios."""
    options = Options.read(__doc__)
    report = Report(options)
    with scratch() as folder:
        measure(report, TEN.plate(folder, options, times=2), options)
    report.end("efficiency")


def measure(report: Report, plate: Plate, options: Options) -> None:
    slots = options.slots
    together = TOGETHER.format(slots)
    say_plate(report, plate, options)
    sides = {
        ALONE: partial(plain, plate, slots=1),
        together: partial(plain, plate, slots=slots),
        RUN: partial(engine, plate, slots=slots),
    }
    ran = in_turn(sides, options.rounds)
    say_sides(report, ran, len(plate.groups), RUN)
    report.say()
    held = {name: slots * median(ran[name]) for name in (RUN, together)}
    report.say(f"{'':<32}{'modules':>10}{'efficiency':>12}{'of xargs':>10}")
    for label, name in (
        ("modules of groups run alone", ALONE),
        (f"modules of groups run {slots} together", together),
        ("modules of groups in the run", RUN),
    ):
        seconds = modules(ran[name], len(plate.groups))
        ours, theirs = seconds / held[RUN], seconds / held[together]
        plain_too = "-" if name == RUN else f"{theirs:.3f}"
        report.say(f"{label:<32}{seconds:>8.1f} s{ours:>12.3f}{plain_too:>10}")


def modules(rounds: Sequence[Ran], groups: int) -> float:
    """Seconds of all modules of all groups, in the middle one of the rounds."""
    for one in rounds:
        assert len(one.modules) == groups, "a log does not tell its modules' times"
    return statistics.median(sum(one.modules) for one in rounds)


if __name__ == "__main__":
    main()
