"""Run one job on this machine: the one way, used by every executor."""

import contextlib
import os
import platform
import shutil
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Event as Flag

import psutil

from cpengine.cache import Cache
from cpengine.cellprofiler.command import (
    parse_progress,
    run_command,
    run_environment,
)
from cpengine.cellprofiler.find import CellProfiler
from cpengine.errors import ConfigError, InputError, StorageError
from cpengine.events import JobStarted, Listener, ModuleDone, Phase, PhaseBegun, ignore
from cpengine.ledger import Ledger
from cpengine.measure import GB
from cpengine.model import AttemptError, Failure, FailureKind, Job, Outcome
from cpengine.places import Places
from cpengine.process import Ended, Limits, run
from cpengine.publishing import publish
from cpengine.slots import Slots
from cpengine.staging import Staged, Stager
from cpengine.verify import verify

SCRATCH = "cpengine-"
_UNLIMITED = 2**30


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine brings to every job it runs."""

    places: Places
    cellprofiler: CellProfiler
    scratch: Path
    cache: Cache
    slots: Slots = field(default_factory=lambda: Slots(_UNLIMITED))
    """How many CellProfilers may run here at a time."""


def run_job(
    job: Job,
    machine: Machine,
    *,
    attempt: int = 1,
    listen: Listener = ignore,
    cancelled: Flag | None = None,
) -> Outcome:
    """Run CellProfiler over a job's group and publish what it made.

    The done marker is written last, so a marker is never seen without its files. A
    job that another process has done meanwhile is not run again. A job that fails is
    an outcome, never an exception; a cancelled one leaves nothing.
    """
    listen(JobStarted(job, attempt))
    ledger = Ledger(machine.places.outputs, job.ledger)
    one = _Attempt(job, machine, ledger, attempt, listen, cancelled or Flag())
    try:
        already = one.done_elsewhere()
        if already is not None:
            return already
        with _scratch(job, machine.scratch) as scratch:
            return one.run(scratch)
    except (OSError, ConfigError) as error:  # no ledger to ask, or no place to work in
        return one.outcome(failure=_failure(error))


@contextlib.contextmanager
def _scratch(job: Job, parent: Path) -> Iterator[Path]:
    """A fresh folder of the attempt's own; its name says which process owns it."""
    prefix = f"{SCRATCH}{os.getpid()}@{socket.gethostname()}-{job.id}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        for name in ("output", "temp"):
            (folder / name).mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Attempt:
    """One try at a job, and what it measures of itself."""

    job: Job
    machine: Machine
    ledger: Ledger
    number: int
    listen: Listener
    cancelled: Flag
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=time.monotonic)
    phase_s: dict[str, float] = field(default_factory=dict)
    module_s: defaultdict[str, float] = field(
        default_factory=lambda: defaultdict(float)
    )
    fetched: int = 0
    ended: Ended = field(default_factory=lambda: Ended(0))

    def run(self, scratch: Path) -> Outcome:
        """Stage, run, verify, publish, record."""
        try:
            with self._phase("fetching"):
                staged = self._stage(scratch)
            with self._slot(), self._phase("running"):
                self._run(staged, scratch)
            with self._phase("publishing"):
                already = self.done_elsewhere()
                if already is not None:
                    return already
                files = publish(
                    self.job, self.ledger, scratch / "output", scratch / "log"
                )
            outcome = self.outcome(files=files)
            self.ledger.record(outcome)
        except (InputError, OSError, AttemptError) as error:
            failed = self.outcome(failure=_failure(error))
            return _keep_failure(failed, self.ledger, scratch / "log")
        return outcome

    def done_elsewhere(self) -> Outcome | None:
        """What another copy of the job came to, if one is done meanwhile.

        Then nothing more is published, so that the files stay those of its marker.
        """
        return self.ledger.outcome(self.job, self.machine.cellprofiler.version)

    @contextlib.contextmanager
    def _phase(self, name: Phase) -> Iterator[None]:
        self.listen(PhaseBegun(self.job, name))
        begun = time.monotonic()
        try:
            yield
        finally:
            self.phase_s[name] = round(time.monotonic() - begun, 3)

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            with self._phase("waiting"):
                slots = self.machine.slots
                held.enter_context(slots.take(self.job.share, self.cancelled))
            yield

    def _stage(self, scratch: Path) -> Staged:
        places, cache = self.machine.places, self.machine.cache
        stager = Stager(self.job, places, cache, scratch / "in", self.cancelled)
        staged = stager.stage()
        self.fetched = staged.fetched
        return staged

    def _run(self, staged: Staged, scratch: Path) -> None:
        cellprofiler, job = self.machine.cellprofiler, self.job
        self.ended = run(
            run_command(
                cellprofiler.command,
                pipeline=staged.pipeline,
                input=staged.input,
                output=scratch / "output",
                done_file=scratch / "done",
                data_file=staged.data_file,
                group=dict(job.group),
                temp=scratch / "temp",
                plugins=staged.plugins,
            ),
            environment=run_environment(cellprofiler.env, scratch / "temp"),
            folder=scratch,
            log=scratch / "log",
            follow=self._follow,
            cancelled=self.cancelled,
            limits=Limits(
                job.timeout_s,
                job.stall_s,
                int(job.memory_gb * GB) if job.memory_gb else None,
            ),
        )
        verify(self.ended, scratch, job)

    def _follow(self, line: str) -> None:
        """Take in a line of CellProfiler's log."""
        done = parse_progress(line)
        if done:
            self.module_s[f"{done.module_num} {done.module}"] += done.wall_s
            self.listen(
                ModuleDone(
                    self.job,
                    done.image_number,
                    done.module,
                    done.module_num,
                    done.wall_s,
                )
            )

    def outcome(
        self, *, failure: Failure | None = None, files: dict[str, int] | None = None
    ) -> Outcome:
        """What the attempt came to."""
        return Outcome(
            job=self.job,
            failure=failure,
            attempt=self.number,
            started=self.started.isoformat(timespec="seconds"),
            wall_s=round(time.monotonic() - self.begun, 3),
            phase_s=dict(self.phase_s),
            module_s={name: round(s, 2) for name, s in self.module_s.items()},
            cpu_s=round(self.ended.cpu_s, 2),
            peak_memory=self.ended.peak_memory,
            fetched=self.fetched,
            files=files or {},
            host=socket.gethostname(),
            versions=versions(self.machine.cellprofiler),
        )


