r"""Public pipelines: what plain CellProfiler takes, `cpengine check` must take, too.

For each `.cppipe` in a folder a table and images are made from what the pipeline asks
for. It is valid if plain CellProfiler loads it and `prepare_run` goes through on that
table. Then cpengine checks it; and of the valid ones some, drawn at random, are run on
one group by the plain command and by `cpengine run`, and all their files are compared.

    .venv/bin/python -m benchmarks.public_pipelines FOLDER [--run N] [--seed S] \
        [--prove] [--json FILE] [--work FOLDER] [--slots N]

Pipelines are counted by the first part of their place below FOLDER, up to a `+`.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.common import header
from benchmarks.public_inputs import STEP, Made, make
from benchmarks.public_runs import differences, engine, plain
from cpengine.cellprofiler import find
from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.errors import CpengineError
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.rules import Finding, Severity
from cpengine.run.session import Steps

PROBE = Path(__file__).with_name("public_probe.py")
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Tried:
    """One pipeline, and all that was seen of it."""

    path: Path
    name: str
    """Its place below the folder."""
    group: str
    asks: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Why plain CellProfiler does not take it: its own error, mostly a traceback."""
    findings: tuple[Finding, ...] = ()
    run: dict[str, Any] | None = None
    """How the runs went, if it was run."""

    @property
    def load_data(self) -> bool:
        return bool(self.asks["load_data"])

    @property
    def grouped(self) -> bool:
        """Whether its LoadData makes groups, without which there is no `-g`."""
        return bool(self.asks["group"])

    @property
    def valid(self) -> bool:
        return self.load_data and self.error is None

    @property
    def refusals(self) -> list[Finding]:
        return [f for f in self.findings if f.severity is Severity.ERROR]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "group": self.group,
            "load_data": self.load_data,
            "valid": self.valid,
            "error": self.error,
            "asks": self.asks,
            "findings": [finding.to_json() for finding in self.findings],
            "run": self.run,
        }


