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

from cpengine import loaddata
from cpengine.cellprofiler.command import (
    error_of,
    not_loaded,
    parse_progress,
    run_command,
    run_environment,
)
from cpengine.cellprofiler.find import CellProfiler
from cpengine.errors import InputError, StorageError
from cpengine.events import JobStarted, Listener, ModuleDone, ignore
from cpengine.ledger import Ledger
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.process import Ended, run
from cpengine.storage import Storage

SCRATCH = "cpengine-"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine brings to every job it runs."""

    storage: Storage
    cellprofiler: CellProfiler
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))


class _AttemptError(Exception):
    """An attempt has come to a failure."""

    def __init__(
        self, kind: FailureKind, message: str, module: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.module = module


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
    ledger = Ledger(machine.storage, job.ledger)
    already = ledger.outcome(job, machine.cellprofiler.version)
    if already is not None:
        return already
    record = _Record(job, machine, attempt)
    try:
        with _scratch(job, machine.scratch) as scratch:
            return _attempt(scratch, record, ledger, listen, cancelled or Flag())
    except OSError as error:  # there is no place to work in
        return record.outcome(failure=_failure(error))


@contextlib.contextmanager
def _scratch(job: Job, parent: Path) -> Iterator[Path]:
    """A fresh folder of the attempt's own; its name says which process owns it."""
    prefix = f"{SCRATCH}{os.getpid()}@{socket.gethostname()}-{job.id}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        for name in ("output", "input", "temp"):
            (folder / name).mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Record:
    """What an attempt measures of itself."""

    job: Job
    machine: Machine
    attempt: int
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=time.monotonic)
    module_s: defaultdict[str, float] = field(
        default_factory=lambda: defaultdict(float)
    )

    def outcome(
        self, *, failure: Failure | None = None, files: dict[str, int] | None = None
    ) -> Outcome:
        return Outcome(
            job=self.job,
            failure=failure,
            attempt=self.attempt,
            started=self.started.isoformat(timespec="seconds"),
            wall_s=round(time.monotonic() - self.begun, 3),
            module_s={name: round(s, 2) for name, s in self.module_s.items()},
            files=files or {},
            host=socket.gethostname(),
            versions={
                "cpengine": _own_version(),
                "cellprofiler": self.machine.cellprofiler.version,
                "python": platform.python_version(),
            },
        )


@cache
def _own_version() -> str:
    return version("cpengine")


def _attempt(
    scratch: Path, record: _Record, ledger: Ledger, listen: Listener, cancelled: Flag
) -> Outcome:
    try:
        _run(scratch, record, listen, cancelled)
        files = _publish(record.job, ledger, scratch / "output")
        outcome = record.outcome(files=files)
        ledger.record(outcome)
    except (InputError, OSError, _AttemptError) as error:
        outcome = record.outcome(failure=_failure(error))
        outcome = _keep_failure(outcome, ledger, scratch / "log")
    return outcome


def _run(scratch: Path, record: _Record, listen: Listener, cancelled: Flag) -> None:
    job, machine = record.job, record.machine
    command = _command(job, machine, scratch)
    environment = run_environment(
        machine.cellprofiler.env, scratch / "temp", os.environ
    )

    def follow(line: str) -> None:
        done = parse_progress(line)
        if done:
            record.module_s[f"{done.module_num} {done.module}"] += done.wall_s
            listen(
                ModuleDone(
                    job, done.image_number, done.module, done.module_num, done.wall_s
                )
            )

    ended = run(
        command,
        environment=environment,
        folder=scratch,
        log=scratch / "log",
        follow=follow,
        cancelled=cancelled,
        timeout_s=job.timeout_s,
    )
    _verify(ended, scratch, job)


def _command(job: Job, machine: Machine, scratch: Path) -> list[str]:
    storage = machine.storage
    rules = storage.path(job.input)
    return run_command(
        machine.cellprofiler.command,
        pipeline=_there(storage.path(job.pipeline)),
        input=rules if rules.is_dir() else scratch / "input",
        output=scratch / "output",
        done_file=scratch / "done",
        data_file=None if job.batch_file else _local_csv(job, storage, scratch),
        group=dict(job.group),
        temp=scratch / "temp",
        plugins=storage.path(job.plugins) if job.plugins else None,
    )


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: is not there: put it there")
    return path


