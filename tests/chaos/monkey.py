"""Kills cpengine and its CellProfilers at random moments, and starts cpengine again.

In the `local` executor slots are threads of cpengine, so that whatever kills cpengine
kills its slots, and CellProfiler dies with them.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.figures import Figures
from tests.chaos.promises import Undisturbed
from tests.chaos.roots import Files, Seen

CPENGINE, CELLPROFILER = "cpengine", "CellProfiler"
_LONGEST_RUN_S = 600
_EDITS = 0.5
"""How often something is edited before the next strike."""
_RESUMES = 4
"""So many runs after each other may not all fail unless killed: storage is faulty."""

_BLIND = """
from cpengine.__main__ import main
from cpengine.run.driver import Driver

Driver._ask_others = lambda driver: None
main()
"""

Engine = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Temper:
    """When the monkey strikes."""

    longest_s: float
    """It waits at random, up to so long."""
    lurks: float = 0.6
    """How often it waits with cpengine until a job publishes: else it seldom meets
    one that does."""
    lurking_s: float = 0.3
    """Then it strikes within so long."""
    moves: bool = False
    """Whether jobs move their log away before they publish their files, and at once."""


@dataclass(frozen=True, slots=True)
class Cage:
    """The project that is run, and where its processes work and talk."""

    project: Path
    step: str
    scratch: Path
    log: Path
    environ: Mapping[str, str]
    blind: bool = False
    """Whether a run sees no other one, as on machines that were away for a while."""

    @contextmanager
    def started(self) -> Iterator[Engine]:
        """`cpengine run`, for as long as it is looked after."""
        with self.log.open("ab") as log:
            engine = subprocess.Popen(
                self._command("run", "--workers", "2"),
                env=self.environ,
                stdout=log,
                stderr=log,
            )
            try:
                yield engine
            finally:
                engine.kill()
                engine.wait()

    def ask(self, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Another of cpengine's commands."""
        return subprocess.run(
            self._command(command, *options),
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def _command(self, command: str, *options: str) -> list[str]:
        module = ["-c", _BLIND] if self.blind else ["-m", "cpengine"]
        return [
            sys.executable,
            *module,
            command,
            self.step,
            "-C",
            str(self.project),
            *options,
        ]

    def output(self) -> str:
        """All that the runs have said."""
        return self.log.read_text()

    def at_work(self, pid: int) -> list[psutil.Process]:
        """A run's CellProfilers: each works in the scratch folder of its attempt."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # not ours, or it has just ended
                if process.cwd().startswith(f"{self.scratch}/cpengine-{pid}@"):
                    found.append(process)
        return found

    def attempts(self, pid: int) -> list[Path]:
        """The scratch folders of a process."""
        return list(self.scratch.glob(f"cpengine-{pid}@*"))


@dataclass(slots=True)
class Monkey:
    """Torments runs of a project's step, one after another.

    Parameters
    ----------
    check
        Called after each kill and each run: checks the promises, gives what it saw.
    edit
        Called now and then while others are at it, too: edits the step's files.
    """

    cage: Cage
    temper: Temper
    chance: random.Random
    figures: Figures
    check: Callable[[], Seen]
    undisturbed: Undisturbed
    edit: Callable[[], object] = lambda: None

    def torment(self, kills: int) -> int:
        """Run the step to its end and kill so often meanwhile; give how often it did.

        It is less often if all jobs are done before.
        """
        made = unkilled = 0
        while unkilled < _RESUMES:
            with self.cage.started() as engine:
                while made < kills and engine.poll() is None:
                    made += self._strikes(engine)
                code = engine.wait(_LONGEST_RUN_S)
            self.check()
            if code == 0:
                return made
            unkilled = 0 if code == -signal.SIGKILL else unkilled + 1
            self.figures.count("resumes")
        raise AssertionError(f"runs go on failing: {self.cage.output()[-2000:]}")

    def pester(self, kills: int) -> None:
        """Kill so often, however the runs end; the files are edited all the while."""
        made = 0
        while made < kills:
            self.edit()
            with self.cage.started() as engine:
                while made < kills and engine.poll() is None:
                    made += self._edits(engine) or self._strikes(engine)
                engine.wait(_LONGEST_RUN_S)
            self.check()
            self.figures.count("resumes")

    def _edits(self, engine: Engine) -> bool:
        """Edit now and then while a run goes on; never a kill."""
        if self.chance.random() < _EDITS and self._waits(engine, lurks=False):
            self.edit()
        return False

    def _strikes(self, engine: Engine) -> bool:
        """Kill one of the processes when its time has come; whether it was alive."""
        kills = self.figures.kills
        lead = kills[CPENGINE] - kills[CELLPROFILER]
        spare = self.chance.randint(0, 1) + lead > 0  # they die in turns
        if not self._waits(engine, lurks=not spare):
            return False
        if spare and (found := self.cage.at_work(engine.pid)):
            return self._kill_cellprofiler(self.chance.choice(found))
        return lead < 2 and self._kill_cpengine(engine)

    def _waits(self, engine: Engine, *, lurks: bool) -> bool:
        """Wait for the moment to strike; whether the run still goes on then."""
        wait_s = self.chance.uniform(0, self.temper.longest_s)
        if lurks and self.chance.random() < self.temper.lurks:
            wait_s = self.chance.uniform(0, self.temper.lurking_s)
            while engine.poll() is None and not self._publishes(engine):
                time.sleep(0.002)
        with suppress(subprocess.TimeoutExpired):
            engine.wait(wait_s)
        return engine.poll() is None

    def _publishes(self, engine: Engine) -> bool:
        for folder in self.cage.attempts(engine.pid):
            began = not (self.temper.moves and (folder / "log").exists())
            if began and (folder / "done").exists():
                return True
        return False

    def _kill_cellprofiler(self, victim: psutil.Process) -> bool:
        try:
            phase = _phase_of_run(Path(victim.cwd()))
            victim.kill()
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False
        psutil.wait_procs([victim], timeout=30)
        self.figures.killed(CELLPROFILER, [phase])
        self.check()
        return True

    def _kill_cpengine(self, engine: Engine) -> bool:
        engine.kill()
        if engine.wait() != -signal.SIGKILL:
            return False
        _, alive = psutil.wait_procs(self.cage.at_work(engine.pid), timeout=5)
        assert not alive, f"outlived cpengine: {alive}"
        self.figures.killed(CPENGINE, self._phases(engine.pid))
        return True

    def _phases(self, pid: int) -> list[str]:
        """Where the jobs of a killed process were, from what it left."""
        attempts = self.cage.attempts(pid)
        seen = self.check()
        return [self._phase(folder, seen) for folder in attempts] or ["no job"]

    def _phase(self, folder: Path, seen: Seen) -> str:
        if not (folder / "done").exists():
            if (folder / "log").exists():
                return "running"
            return "waiting" if any(folder.glob("in/local_*")) else "fetching"
        job = _job_of(folder)
        if len(self.undisturbed.seen) > 1:
            return "publishing"  # who knows which content's
        files = self._files(job)
        there = sum(name in seen.output for name in files)
        if any(name.startswith(f"{job}~") for name in seen.done):
            return "marked"
        if there == len(files):
            return "published, not marked"
        return "half published" if there else "not yet published"

    def _files(self, job: str) -> Files:
        """The files that a job publishes."""
        results = self.undisturbed.results().items()
        (files,) = (files for name, files in results if name.startswith(f"{job}~"))
        return files


def _phase_of_run(folder: Path) -> str:
    if (folder / "done").exists():
        return "ending"
    return "writing" if any((folder / "output").iterdir()) else "running"


def _job_of(attempt: Path) -> str:
    """The id of the job that a scratch folder is for."""
    *_, rest = attempt.name.partition("@")[2].split("-", 3)
    return rest.rpartition("-")[0]
