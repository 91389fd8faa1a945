"""Accelerated modules against CellProfiler's own: CPU seconds a group, byte for byte.

Each pipeline runs in two warm CellProfilers, turn and turn about: one as it is, one
with the accelerations of `cellprofiler/exact`. All files must be the same. Pipelines
are public ones that you have collected (none are in the repository), or those of the
demo; images are drawn with fixed seeds. Of pipelines that group by site the first site
and the last are run, which has no cells; of others, the first group.

    .venv/bin/python -m benchmarks.exact [PIPELINE ...] [--sizes 540 1080] [--rounds 5]
        [--wells 2] [--sites 2] [--modules 12] [--only NAME ...] [--save NAME]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import Any

from benchmarks.common import RESULTS, header
from benchmarks.public_inputs import PLATE, Fields, Made, make
from benchmarks.public_runs import contents
from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.command import ModuleLine, run_command, run_environment
from cpengine.cellprofiler.exact import NAMES
from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.cellprofiler.pool import Host, Hosts, Request
from cpengine.demo import make as demo
from cpengine.demo.synthetic_plate import wells_of
from cpengine.system.process import Limits

PROBE = Path(__file__).with_name("public_probe.py")
DEMO = Path(demo.__file__).with_name("pipelines")


@dataclass
class Times:
    """CPU seconds of one way's rounds."""

    total: list[float] = field(default_factory=list)
    modules: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def all_modules(self) -> float:
        """The sum of the modules' medians."""
        return sum(statistics.median(s) for s in self.modules.values())


@dataclass
class Way:
    """A warm CellProfiler, and which accelerations it uses."""

    host: Host
    exact: Sequence[str]
    times: Times = field(default_factory=Times)

    def run(self, made: Made, group: Mapping[str, str]) -> dict[str, str]:
        """Run a group once; give what stands for the content of each file."""
        folder = made.folder / "run"  # one place for both: files hold its name
        output, seconds = folder / "output", defaultdict[str, float](float)
        for name in ("output", "temp"):
            (folder / name).mkdir(parents=True)

        def follow(line: ModuleLine) -> None:
            seconds[f"{line.module_num} {line.module}"] += line.cpu_s

        ended = self.host.run(
            self._request(made, group, folder),
            follow=follow,
            cancelled=Flag(),
            limits=Limits(),
        )
        if failed := self.host.accelerations.failed:
            raise SystemExit(f"failed: {failed}\n{(folder / 'log').read_text()}")
        if ended.code or ended.error:
            print(f"  CellProfiler failed: {ended.error}")
        self.times.total.append(ended.cpu_s)
        for name, spent in seconds.items():
            self.times.modules[name].append(spent)
        found = contents(output)
        subprocess.run(["rm", "-r", str(folder)], check=True)
        return found

    def _request(self, made: Made, group: Mapping[str, str], folder: Path) -> Request:
        _, *argv = run_command(
            [""],
            pipeline=made.pipeline,
            input=made.input,
            output=folder / "output",
            done_file=folder / "done",
            data_file=made.table,
            group=group,
            temp=folder / "temp",
        )
        log = str(folder / "log")
        environ = {"TMPDIR": str(folder / "temp")}
        return Request(argv, str(folder), log, environ, {}, self.exact)


def main() -> None:
    """Measure each pipeline and print a table of its modules."""
    options = _options()
    lines = header(cellprofiler=True)
    build_kernels.build()
    cellprofiler = find()
    for line in lines:
        print(line)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            fields = _fields(options, size)
            todo = inputs(cellprofiler, Path(folder), options.pipelines, fields)
            hosts = Hosts(cellprofiler, Path(folder))
            for made, name in todo:
                for line in measure(hosts, made, f"{name}, {size} px", options):
                    print(line, flush=True)
                    lines.append(line)
            hosts.close()
    if options.save:
        text = "\n".join([*lines, ""])
        (RESULTS / f"{options.save}.txt").write_text(text, encoding="utf-8")
    sys.exit(any("DIFFERENT" in line for line in lines))