def main() -> None:
    """Try all, and print what came of it."""
    options = _options()
    for line in header(cellprofiler=True):
        print(line)
    tried = _collected(options.folder)
    cellprofiler = find.find()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work = options.work or Path(name)
        made = _make_all(cellprofiler, tried, work)
        _each(options.slots, lambda p: _check(p, made[p.name], cellprofiler), tried)
        _say_checks(tried)
        drawn = _draw(tried, options)
        print(f"\n{len(drawn)} to run, drawn with seed {options.seed}", flush=True)
        _each(options.slots, lambda p: _run(p, made[p.name], cellprofiler), drawn)
        _say_runs(tried)
        _say_refused(tried)
    if options.json:
        data = [p.to_json() for p in tried]
        options.json.write_text(json.dumps(data, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=Path, help="a folder with .cppipe files, in any depth")
    add("--run", type=int, default=0, help="how many valid ones to run")
    add("--seed", type=int, default=1, help="of the draw")
    add("--prove", action="store_true", help="run valid ones that are refused, too")
    add("--json", type=Path, help="a file for all that was seen")
    add("--work", type=Path, help="a folder for projects and results, to be kept")
    add("--slots", type=int, default=os.cpu_count() or 1, help="default: cores")
    return parser.parse_args()


def _collected(folder: Path) -> list[Tried]:
    """The pipelines of a folder, each content once."""
    found: dict[str, Tried] = {}
    for path in sorted(folder.rglob("*.cppipe")):
        place = path.relative_to(folder)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        group = place.parts[0].partition("+")[0]
        found.setdefault(digest, Tried(path, place.as_posix(), group))
    return list(found.values())


def _each(slots: int, do: Callable[[T], R], things: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(slots) as pool:
        return list(pool.map(do, things))


# --- plain CellProfiler --------------------------------------------------------------


def _make_all(
    cellprofiler: CellProfiler, tried: Sequence[Tried], work: Path
) -> dict[str, Made]:
    """Make each its project, and ask plain CellProfiler whether it takes it."""
    answers = _probe(cellprofiler, "asks", [str(p.path) for p in tried])
    made = {}
    for number, (pipeline, asks) in enumerate(zip(tried, answers, strict=True)):
        pipeline.asks = asks
        place = work / f"{number:03}"
        made[pipeline.name] = make(place, pipeline.path, asks, work / "images")
    tables = [
        {"pipeline": str(m.pipeline), "table": str(m.table), "input": str(m.input)}
        for m in made.values()
    ]
    answers = _probe(cellprofiler, "passes", tables)
    for pipeline, answer in zip(tried, answers, strict=True):
        pipeline.error = answer["error"]
    return made


def _probe(cellprofiler: CellProfiler, verb: str, asked: Sequence[Any]) -> list[Any]:
    """Ask about all in one process of CellProfiler's own Python."""
    with tempfile.TemporaryDirectory() as name:
        environ = run_environment(cellprofiler.env, Path(name), os.environ)
        ran = subprocess.run(
            [str(cellprofiler.python), str(PROBE), verb],
            env={**environ, "PYTHONHASHSEED": "0"},
            input="".join(json.dumps(each) + "\n" for each in asked),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    if len(answers) != len(asked):
        sys.exit(f"CellProfiler ended ({ran.returncode}) at {asked[len(answers)]}")
    return answers


# --- cpengine ------------------------------------------------------------------------


def _check(pipeline: Tried, made: Made, cellprofiler: CellProfiler) -> None:
    version = cellprofiler.version
    try:
        project = Project.load(made.folder)
        steps = Steps(project, [STEP], Part(), version, program=cellprofiler)
        (checked,) = steps.checked()
        pipeline.findings = checked.findings
    except CpengineError as error:
        pipeline.findings = tuple(error.findings)


def _draw(tried: Sequence[Tried], options: argparse.Namespace) -> list[Tried]:
    """Those that are run: drawn at random, and those that shall be proved."""
    valid = [p for p in tried if p.valid]
    count = min(options.run, len(valid))
    drawn = random.Random(options.seed).sample(valid, count)
    if options.prove:
        drawn += [p for p in valid if p.refusals and p not in drawn]
    return drawn


def _run(pipeline: Tried, made: Made, cellprofiler: CellProfiler) -> None:
    """Run it both ways on one group, which its name draws."""
    group = random.Random(pipeline.name).choice(made.groups)
    theirs = plain(cellprofiler, made, group)
    ours = engine(made, group, unchecked=bool(pipeline.refusals))
    pipeline.run = {
        "of": group,
        "plain": theirs.error or "done",
        "cpengine": ours.error or "done",
        "files": len(theirs.files),
        "differences": differences(ours, theirs),
    }
    both = "; ".join(pipeline.run["differences"]) or "equal"
    print(f"  {pipeline.name}: {pipeline.run['plain'][:90]}: {both}", flush=True)


# --- what is printed -----------------------------------------------------------------


def _say_checks(tried: Sequence[Tried]) -> None:
    _say_counts(tried)
    refused = [p for p in tried if p.valid and p.refusals]
    _say_findings("refused although valid", refused)
    passed = [p for p in tried if p.load_data and p.error and not p.refusals]
    print(f"\nnot refused although invalid: {len(passed)}")
    for pipeline in passed:
        print(f"  {pipeline.name}: {_last(pipeline.error)}")
    others = [p for p in tried if not p.load_data and not _only_load_data(p)]
    _say_findings("without LoadData, and more is said than that", others)
    warned = Counter(
        finding.rule.name
        for pipeline in tried
        for finding in _first_of_rules(pipeline.findings if pipeline.valid else ())
        if finding.severity is Severity.WARNING
    )
    print("\nwarnings for valid pipelines, by rule")
    for rule, count in warned.most_common():
        print(f"  {count:4} {rule}")
    print("\nwhy invalid ones are refused, beside plain CellProfiler's own error")
    for pipeline in tried:
        if pipeline.load_data and pipeline.error and pipeline.refusals:
            print(f"  {pipeline.name}\n    plain: {_last(pipeline.error)}")
            for finding in _first_of_rules(pipeline.refusals):
                print(f"    {finding.rule.name}: {finding.cause}")


def _say_counts(tried: Sequence[Tried]) -> None:
    groups = defaultdict(list)
    for pipeline in tried:
        groups[pipeline.group].append(pipeline)
    head = ("files", "no LoadData", "invalid", "valid", "no groups", "refused")
    print(f"\n{'':24}" + "".join(f"{name:>12}" for name in head))
    for name, pipelines in [*groups.items(), ("all", list(tried))]:
        valid = [p for p in pipelines if p.valid]
        counts = (
            len(pipelines),
            sum(not p.load_data for p in pipelines),
            sum(p.load_data and p.error is not None for p in pipelines),
            len(valid),
            sum(not p.grouped for p in valid),
            sum(bool(p.refusals) for p in valid),
        )
        print(f"{name:24}" + "".join(f"{count:12}" for count in counts))


def _say_findings(what: str, pipelines: Sequence[Tried]) -> None:
    """How many pipelines each rule refuses, and what is said of each first."""
    print(f"\n{what}: {len(pipelines)}")
    rules: dict[str, list[str]] = defaultdict(list)
    for pipeline in pipelines:
        for finding in _first_of_rules(pipeline.refusals or pipeline.findings):
            rules[finding.rule.name].append(f"{pipeline.name}: {finding.cause}")
    for rule, lines in sorted(rules.items(), key=lambda item: -len(item[1])):
        print(f"  {rule}: {len(lines)}")
        for line in lines:
            print(f"    {line}")


def _first_of_rules(findings: Sequence[Finding]) -> Iterable[Finding]:
    return {finding.rule: finding for finding in reversed(findings)}.values()


def _only_load_data(pipeline: Tried) -> bool:
    """Whether all that is said is that it has no LoadData."""
    return [finding.rule.name for finding in pipeline.findings] == ["loaddata-missing"]


def _say_runs(tried: Sequence[Tried]) -> None:
    ran = [p.run for p in tried if p.run]
    both = [run for run in ran if not run["differences"]]
    done = [run for run in both if run["plain"] == "done"]
    print(
        f"{len(ran)} run: {len(done)} with equal files "
        f"({sum(run['files'] for run in done)}), {len(both) - len(done)} that fail "
        f"both ways, {len(ran) - len(both)} that differ"
    )


def _say_refused(tried: Sequence[Tried]) -> None:
    """What plain CellProfiler made of those that it takes and cpengine refuses."""
    print("\nrefused, and run nevertheless")
    for pipeline in tried:
        if pipeline.run and pipeline.refusals:
            print(f"  {pipeline.name}\n    plain: {pipeline.run['plain']}")
            for finding in _first_of_rules(pipeline.refusals):
                print(f"    {finding.rule.name}: {finding.cause}")


def _last(error: str | None) -> str:
    return (error or "").splitlines()[-1]


if __name__ == "__main__":
    main()
