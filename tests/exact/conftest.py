"""A bench in CellProfiler's own Python that runs modules plain and accelerated."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cpengine.cellprofiler.build_kernels import build
from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import PROGRAM

EXACT = PROGRAM.with_name("exact")


@dataclass
class Bench:
    """Asks for cases; see `bench.py`."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def answer(self, case: dict[str, Any]) -> dict[str, Any]:
        """Run a case both ways."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(case), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the bench has ended: a crash"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def check(self, **case: Any) -> dict[str, Any]:
        """Run a case both ways; all bytes must be the same."""
        answer = self.answer(case)
        assert answer["different"] == [], json.dumps(case)
        return answer


@contextmanager
def opened_bench(
    cellprofiler: CellProfiler, folder: Path, program: str, *arguments: str
) -> Iterator[Bench]:
    """A program beside this file that answers cases in CellProfiler's own Python."""
    process = subprocess.Popen(
        [
            *(str(cellprofiler.python), str(Path(__file__).with_name(program))),
            *(str(EXACT), *arguments),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=run_environment(cellprofiler.env, folder, os.environ),
        cwd=folder,
    )
    assert process.stdout
    with process:
        yield Bench(process, json.loads(process.stdout.readline()))
        process.kill()


@pytest.fixture(scope="session")
def bench(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    kernels = build()
    arguments = str(kernels.path), kernels.sha256
    with opened_bench(cellprofiler, folder, "bench.py", *arguments) as opened:
        yield opened


@pytest.fixture(scope="session")
def pipelines(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """Runs whole pipelines; see `pipelines.py`."""
    folder = tmp_path_factory.mktemp("pipelines")
    with opened_bench(cellprofiler, folder, "pipelines.py") as opened:
        yield opened
