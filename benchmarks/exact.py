"""Accelerated modules against CellProfiler's own: CPU seconds a group, byte for byte.

Each pipeline runs group after group in two warm CellProfilers, turn and turn about: one
as it is, one with the accelerations of `cellprofiler/exact`. All files must be the
same. Pipelines are public ones that you have collected (none are in the repository), or
those of the demo; images are drawn with fixed seeds.

    .venv/bin/python -m benchmarks.exact [PIPELINE ...] [--size 540] [--rounds 5]
        [--groups 1] [--modules 12] [--only NAME ...] [--save NAME]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import Any

from benchmarks.common import RESULTS, header
from benchmarks.public_inputs import Made, make
from benchmarks.public_runs import contents
from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.command import ModuleLine, run_command, run_environment
from cpengine.cellprofiler.exact import NAMES
from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.cellprofiler.pool import Host, Hosts, Request
from cpengine.demo import make as demo
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
    lines = [*header(cellprofiler=True), f"images     {options.size} px a side"]
    build_kernels.build()
    cellprofiler = find()
    with tempfile.TemporaryDirectory() as folder:
        hosts = Hosts(cellprofiler, Path(folder))
        for line in lines:
            print(line)
        paths, size = options.pipelines, options.size
        for made, name in inputs(cellprofiler, Path(folder), paths, size):
            for line in measure(hosts, made, name, options):
                print(line, flush=True)
                lines.append(line)
        hosts.close()
    if options.save:
        text = "\n".join([*lines, ""])
        (RESULTS / f"{options.save}.txt").write_text(text, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("pipelines", nargs="*", type=Path, help="default: those of the demo")
    add("--size", type=int, default=540, help="pixels along an image's side")
    add("--rounds", type=int, default=5)
    add("--groups", type=int, default=1, help="how many groups are run")
    add("--modules", type=int, default=12, help="how many modules are shown")
    add("--only", nargs="*", default=NAMES, help="the accelerations; default: all")
    add("--save", help="keep the output in benchmarks/results under this name")
    options = parser.parse_args()
    options.pipelines = options.pipelines or [
        DEMO / f"{step}.cppipe" for step in ("illum", "qc", "assaydev", "analysis")
    ]
    return options


def inputs(
    cellprofiler: CellProfiler, folder: Path, pipelines: Sequence[Path], size: int
) -> list[tuple[Made, str]]:
    """A small project for each pipeline, and its name."""
    paths = [path.resolve() for path in pipelines]
    answers = _ask(cellprofiler, paths, folder)
    images = folder / "images"
    return [
        (make(folder / str(n), path, asks, images, size), path.stem)
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
) -> list[str]:
    """Run one pipeline both ways; describe what each took."""
    groups = [g or {"Metadata_Plate": "P1"} for g in made.groups[: options.groups]]
    different: set[str] = set()
    with hosts.lend(None, Flag()) as first, hosts.lend(None, Flag()) as second:
        plain, exact = Way(first, ()), Way(second, options.only)
        for group in groups:
            for _ in range(options.rounds + 1):
                a, b = plain.run(made, group), exact.run(made, group)
                different |= {n for n in {*a, *b} if a.get(n) != b.get(n)}
            for way in (plain, exact):  # the first round warms up
                way.times.total = way.times.total[1:]
                way.times.modules.update(
                    {module: s[1:] for module, s in way.times.modules.items()}
                )
    off = second.accelerations.off
    files = f"{len(a)} files" if not different else f"DIFFERENT: {sorted(different)}"
    return [
        f"\n{name}: {files}",
        *_table(plain.times, exact.times, options),
        *_off(off),
    ]


def _off(off: Mapping[str, str]) -> list[str]:
    return [f"  off: {name}: {why}" for name, why in off.items()]


def _table(plain: Times, exact: Times, options: argparse.Namespace) -> list[str]:
    rows = [
        ("whole run", statistics.median(plain.total), statistics.median(exact.total)),
        ("all modules", plain.all_modules(), exact.all_modules()),
    ]
    each = [
        (module, statistics.median(s), statistics.median(exact.modules[module]))
        for module, s in plain.modules.items()
    ]
    each.sort(key=lambda row: -max(row[1:]))
    rows += each[: options.modules]
    return [
        f"  {name:42} {a:8.2f} s {b:8.2f} s {a / b if b else float('inf'):6.1f} x"
        for name, a, b in rows
    ]


if __name__ == "__main__":
    main()
