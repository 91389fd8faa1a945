"""What the benchmarks share: options, the header, rounds, and the check for cheating.

A side is a function that runs one way of doing the work in a fresh folder and gives
what came of it (`Ran`). `in_turn` runs all sides, turn and turn about, and compares
the files that they made.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import psutil

REPOSITORY = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
# They hold times and places, so they differ from run to run; all others must not.
CHANGING = ("Image.csv", "Experiment.csv")

_MODULE = re.compile(r"Image # (\d+), module .*Wall_time = ([\d.]+) secs")


# --- options and output --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line of a benchmark says."""

    short: bool
    save: bool
    slots: int
    groups: int | None
    rounds: int

    @classmethod
    def read(cls, what: str | None, *, rounds: int = 3) -> "Options":
        """Read the command line; `rounds` is how many there are by default."""
        parser = argparse.ArgumentParser(
            description=what, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add = parser.add_argument
        add("--short", action="store_true", help="few groups, one round")
        add("--save", action="store_true", help="keep the output in benchmarks/results")
        add("--slots", type=int, default=os.cpu_count() or 1, help="default: cores")
        add("--groups", type=int, help="how many groups the plate has, about")
        add("--rounds", type=int, help=f"default: {rounds}, with --short 1")
        given = parser.parse_args()
        given.rounds = given.rounds or (1 if given.short else rounds)
        return cls(**vars(given))


class Report:
    """Prints lines; keeps them, too, so that they can be saved when all is done."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lines: list[str] = []
        for line in header(cellprofiler=True):
            self.say(line)
        if options.short:
            self.say("form       short: the numbers are only an indication")

    def say(self, line: str = "") -> None:
        print(line, flush=True)
        self._lines.append(line)

    def end(self, name: str) -> None:
        if self._options.save:
            text = "\n".join([*self._lines, ""])
            (RESULTS / f"{name}.txt").write_text(text, encoding="utf-8")


def header(*, cellprofiler: bool = False) -> list[str]:
    """Lines that say when, on what code and on what machine this was measured."""
    memory = psutil.virtual_memory().total / 1e9
    versions = [f"Python {platform.python_version()}"]
    if cellprofiler:
        found = cellprofiler_found()
        versions += [f"CellProfiler {found['version']}", f"Java {_java(found['env'])}"]
    return [
        f"date       {datetime.now(UTC):%Y-%m-%d}, commit {_commit()}",
        f"machine    {os.cpu_count()} cores ({_cpu_model()}), {memory:.0f} GB, "
        f"load {os.getloadavg()[0]:.1f} before the start",
        f"versions   {', '.join(versions)}",
    ]


@cache
def cellprofiler_found() -> dict[str, Any]:
    """The CellProfiler that cpengine uses, so that every side runs the same one."""
    command = [sys.executable, "-m", "cpengine", "cellprofiler", "show", "--json"]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD").stdout.strip()
    changed = _git("diff", "--quiet", "HEAD", "--", "src").returncode
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def _cpu_model() -> str:
    named = re.search(
        r"^model name\s*: *(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
    )
    return named[1] if named else platform.machine()


def _java(env: Mapping[str, str]) -> str:
    home = env.get("JAVA_HOME") or os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else "java"
    text = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    named = re.search(r'"([^"]+)"', text)
    return named[1] if named else "unknown"


# --- sides ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one side in one round."""

    seconds: float
    files: dict[str, str]
    """What stands for the content of each file, by its path below the results."""
    modules: list[float]
    """Seconds of all modules together, of each image set, as CellProfiler says."""

    @classmethod
    def read(cls, seconds: float, results: Path, logs: Path) -> "Ran":
        """Read what a side left behind: a folder a group, and a log a group."""
        files = {
            path.relative_to(results).as_posix(): _content(path)
            for path in sorted(results.rglob("*"))
            if path.is_file()
        }
        modules = [s for log in sorted(logs.glob("*.log")) for s in module_seconds(log)]
        return cls(seconds, files, modules)


Side: TypeAlias = Callable[[Path], Ran]


def module_seconds(log: Path) -> list[float]:
    """What the modules took for each image set in one of CellProfiler's logs."""
    seconds: dict[str, float] = {}
    for image, wall in _MODULE.findall(log.read_text(errors="replace")):
        seconds[image] = seconds.get(image, 0.0) + float(wall)
    return list(seconds.values())


def _content(path: Path) -> str:
    data = path.read_bytes()
    if path.name in CHANGING:
        return "something" if data else "nothing"
    return hashlib.sha256(data).hexdigest()


def in_turn(sides: Mapping[str, Side], rounds: int) -> dict[str, list[Ran]]:
    """Run each side once a round, each in a folder of its own that is then removed.

    Every second round goes backwards, so that a machine that grows slower or faster
    does not favour a side.
    """
    ran: dict[str, list[Ran]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            with scratch() as folder:
                ran[name].append(sides[name](folder))
    _check_same(ran)
    return ran


def _check_same(ran: Mapping[str, Sequence[Ran]]) -> None:
    """End the benchmark if a side did not make the files of the first one."""
    (first, (expected, *_)), *_ = ran.items()
    if not expected.files:
        sys.exit(f"{first}: made no files")
    for name, rounds in ran.items():
        for result in rounds:
            differing = expected.files.items() ^ result.files.items()
            if differing:
                paths = sorted({path for path, _ in differing})
                sys.exit(f"{name}: {len(paths)} files differ from {first}: {paths[:4]}")


def median(rounds: Sequence[Ran]) -> float:
    return statistics.median(result.seconds for result in rounds)


def say_sides(
    report: Report, ran: Mapping[str, Sequence[Ran]], groups: int, ours: str
) -> None:
    """A table with a line a side, and how much faster or slower ours is than each."""
    width = max(map(len, ran)) + 2
    report.say(f"{'':<{width}}{'median':>10}{'from':>9}{'to':>9}{'a group':>11}")
    for name, rounds in ran.items():
        seconds = sorted(result.seconds for result in rounds)
        middle = median(rounds)
        report.say(
            f"{name:<{width}}{middle:>8.1f} s{seconds[0]:>9.1f}{seconds[-1]:>9.1f}"
            f"{middle / groups:>9.2f} s"
        )
    for name in ran:
        if name != ours:
            ratio = median(ran[name]) / median(ran[ours])
            report.say(f"ratio {name} / {ours}: {ratio:.2f}")


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
