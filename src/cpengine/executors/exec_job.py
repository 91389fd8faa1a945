"""One job in a process of its own, anywhere: `cpengine exec-job`, and its files.

A backend for another scheduler writes them with `ExecJobs`, has the scheduler run
`ExecJob.command`, and gives what that came to with `Executor.outcome_of`.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from cpengine.errors import CpengineError, InputError, writing
from cpengine.executors import machine_spec
from cpengine.executors.detach import program
from cpengine.job.run_job import run_job
from cpengine.ledger.run_record import now
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.storage import local_files
from cpengine.storage.own_files import reason
from cpengine.wording import on_one_line

_MOST = 2**28
_LAST = 4096
"""So many bytes of a log's end may have its last line."""
_REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ExecJob:
    """An attempt at a job, as files for `cpengine exec-job`."""

    job: Job
    attempt: int
    file: Path
    machine: Path
    started: str = field(default_factory=now)

    @property
    def command(self) -> list[str]:
        """What runs it, on any machine that sees the files.

        SIGTERM ends it, with its CellProfiler; it leaves nothing then.
        """
        files = [str(self.file), "--machine", str(self.machine)]
        return program(["exec-job", *files, "--outcome", str(self._outcome)])

    @property
    def log(self) -> Path:
        """A file for what the command prints."""
        return self.file.with_suffix(".log")

    @property
    def _outcome(self) -> Path:
        return self.file.with_suffix(".outcome")

    def outcome(self) -> Outcome | None:
        """What it came to, which is in the ledger; None if the command wrote none."""
        found = self._read()
        return Outcome.from_json(found) if "job" in found else None

    def failure(self) -> Failure:
        """Why there is no outcome."""
        if refused := self._read().get(_REFUSED):
            return Failure(FailureKind.MACHINE, str(refused))
        last = f": {line}" if (line := _last_line(self.log)) else ""
        return Failure(FailureKind.NODE_LOST, f"its process wrote no outcome{last}")

    def remove(self) -> None:
        """Remove its files."""
        for file in (self.file, self._outcome, self.log):
            file.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        """What the command wrote; nothing if that is not there, or no JSON."""
        try:
            return _read(self._outcome)
        except CpengineError:
            return {}


class ExecJobs:
    """A run's folder with the files of its attempts.

    Parameters
    ----------
    folder
        Is made; the machines that run the jobs see it, too.
    spec
        What they must know: see `machine_spec.site_spec`, `machine_spec.bucket_spec`.
    """

    def __init__(self, folder: Path, spec: str) -> None:
        self.folder = folder
        self.machine = folder / "machine.json"
        self._numbers = count(1)
        with writing(folder):
            folder.mkdir(mode=0o700, parents=True)
            self.machine.write_text(spec, encoding="utf-8")

    def add(self, job: Job, attempt: int) -> ExecJob:
        """Write the files of an attempt."""
        file = self.folder / f"{next(self._numbers)}.json"
        with writing(file):
            text = json.dumps(job.to_json() | {"attempt": attempt})
            file.write_text(text, encoding="utf-8")
        return ExecJob(job, attempt, file, self.machine)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def exec_job(job_file: Path, machine_file: Path, outcome_file: Path | None) -> Outcome:
    """Run a job on this machine, and write or print what it came to.

    Raises
    ------
    CpengineError
        A file cannot be read or written, or this machine cannot run the project's jobs:
        nothing was run.
    """
    try:
        job, attempt = _job(job_file)
        spec = json.dumps(_read(machine_file))
        with machine_spec.project_machine(spec, slots=1) as machine:
            outcome = run_job(job, machine, attempt=attempt)
    except CpengineError as error:
        _write({_REFUSED: on_one_line(str(error))}, outcome_file)
        raise
    _write(outcome.to_json(), outcome_file)
    return outcome


def _job(file: Path) -> tuple[Job, int]:
    data = _read(file)
    try:
        return Job.from_json(data), int(data.get("attempt", 1))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{file}: is no job: {reason(error)}: write it with cpengine.backend"
        ) from error


def _read(file: Path) -> dict[str, Any]:
    """A file's JSON object."""
    try:
        data = json.loads(local_files.read(str(file), _MOST))
    except CpengineError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{file}: cannot be read: {reason(error)}: write it with cpengine.backend"
        ) from error
    if not isinstance(data, dict):
        raise InputError(f"{file}: is no JSON object: write it with cpengine.backend")
    return data


def _write(data: Mapping[str, Any], file: Path | None) -> None:
    """Write JSON to a file, whole or not at all; print it if there is none."""
    text = json.dumps(data, default=str)
    if file is None:
        sys.stdout.write(f"{text}\n")
        return
    part = file.with_suffix(".part")
    with writing(file):
        part.write_text(text, encoding="utf-8")
        part.replace(file)


def _last_line(log: Path) -> str:
    """The last line that a log has."""
    try:
        text = log.read_bytes()[-_LAST:].decode(errors="replace")
    except OSError:
        return ""
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return on_one_line(lines[-1]) if lines else ""