def _fields(options: argparse.Namespace, size: int) -> Fields:
    wells = wells_of(options.wells)
    return Fields(size, wells, options.sites, last_empty=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("pipelines", nargs="*", type=Path, help="default: those of the demo")
    add("--sizes", type=int, nargs="+", default=[540], help="pixels along a side")
    add("--rounds", type=int, default=5)
    add("--wells", type=int, default=2, help="of the plate")
    add("--sites", type=int, default=2, help="of each well")
    add("--modules", type=int, default=12, help="how many modules are shown")
    add("--only", nargs="*", default=NAMES, help="the accelerations; default: all")
    add("--save", help="keep the output in benchmarks/results under this name")
    options = parser.parse_args()
    options.pipelines = options.pipelines or [
        DEMO / f"{step}.cppipe" for step in ("illum", "qc", "assaydev", "analysis")
    ]
    return options


def inputs(
    cellprofiler: CellProfiler, folder: Path, pipelines: Sequence[Path], fields: Fields
) -> list[tuple[Made, str]]:
    """A small project for each pipeline, and its name."""
    paths = [path.resolve() for path in pipelines]
    answers = _ask(cellprofiler, paths, folder)
    images = folder / "images"
    return [
        (make(folder / str(n), path, asks, images, fields), path.stem)
        for n, (path, asks) in enumerate(zip(paths, answers, strict=True))
    ]


def _ask(
    cellprofiler: CellProfiler, paths: Sequence[Path], folder: Path
) -> list[dict[str, Any]]:
    """What each pipeline wants of a table."""
    asked = subprocess.run(
        [str(cellprofiler.python), str(PROBE), "asks"],
        input="".join(json.dumps(str(path)) + "\n" for path in paths),
        env=run_environment(cellprofiler.env, folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in asked.stdout.splitlines()]


def measure(
    hosts: Hosts, made: Made, name: str, options: argparse.Namespace
) -> Iterator[str]:
    """Run one pipeline both ways; describe what each took."""
    yield f"\n{name}"
    groups = made.groups[:: len(made.groups) - 1] if made.groups[1:] else made.groups
    with hosts.lend(None, Flag()) as first, hosts.lend(None, Flag()) as second:
        for group in groups:
            plain, exact = Way(first, ()), Way(second, options.only)
            different = _in_turn(plain, exact, made, group, options.rounds)
            files = f"DIFFERENT: {sorted(different)}" if different else "the same files"
            yield f"{'-'.join(group.values()) or 'all'}: {files}"
            yield from _table(plain.times, exact.times, options.modules)
    yield from _off(second.accelerations.off)


def _in_turn(
    plain: Way, exact: Way, made: Made, group: Mapping[str, str], rounds: int
) -> set[str]:
    """Run a group both ways; give names of files that differed."""
    different: set[str] = set()
    group = group or {"Metadata_Plate": PLATE}
    for number in range(rounds + 1):
        if number == 1:  # the first round warms up
            plain.times, exact.times = Times(), Times()
        a, b = plain.run(made, group), exact.run(made, group)
        different |= {name for name in {*a, *b} if a.get(name) != b.get(name)}
    return different


def _off(off: Mapping[str, str]) -> list[str]:
    return [f"  off: {name}: {why}" for name, why in off.items()]


def _table(plain: Times, exact: Times, modules: int) -> list[str]:
    rows = [
        ("whole run", statistics.median(plain.total), statistics.median(exact.total)),
        ("all modules", plain.all_modules(), exact.all_modules()),
    ]
    each = [
        (module, statistics.median(s), statistics.median(exact.modules[module]))
        for module, s in plain.modules.items()
    ]
    each.sort(key=lambda row: -max(row[1:]))
    rows += each[:modules]
    return [
        f"  {name:42} {a:8.2f} s {b:8.2f} s {a / b if b else float('inf'):6.1f} x"
        for name, a, b in rows
    ]


if __name__ == "__main__":
    main()