def _local_csv(job: Job, storage: Storage, scratch: Path) -> Path:
    """The plate's whole CSV; a copy with local places where it names others."""
    path = _there(storage.path(job.data_file))
    table = loaddata.parse(storage.read_text(job.data_file), str(path))
    local = loaddata.relocate(table, storage.locate)
    if local is table:
        return path
    copy = scratch / path.name
    copy.write_text(local.to_csv(), encoding="utf-8")
    return copy


def _verify(ended: Ended, scratch: Path, job: Job) -> None:
    """Accept a run only by done file, exit code and files together."""
    if ended.reason is not None:
        raise _AttemptError(ended.reason, ended.why)
    done = scratch / "done"
    said = done.read_text().strip() if done.exists() else ""
    log = (scratch / "log").read_text(errors="replace")
    if said != "Complete" or ended.code != 0 or not_loaded(log):
        raise _broken(ended, said, log)
    files = _files(scratch / "output")
    if not files:
        raise _AttemptError(
            FailureKind.NO_OUTPUT,
            f"CellProfiler says Complete but wrote no file for {job.metadata}: check "
            "that the pipeline saves to the Default Output Folder",
        )
    empty = [name for name, size in files.items() if size == 0]
    if empty:
        raise _AttemptError(FailureKind.NO_OUTPUT, f"{empty[0]} is empty (0 bytes)")


def _broken(ended: Ended, said: str, log: str) -> _AttemptError:
    module, error = error_of(log)
    if not said and ended.code < 0:
        return _AttemptError(
            FailureKind.CRASH, error or f"ended by signal {-ended.code}", module
        )
    message = error or f"exit code {ended.code}, done file {said or 'missing'}"
    return _AttemptError(FailureKind.CELLPROFILER, message, module)


def _files(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _publish(job: Job, ledger: Ledger, output: Path) -> dict[str, int]:
    """Put the files in place, over the job's own earlier ones but nobody else's."""
    storage = ledger.storage
    files = _files(output)
    own = ledger.earlier_files(job)
    if job.shares_place:
        _refuse_others_files(job, ledger, set(files) - own)
    ledger.forget(job)  # from here on the old results are no longer whole
    storage.publish(output.parent / "log", ledger.log(job))
    for name in files:
        storage.publish(output / name, f"{job.destination}/{name}")
    for name in own - set(files):
        storage.remove(f"{job.destination}/{name}")
    return files


def _refuse_others_files(job: Job, ledger: Ledger, new: set[str]) -> None:
    for name in sorted(new):
        if ledger.storage.exists(f"{job.destination}/{name}"):
            other = ledger.owner(job, name)
            if other:
                raise InputError(
                    f"{job.destination}/{name} was made by {other} already: give the "
                    "pipeline's file names the well and the site"
                )


def _failure(error: Exception) -> Failure:
    if isinstance(error, _AttemptError):
        return Failure(error.kind, str(error), error.module)
    bad_input = isinstance(error, InputError)
    kind = FailureKind.BAD_INPUT if bad_input else FailureKind.STORAGE
    return Failure(kind, str(error))


def _keep_failure(outcome: Outcome, ledger: Ledger, log: Path) -> Outcome:
    """Keep a failed attempt's log and marker, as far as the storage lets us."""
    failure = outcome.failure
    if failure is None or failure.kind is FailureKind.CANCELLED:
        return outcome
    with contextlib.suppress(StorageError):
        if log.exists():
            key = ledger.log(outcome.job)
            ledger.storage.publish(log, key)
            failure = replace(failure, log=str(ledger.storage.path(key)))
            outcome = replace(outcome, failure=failure)
        ledger.record(outcome)
    return outcome


def sweep(scratch: Path) -> None:
    """Remove scratch folders that killed processes of this machine left behind."""
    for folder in scratch.glob(f"{SCRATCH}*@{socket.gethostname()}-*"):
        owner = folder.name.removeprefix(SCRATCH).partition("@")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