def versions(cellprofiler: CellProfiler) -> dict[str, str]:
    """What runs a job, by name."""
    return {
        "cpengine": _own_version(),
        "cellprofiler": cellprofiler.version,
        "python": platform.python_version(),
    }


@cache
def _own_version() -> str:
    return version("cpengine")


def _failure(error: Exception) -> Failure:
    if isinstance(error, AttemptError):
        return Failure(error.kind, str(error), error.module)
    bad_input = isinstance(error, InputError)
    kind = FailureKind.BAD_INPUT if bad_input else FailureKind.STORAGE
    return Failure(kind, str(error))


def _keep_failure(outcome: Outcome, ledger: Ledger, log: Path) -> Outcome:
    """Keep a failed attempt's log and marker, as far as the storage lets us."""
    failure = outcome.failure
    if failure is None or failure.kind is FailureKind.CANCELLED:
        return outcome
    key = ledger.log(outcome.job)
    with contextlib.suppress(StorageError):
        if log.exists():
            ledger.storage.publish(log, key)
        if "running" in outcome.phase_s:
            failure = replace(failure, log=ledger.storage.url(key))
            outcome = replace(outcome, failure=failure)
    with contextlib.suppress(StorageError):
        ledger.record(outcome)
    return outcome


def sweep(scratch: Path) -> None:
    """Remove scratch folders that killed processes of this machine left behind."""
    for folder in scratch.glob(f"{SCRATCH}*@{socket.gethostname()}-*"):
        owner = folder.name.removeprefix(SCRATCH).partition("@")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
