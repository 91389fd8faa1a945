"""What CellProfiler itself makes of pipelines, asked without running them.

One process answers for all pipelines of a check. It starts within some seconds and
takes a fraction of one for each, and what it said of a pipeline is kept.
"""

import hashlib
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cpengine.cellprofiler import find, load_answers
from cpengine.cellprofiler.command import HASH_SEED, plugin_failure
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.load_answers import Answers
from cpengine.errors import writing
from cpengine.inputs.loaddata import Table
from cpengine.storage.store import Storage
from cpengine.system import scratch as scratch_folders
from cpengine.system.process import CANCELLED, Child, Limits

PROGRAM = Path(__file__).with_name("probe.py")
_ROWS = 2
_PLUGINS = "plugins"


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A pipeline and what it is loaded with."""

    text: str
    shown: str
    """Its file as messages name it."""
    table: Table
    """The image sets of any plate."""
    input: str
    """Keys in the workspace: CellProfiler's input folder,"""
    plugins: str | None
    """and the plugins folder."""
    file_names: Set[str]
    """Which files of the input folder it may read: there may be images beside them."""


class Prober:
    """Asks a CellProfiler; its process is started when it is first needed.

    Parameters
    ----------
    cellprofiler
        Nothing is asked if None.
    timeout_s
        After which a pipeline is given up; the next gets a process of its own.
    program
        What is run in CellProfiler's Python.
    """

    def __init__(
        self,
        cellprofiler: CellProfiler | None,
        workspace: Storage,
        scratch: Path,
        *,
        timeout_s: float = 300,
        program: Path = PROGRAM,
    ) -> None:
        self._cellprofiler = cellprofiler
        self._workspace = workspace
        self._timeout_s = timeout_s
        self._program = program
        self._scratch = scratch
        self._folder = Path()
        self._asked = 0
        self._process: _Process | None = None

    def __enter__(self) -> Self:
        scratch_folders.sweep(self._scratch)  # what killed checks have left
        self._folder = scratch_folders.fresh(self._scratch, "check")
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, asked: LoadRequest) -> Mapping[str, Any] | None:
        """The answer of `probe.py`; None where CellProfiler cannot be asked."""
        cellprofiler = self._cellprofiler
        if cellprofiler is None or cellprofiler.python is None:
            return None
        self._asked += 1
        folder = self._folder / str(self._asked)
        with writing(folder):
            self._put(asked, folder)
        key = _key(folder, _identity(cellprofiler))
        answers = Answers(find.home() / "checked")
        answer = answers.find(key)
        if answer is not None:
            return answer
        answer = self._answer(cellprofiler, folder)
        # What a plugin lacks may be installed by the next time.
        if answer and not plugin_failure(answer["error"] or ""):
            answers.remember(key, json.dumps(answer).encode())
        return answer

    def _put(self, asked: LoadRequest, folder: Path) -> None:
        """Make the folder that a pipeline is loaded in."""
        folder.mkdir()
        table = asked.table
        lines = Table(table.path, table.header, table.rows[:_ROWS], table.lines[:_ROWS])
        # CellProfiler reads JSON by its name alone.
        suffix = ".json" if asked.shown.endswith(".json") else ".cppipe"
        (folder / f"any{suffix}").write_text(asked.text, "utf-8")
        (folder / "load_data.csv").write_text(lines.to_csv(), "utf-8")
        shutil.copy(self._program, folder)
        for key, name in ((asked.input, "input"), (asked.plugins, _PLUGINS)):
            (folder / name).mkdir()
            for file in self._workspace.tree(key) if key else ():
                if name != _PLUGINS and asked.file_names.isdisjoint(file.split("/")):
                    continue
                path = folder / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._workspace.read(f"{key}/{file}"))

    def _answer(
        self, cellprofiler: CellProfiler, folder: Path
    ) -> dict[str, Any] | None:
        """Ask about a folder; a process that gives no answer is ended."""
        plugins = _key(folder / _PLUGINS, "")
        if self._process and self._process.plugins != plugins:
            self._end()
        used = self._process is not None
        answer = None
        try:
            self._process = self._process or self._start(cellprofiler, folder, plugins)
            answer = self._process.ask(folder, self._timeout_s)
        except TimeoutError:
            used = False  # it would not end the next time either
        except OSError:
            pass  # a job would tell; this is no reason not to try
        if answer is None:
            self._end()
        if answer is None and used:  # what was asked before may have broken it
            return self._answer(cellprofiler, folder)
        return answer

    def _start(
        self, cellprofiler: CellProfiler, folder: Path, plugins: str
    ) -> "_Process":
        argv = [str(cellprofiler.python), str(folder / self._program.name)]
        if any((folder / _PLUGINS).iterdir()):
            argv.append(str(folder / _PLUGINS))
        program = cellprofiler.program(argv, self._folder, self._folder)
        child = Child.start(
            program.command,
            program.environment,
            self._folder,
            input=subprocess.PIPE,
            error=subprocess.DEVNULL,
            apart=program.apart,
        )
        return _Process(child, plugins)

    def _end(self) -> None:
        if self._process:
            self._process.end()
            self._process = None


class _Process:
    """One CellProfiler that answers for pipeline after pipeline."""

    def __init__(self, child: Child, plugins: str) -> None:
        self.plugins = plugins
        """Which plugins it has loaded."""
        self._child = child
        assert child.process.stdin is not None
        assert child.process.stdout is not None
        self._questions = child.process.stdin
        self._answers = child.process.stdout.fileno()

    def ask(self, folder: Path, timeout_s: float) -> dict[str, Any] | None:
        """Its answer; None or OSError where it has ended.

        Raises
        ------
        TimeoutError
            It has said nothing for that long.
        """
        self._questions.write(f"{folder}\n".encode())
        self._questions.flush()
        line = self._line(time.monotonic() + timeout_s)
        return load_answers.parse(line)

    def _line(self, end: float) -> bytes:
        """What it writes up to the end of a line."""
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise TimeoutError
                if not (data := os.read(self._answers, 65536)):
                    break
                line += data
        return line

    def end(self) -> None:
        """End it."""
        self._child.end(CANCELLED, self._child.watch(Limits()).meter)


def _identity(cellprofiler: CellProfiler) -> str:
    """Changes with the program, and with packages that are put beside it."""
    python = cellprofiler.python or Path()
    packages = python.parent.parent.glob("lib/python*/site-packages")
    changed = [path.stat().st_mtime_ns for path in packages]
    return f"{cellprofiler.version} {python} {changed}"


def _key(folder: Path, program: str) -> str:
    """Changes with all that CellProfiler would be asked with."""
    digest = hashlib.sha256(f"{program} {HASH_SEED}".encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]
