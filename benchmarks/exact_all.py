"""Accelerated modules give the bytes of plain ones, whatever process, threads, kernel.

Each pipeline runs some groups in two warm CellProfilers, plain and accelerated, under
one setting after the other: three processes as the machine is, then two BLAS threads,
then BLAS kernels of other processors. Both ways have the same setting, and all files
must be the same but for measured times. Pipelines are public ones that you have
collected (none are in the repository); those of the tests, on images of all kinds, are
always among them.

    .venv/bin/python -m benchmarks.exact_all [PIPELINE ...] [--size 300] [--groups 2]
        [--kernels Haswell Nehalem ...] [--save]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import NamedTuple

from benchmarks.common import RESULTS, header
from benchmarks.exact import Way, inputs
from benchmarks.public_inputs import Fields, Made
from cpengine.cellprofiler import build_kernels, command
from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.exact import NAMES
from cpengine.cellprofiler.find import CellProfiler, find
from cpengine.cellprofiler.pool import Hosts
from tests.exact import proof

WRITE = Path(proof.__file__).with_name("write_pipelines.py")
KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX")
PROCESSES = 3


class Setting(NamedTuple):
    """What numbers may depend on; no kernel is the one that OpenBLAS chooses."""

    threads: int = 1
    kernel: str = ""

    @contextmanager
    def environ(self) -> Iterator[None]:
        """Have it in the environment of what is started."""
        named = dict.fromkeys(command.THREADS, str(self.threads))
        if self.kernel:
            named["OPENBLAS_CORETYPE"] = self.kernel
        before, threads = dict(os.environ), command.THREADS
        os.environ.update(named)
        command.THREADS = ()  # what runs have always set to one
        try:
            yield
        finally:
            command.THREADS = threads
            os.environ.clear()
            os.environ.update(before)


def main() -> None:
    """Run everything; exit code 1 if any file differed."""
    options = _options()
    settings = [Setting()] * PROCESSES
    settings += [Setting(2), *(Setting(kernel=name) for name in options.kernels)]
    lines = [*header(cellprofiler=True), f"images     {options.size} px a side"]
    build_kernels.build()
    cellprofiler, different = find(), 0
    with tempfile.TemporaryDirectory() as folder:
        todo = [
            *inputs(
                cellprofiler, Path(folder), options.pipelines, Fields(options.size)
            ),
            *_of_the_tests(cellprofiler, Path(folder)),
        ]
        for line in lines:
            print(line)
        for setting in settings:
            with setting.environ():
                hosts = Hosts(cellprofiler, Path(folder))
                for line in _compared(hosts, setting, todo, options.groups):
                    print(line, flush=True)
                    different += "DIFFERENT" in line
                    lines.append(line)
                hosts.close()
    lines.append(f"\n{different} of {len(todo) * len(settings)} differed")
    print(lines[-1])
    if options.save:
        (RESULTS / "exact_all.txt").write_text("\n".join([*lines, ""]))
    sys.exit(1 if different else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("pipelines", nargs="*", type=Path)
    add("--size", type=int, default=300, help="pixels along an image's side")
    add("--groups", type=int, default=2, help="how many groups of each are run")
    add("--kernels", nargs="*", default=KERNELS, help="of OpenBLAS")
    add("--save", action="store_true", help="keep the output in benchmarks/results")
    return parser.parse_args()


def _of_the_tests(
    cellprofiler: CellProfiler, folder: Path
) -> Iterator[tuple[Made, str]]:
    """The pipelines of `tests/exact/proof.py`, on images of all kinds."""
    images = folder / "proof"
    images.mkdir()
    table = proof.write_table(images)
    groups = tuple({"Metadata_Case": name} for name in proof.IMAGES)
    asked = [
        {"path": str(folder / f"{name}.cppipe"), "modules": modules}
        for name, modules in proof.PIPELINES.items()
    ]
    subprocess.run(
        [str(cellprofiler.python), str(WRITE)],
        input="".join(f"{json.dumps(pipeline)}\n" for pipeline in asked),
        env=run_environment(cellprofiler.env, folder),
        text=True,
        check=True,
        stdout=sys.stderr,
    )
    for name in proof.PIPELINES:
        place, pipeline = folder / f"run-{name}", folder / f"{name}.cppipe"
        made = Made(place, pipeline, table, images, place / "results", groups)
        yield made, f"tests: {name}"


def _compared(
    hosts: Hosts, setting: Setting, todo: Sequence[tuple[Made, str]], groups: int
) -> Iterator[str]:
    with hosts.lend(None, Flag()) as first, hosts.lend(None, Flag()) as second:
        plain, exact = Way(first, ()), Way(second, NAMES)
        of = second.accelerations.processor
        yield f"\n{of['blas_kernel']}, {of['blas_threads']} threads ({setting})"
        yield from (f"  off: {n}: {why}" for n, why in second.accelerations.off.items())
        for made, name in todo:
            whole = made.groups if name.startswith("tests: ") else made.groups[:groups]
            yield f"  {name:60} {_compare(plain, exact, made, whole)}"


def _compare(
    plain: Way, exact: Way, made: Made, groups: Sequence[Mapping[str, str]]
) -> str:
    files, different = 0, set()
    for group in (g or {"Metadata_Plate": "P1"} for g in groups):
        a, b = plain.run(made, group), exact.run(made, group)
        files += len(a)
        different |= {name for name in {*a, *b} if a.get(name) != b.get(name)}
    if different:
        return f"DIFFERENT: {', '.join(sorted(different))}"
    if not files:
        return "CellProfiler fails, either way"
    return f"{len(groups)} groups, {files} files, all the same"


if __name__ == "__main__":
    main()
