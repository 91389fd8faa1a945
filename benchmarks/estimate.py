"""What `cpengine estimate --pilot 3` says of a plate against the run that follows.

On the demo's plate, whose illumination functions are there already: a pilot of three
jobs of the analysis step, the estimate for the others, and then their run. Each round
has fresh results. The lines say how far the estimate was from what the run took, and
whether that was in its 80 % interval.

    .venv/bin/python -m benchmarks.estimate [--short] [--save] [--slots N]
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.common import Options, Report, scratch
from benchmarks.work import STEP, TEN, TWO, Plate, Work, say_plate, write_project
from cpengine.marker import MarkerState
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results.estimate import Known, Where, estimate
from cpengine.results.estimate.pilot import run as run_pilot
from cpengine.run.progress import views
from cpengine.run.session import Steps
from cpengine.wording import GB

PILOT = 3


@dataclass(frozen=True, slots=True)
class Round:
    """What was said, and what it took."""

    known: Known
    pilot_s: float
    step_s: float
    """Of the step in the run that followed."""
    command_s: float
    """Of that whole command."""
    cpu_s: float
    """CPU seconds of all its jobs."""
    peak: int
    """Bytes: the most that one of its jobs needed."""

    @property
    def wall_off(self) -> float:
        return self.known.wall_s.typical / self.step_s - 1

    @property
    def cpu_off(self) -> float:
        return self.known.cpu_s / self.cpu_s - 1

    @property
    def memory_off(self) -> float:
        return self.known.fit.peak_max / self.peak - 1

    @property
    def held(self) -> bool:
        return self.known.wall_s.low <= self.step_s <= self.known.wall_s.high


def main() -> None:
    """Estimate and run plates of two kinds."""
    options = Options.read(__doc__)
    report = Report(options)
    for work in (TEN, TWO):
        compare(report, work, options)
    report.end("estimate")


def compare(report: Report, work: Work, options: Options) -> None:
    """Estimate one plate and run it, some rounds."""
    rounds = []
    with scratch() as folder:
        plate = work.plate(folder, options)
        say_plate(report, plate, options)
        for _ in range(options.rounds):
            with scratch() as round_folder:
                rounds.append(_round(plate, round_folder, options.slots))
            _say(report, rounds[-1])
    off = [abs(result.wall_off) for result in rounds]
    cpu = [abs(result.cpu_off) for result in rounds]
    memory = [abs(result.memory_off) for result in rounds]
    report.say(
        f"wall time off by {statistics.median(off):.0%} in the median, "
        f"{max(off):.0%} at the most; CPU by {max(cpu):.0%}, memory by "
        f"{max(memory):.0%} at the most; "
        f"{sum(result.held for result in rounds)} of {len(rounds)} in the interval"
    )


def _round(plate: Plate, folder: Path, slots: int) -> Round:
    outputs = folder / "outputs"
    outputs.mkdir()
    write_project(folder, str(plate.folder), str(outputs))
    project = Project.load(folder)
    cellprofiler = project.cellprofiler()
    steps = Steps(project, [STEP], Part(), cellprofiler.version)
    watch = views(Console(stderr=True))
    begun = time.monotonic()
    todo = steps.plan(STEP)
    piloted = run_pilot(steps, todo, PILOT, cellprofiler, slots, watch)
    pilot_s = time.monotonic() - begun
    found = estimate(steps, Where(workers=slots), {STEP: piloted.outcomes})
    (known,) = found.known
    return _run(folder, slots, known, pilot_s)


def _run(folder: Path, slots: int, known: Known, pilot_s: float) -> Round:
    """Run what is left by a command of its own."""
    command = [sys.executable, "-m", "cpengine", "run", STEP, "-C", str(folder)]
    command += ["--workers", str(slots), "--json"]
    project = Project.load(folder)
    ledger = project.ledger(project.step(STEP))
    before = set(_done(project))
    begun = time.monotonic()
    output = subprocess.check_output(command, stderr=subprocess.DEVNULL)
    command_s = time.monotonic() - begun
    (result,) = json.loads(output)
    outcomes = ledger.outcomes(set(_done(project)) - before)
    assert len(outcomes) == result["done"] > 0
    cpu_s = sum(outcome.cpu_s for outcome in outcomes)
    peak = max(outcome.peak_memory for outcome in outcomes)
    return Round(known, pilot_s, result["wall_s"], command_s, cpu_s, peak)


def _done(project: Project) -> list[str]:
    markers = project.ledger(project.step(STEP)).markers().values()
    return [
        name for names in markers for name in names if name.endswith(MarkerState.DONE)
    ]


def _say(report: Report, result: Round) -> None:
    known, wall = result.known, result.known.wall_s
    estimated, was = known.fit.peak_max / GB, result.peak / GB
    report.say(
        f"pilot of {PILOT} {result.pilot_s:.1f} s; the rest: said {wall.typical:.1f} s "
        f"({wall.low:.1f} to {wall.high:.1f}), took {result.step_s:.1f} s "
        f"(the command {result.command_s:.1f} s): {result.wall_off:+.0%}; "
        f"CPU said {known.cpu_s:.1f} s, was {result.cpu_s:.1f} s: "
        f"{result.cpu_off:+.0%}; "
        f"memory said {estimated:.2f} GB, was {was:.2f} GB: {result.memory_off:+.0%}"
    )


if __name__ == "__main__":
    main()
