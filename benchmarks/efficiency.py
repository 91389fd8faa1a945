"""How much of the slots' time is spent in modules, by CellProfiler's own account.

Efficiency is the seconds that modules take for all groups, divided by slots x the
seconds that `cpengine run` takes. The modules' seconds are taken from CellProfiler's
logs, three times:

- alone: plain CellProfilers one after the other, while nothing else runs, for the first
  few groups;
- together: for the same groups, as many plain CellProfilers at a time as there are
  slots. They take longer then, because cores share caches and memory: that loss is the
  machine's;
- in the run: the logs of the very jobs of `cpengine run`. In a process that has run
  groups before, modules take less, as Java and libraries are there already.

    .venv/bin/python -m benchmarks.efficiency [--short] [--save] [--slots N]
"""

import statistics
from dataclasses import replace

from benchmarks.common import Options, Ran, Report, scratch
from benchmarks.work import TEN, Plate, engine, plain, say_plate

SAMPLE = 8


def main() -> None:
    """Measure all three and print the ratios."""
    options = Options.read(__doc__, rounds=1)
    report = Report(options)
    with scratch() as folder:
        measure(report, TEN.plate(folder, options, times=4), options)
    report.end("efficiency")


def measure(report: Report, plate: Plate, options: Options) -> None:
    """Run some groups by hand and the whole plate by cpengine, once a round."""
    say_plate(report, plate, options)
    some = replace(plate, groups=dict(list(plate.groups.items())[:SAMPLE]))
    for _ in range(options.rounds):
        alone, together = by_hand(some, 1), by_hand(some, options.slots)
        with scratch() as folder:
            ran = engine(plate, folder, options.slots)
        check_same(ran, alone)
        say(report, plate, options.slots, ran, (alone, together))


def by_hand(plate: Plate, slots: int) -> Ran:
    """The groups in plain CellProfilers, so many at a time."""
    with scratch() as folder:
        return plain(plate, folder, slots)


def check_same(ran: Ran, alone: Ran) -> None:
    """Both must have made the same files of the groups that both have run."""
    assert alone.files.items() <= ran.files.items(), "the results differ"


def say(
    report: Report, plate: Plate, slots: int, ran: Ran, by_hand: tuple[Ran, Ran]
) -> None:
    """Print a table of one round."""
    groups, held = len(plate.groups), slots * ran.seconds
    assert len(ran.modules) == groups, "a log does not tell its modules' times"
    report.say(
        f"cpengine run: {ran.seconds:.1f} s, {held / groups:.2f} s of a slot a group"
    )
    report.say(f"{'modules of a group':<32}{'seconds':>10}{'efficiency':>12}")
    alone, together = by_hand
    for name, modules in (
        ("run alone", alone.modules),
        (f"run {slots} together", together.modules),
        ("in the run", ran.modules),
    ):
        seconds = statistics.mean(modules)
        report.say(f"{name:<32}{seconds:>8.2f} s{groups * seconds / held:>12.3f}")


if __name__ == "__main__":
    main()
