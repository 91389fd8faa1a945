"""Run a case: by plain CellProfiler, and by cpengine as `check` and `run` do it."""

import json
import os
import subprocess
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from typer.testing import CliRunner

from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Hosts
from cpengine.cli import app
from cpengine.executors.local import LocalExecutor
from cpengine.job.run_job import versions
from cpengine.model import Job
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.progress import views
from cpengine.run.session import Backend, StepResult, Steps
from tests.door.cases import Built

SERVER = Path(__file__).with_name("plain_server.py")
STEP = "analysis"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a plain run came to."""

    code: int
    done: str
    """What CellProfiler says in its done file; empty if there is none."""
    output: Path
    log: str

    @property
    def files(self) -> list[str]:
        """The files that it wrote, by their place in the output folder."""
        paths = (path for path in self.output.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.output)) for path in paths)

    @property
    def gave_nothing(self) -> bool:
        """Whether it failed, or wrote nothing that was measured."""
        failed = self.code != 0 or self.done != "Complete"
        return failed or not set(self.files) - {"Batch_data.h5"}


class Plain:
    """Runs plain `cellprofiler -c -r`, with PYTHONHASHSEED=0, each in its own process.

    The processes are forked from one that has imported CellProfiler: see
    `plain_server`.
    """

    def __init__(self, cellprofiler: CellProfiler, folder: Path) -> None:
        self.cellprofiler = cellprofiler
        self.folder = folder
        self.runs = 0
        self._env = run_environment(cellprofiler.env, folder, os.environ)

    def __enter__(self) -> Self:
        with (self.folder / "server.log").open("w") as log:
            self._server = subprocess.Popen(
                [str(self.cellprofiler.python), str(SERVER)],
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        self._server.communicate()

    def run_case(self, built: Built, *, forked: bool = True) -> Ran:
        """Run what a case's plain user runs."""
        return self.run(
            *built.inputs, group=built.case.g, input=built.input, forked=forked
        )

    def run(
        self,
        *arguments: str,
        group: str = "",
        input: Path | None = None,
        forked: bool = True,
    ) -> Ran:
        """Run `cellprofiler -c -r` with these arguments and folders of its own.

        Parameters
        ----------
        group
            As `-g` takes it; without `-g` if empty.
        input
            CellProfiler's input folder; an empty one if None.
        forked
            Whether the process is forked, or the command is started.
        """
        self.runs += 1
        folder = self.folder / str(self.runs)
        for name in ("output", "temp", "input"):
            (folder / name).mkdir(parents=True)
        output, done, log = folder / "output", folder / "done", folder / "log"
        argv = [*self.cellprofiler.command, "-c", "-r", *arguments]
        argv += ["-i", str(input or folder / "input"), "-o", str(output)]
        argv += ["-t", str(folder / "temp"), "-d", str(done), "-L", "20"]
        argv += ["-g", group] if group else []
        start = self._fork if forked else self._start
        code = start(argv, folder, log)
        status = done.read_text().strip() if done.exists() else ""
        return Ran(code, status, output, log.read_text(errors="replace"))

    def _fork(self, argv: list[str], folder: Path, log: Path) -> int:
        assert self._server.stdin
        assert self._server.stdout
        request = {"argv": argv, "cwd": str(folder), "log": str(log)}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def _start(self, argv: list[str], folder: Path, log: Path) -> int:
        with log.open("w") as out:
            ran = subprocess.run(
                argv, cwd=folder, env=self._env, stdout=out, stderr=out, check=False
            )
        return ran.returncode


def check(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """What `cpengine check` says of a project: its exit code and its findings."""
    command = ["check", STEP, "-C", str(folder), "--json", *arguments]
    result = CliRunner().invoke(app, command)
    if not result.stdout.startswith("{"):  # the project or the part is wrong
        line = result.stderr.strip()
        return result.exit_code, [{"severity": "error", "cause": line, "cure": ""}]
    shown = json.loads(result.stdout)
    found = [*shown["place"], *(f for step in shown["steps"] for f in step["findings"])]
    return result.exit_code, found


def errors(found: Sequence[dict[str, Any]]) -> list[str]:
    """The errors of what `check` found, a line each."""
    keys = ("rule", "place", "cause", "cure")
    return [
        ": ".join(str(each.get(key, "")) for key in keys)
        for each in found
        if each["severity"] == "error"
    ]


def run(project: Project, cellprofiler: CellProfiler, hosts: Hosts) -> list[Job]:
    """Run a project's step as `cpengine run` does, in these hosts; give its jobs."""
    machine = replace(project.machine(cellprofiler), hosts=hosts)
    version = cellprofiler.version
    steps = Steps(project, [STEP], Part(), version, program=cellprofiler)
    backend = Backend(
        "local", lambda: LocalExecutor(machine, workers=1), versions(cellprofiler)
    )
    results: list[StepResult] = []
    with open(os.devnull, "w") as nowhere:
        deque(steps.run(backend, views(Console(file=nowhere)), results.append), 0)
    (result,) = results
    assert not result.failed, list(map(str, result.causes))
    return list(project.plan(STEP, cellprofiler=version).jobs)
