"""Run one job on this machine: the one way, used by every executor."""

import contextlib
import platform
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Event as Flag
from typing import Any, Self

from cpengine.cellprofiler.command import (
    ModuleLine,
    parse_progress,
    run_command,
)
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Host, Hosts, NoHostError, Request
from cpengine.errors import InputError
from cpengine.events import (
    JobStarted,
    Listener,
    LogBegun,
    ModuleDone,
    Phase,
    PhaseBegun,
    ProcessEachJob,
    ignore,
    steady,
)
from cpengine.job import (
    csv_columns,
    image_measures,
    saved_places,
    turns,
    unreadable_images,
)
from cpengine.job.admission import Lease, Slots
from cpengine.job.failures import failure_of, trace_of
from cpengine.job.host_runs import HostRuns
from cpengine.job.publish import digests_of, laid_beside, publish
from cpengine.job.stage import Staged, Stager
from cpengine.job.verify import verify
from cpengine.ledger.exact_marks import ExactMarks
from cpengine.ledger.ledger import Ledger
from cpengine.model import ALL_OFF, AttemptError, Failure, FailureKind, Job, Outcome
from cpengine.storage import keys
from cpengine.storage.cache import Cache
from cpengine.storage.roots import Places
from cpengine.system import scratch
from cpengine.system.process import Ended, Limits, run
from cpengine.wording import GB

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
    hosts: Hosts | None = None
    """Long-lived CellProfilers; without them each job starts one of its own."""
    exact: Sequence[str] = ()
    """The exact accelerations that hosts may use."""
    marks: ExactMarks = field(default_factory=ExactMarks)
    """What is known of comparisons of these with plain modules."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the CellProfilers that wait for jobs."""
        if self.hosts is not None:
            self.hosts.close()


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
    ledger = Ledger(machine.places.outputs, job.ledger)
    job_attempt = _Attempt(
        job, machine, ledger, attempt, steady(listen), cancelled or Flag()
    )
    job_attempt.listen(JobStarted(job, attempt))
    try:
        already = job_attempt.done_elsewhere()
        if already is not None:
            return already
        with turns.attempt_name() as name, _scratch(job, machine.scratch) as folder:
            return job_attempt.run(folder, name)
    except Exception as error:  # no ledger to ask, no place to work in, or a fault
        return job_attempt.failed(error)


@contextlib.contextmanager
def _scratch(job: Job, parent: Path) -> Iterator[Path]:
    """A fresh folder of the attempt's own."""
    folder = scratch.fresh(parent, keys.folder_name(job.id))
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
    measures: dict[str, float] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    runs: HostRuns | None = None
    """Those in hosts, if there were any."""
    no_host: str = ""
    """Why there were none."""
    aside: bool = False
    """Whether CellProfiler runs for what is not published."""

    def run(self, folder: Path, name: str) -> Outcome:
        """Stage, run, verify, publish, record."""
        try:
            stager = self._stager(folder)
            with self._phase("fetching"):
                staged = self._stage(stager)
            log = folder / "log"
            with self._lease() as lease, self._phase("running"):
                log.touch()
                self.listen(LogBegun(self.job, log))
                files = self._run(staged, folder, lease)
            with self._phase("publishing"):
                self.digests = digests_of(folder / "output", files)
                already = self._publish(stager, folder, files, name)
            if already is not None:
                return already
            outcome = self.outcome(files=files)
            self.ledger.record(outcome)
        except Exception as error:  # here, where the log still is
            return self.failed(error, folder / "log")
        return outcome

    def _publish(
        self, stager: Stager, folder: Path, files: Mapping[str, int], name: str
    ) -> Outcome | None:
        """Publish when it is its turn; if another copy has, give its outcome."""
        with (
            laid_beside(self.job, self.ledger, folder / "output", files) as parts,
            turns.turn(
                self.ledger,
                self.job,
                self.machine.cellprofiler.version,
                files,
                attempt=name,
                cancelled=self.cancelled.is_set,
            ) as taken,
        ):
            if (already := self.done_elsewhere()) is not None:
                return already
            stager.check_opened_in_place()
            self.job = taken.job
            publish(taken, parts, folder / "log")
        return None

    def failed(self, error: Exception, log: Path | None = None) -> Outcome:
        """Keep what is left of an attempt that an exception has ended.

        Parameters
        ----------
        log
            What CellProfiler has said, if it got so far that there may be such a file.
        """
        outcome = self.outcome(failure=failure_of(error))
        if _is(outcome, FailureKind.CANCELLED):
            return outcome
        # Whatever goes wrong here, it is the attempt's own failure that counts.
        with contextlib.suppress(Exception):
            if _is(outcome, FailureKind.INTERNAL):
                log = self._add_trace(trace_of(error), log)
            outcome = self._keep_log(outcome, log)
        with contextlib.suppress(Exception):
            self.ledger.record(outcome)
        return outcome

    def _add_trace(self, trace: str, log: Path | None) -> Path | None:
        """Add a traceback to a log, or put it in its place where that cannot be."""
        with contextlib.suppress(OSError):
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(trace)
                return log
        self.ledger.storage.write(self.ledger.log(self.job), trace.encode())
        return None

    def _keep_log(self, outcome: Outcome, log: Path | None) -> Outcome:
        """Put a failed attempt's log in the ledger; the outcome names it."""
        key, failure = self.ledger.log(self.job), outcome.failure
        if log is not None and log.exists():
            self.ledger.storage.publish(log, key)
        has_log = "running" in outcome.phase_s or _is(outcome, FailureKind.INTERNAL)
        if failure is None or not has_log:
            return outcome
        url = self.ledger.storage.url(key)
        return replace(outcome, failure=replace(failure, log=url))

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
    def _lease(self) -> Iterator[Lease]:
        with contextlib.ExitStack() as held:
            with self._phase("waiting"):
                slots = self.machine.slots
                lease = held.enter_context(slots.take(self.job, self.cancelled))
            yield lease

    def _stager(self, folder: Path) -> Stager:
        places, cache = self.machine.places, self.machine.cache
        return Stager(self.job, places, cache, folder, self.cancelled)

    def _stage(self, stager: Stager) -> Staged:
        staged = stager.stage()
        self.fetched = staged.fetched
        unreadable_images.expect_whole(staged, self.machine.places)
        _check_seen(staged, self.machine.cellprofiler)
        return staged

    def _run(self, staged: Staged, folder: Path, lease: Lease) -> dict[str, int]:
        self.ended = self._cellprofiler(staged, folder, self._limits(lease))
        if self.ended.reason is not FailureKind.CANCELLED:
            short = self.ended.reason is FailureKind.OUT_OF_MEMORY
            lease.ended(self.ended.peak_memory, out_of_memory=short)
        files, output = self._verify(staged, folder), folder / "output"
        place = self.ledger.storage.url(self.job.destination)
        places = staged.origins | {str(output): place}
        files |= saved_places.correct(output, files, places)
        self.measures = image_measures.of(output, files)
        self.columns = csv_columns.digests(output, files)
        return files

    def _verify(self, staged: Staged, folder: Path) -> dict[str, int]:
        try:
            return verify(self.ended, folder, self.job)
        except AttemptError as error:
            explained = unreadable_images.explain(error, staged, self.machine.places)
            raise explained from error

    def _limits(self, lease: Lease) -> Limits:
        job = self.job
        allowed = int(job.memory_gb * GB) if job.memory_gb else None
        return Limits(job.timeout_s, job.stall_s, allowed, lease.check)

    def _cellprofiler(self, staged: Staged, folder: Path, limits: Limits) -> Ended:
        """Run CellProfiler, in a process that is kept if one can be had."""
        hosts, why = self.machine.hosts, "each job starts a CellProfiler of its own"
        if hosts is not None:
            try:
                return self._in_host(hosts, staged, folder, limits)
            except NoHostError as error:
                why = str(error)
                self.listen(ProcessEachJob(why))
        self.no_host = why
        return self._by_command(staged, folder, limits)

    def _in_host(
        self, hosts: Hosts, staged: Staged, folder: Path, limits: Limits
    ) -> Ended:
        """Run in a CellProfiler that may have run other jobs before."""
        runs = HostRuns(
            job=self.job,
            ledger=self.ledger,
            cellprofiler=self.machine.cellprofiler.version,
            hosts=hosts,
            marks=self.machine.marks,
            wanted=self.machine.exact,
            staged=staged,
            folder=folder,
            limits=limits,
            cancelled=self.cancelled,
            request=lambda staged, host: self._request(staged, folder, host),
            begun=self._run_begun,
            follow=self._module_done,
        )
        try:
            return runs.run()
        finally:
            self.runs = runs

    def _run_begun(self, aside: bool) -> None:
        self.module_s.clear()
        if aside != self.aside:
            self.listen(PhaseBegun(self.job, "checking" if aside else "running"))
        self.aside = aside

    def _request(self, staged: Staged, folder: Path, host: Host) -> Request:
        as_table = not (self.job.batch_file or staged.listed)
        code = host.folder / "plugins" if staged.plugins else None
        _, *argv = self._command(
            [""],
            staged,
            folder,
            staged.data_file if as_table else staged.localised(folder),
            code,
        )
        return Request(
            argv=argv,
            folder=str(folder),
            log=str(folder / "log"),
            environ={"TMPDIR": str(folder / "temp")},
            columns=staged.columns if as_table else {},
        )

    def _by_command(self, staged: Staged, folder: Path, limits: Limits) -> Ended:
        """Run in a CellProfiler of its own."""
        cellprofiler = self.machine.cellprofiler
        data_file = staged.localised(folder)
        command = self._command(
            cellprofiler.command, staged, folder, data_file, staged.plugins
        )
        program = cellprofiler.program(command, folder, folder / "temp")
        return run(
            program.command,
            environment=program.environment,
            folder=folder,
            log=folder / "log",
            apart=program.apart,
            follow=self._follow,
            cancelled=self.cancelled,
            limits=limits,
        )

    def _command(
        self,
        cellprofiler: Sequence[str],
        staged: Staged,
        folder: Path,
        data_file: Path,
        plugins: Path | None,
    ) -> list[str]:
        batch = self.job.batch_file
        named = staged.header(folder) if batch else data_file
        return run_command(
            cellprofiler,
            pipeline=data_file if batch else staged.pipeline,
            input=staged.input,
            output=folder / "output",
            done_file=folder / "done",
            data_file=None if staged.listed else named,
            file_list=data_file if staged.listed else None,
            group={} if self.job.whole_table else dict(self.job.group),
            temp=folder / "temp",
            plugins=plugins,
        )

    def _follow(self, line: str) -> None:
        """Take in a line of CellProfiler's log."""
        done = parse_progress(line)
        if done:
            self._module_done(done)

    def _module_done(self, done: ModuleLine) -> None:
        self.module_s[f"{done.module_num} {done.module}"] += done.wall_s
        self.listen(
            ModuleDone(
                self.job, done.image_number, done.module, done.module_num, done.wall_s
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
            started=self.started.isoformat(timespec="milliseconds"),
            wall_s=round(time.monotonic() - self.begun, 3),
            phase_s=self._phases(),
            module_s={name: round(s, 2) for name, s in self.module_s.items()},
            cpu_s=round(self.ended.cpu_s, 2),
            peak_memory=self.ended.peak_memory,
            fetched=self.fetched,
            files=files or {},
            digests=self.digests if files else {},
            measures=self.measures,
            columns=self.columns,
            **self._computing(),
            host=socket.gethostname(),
            versions=versions(self.machine.cellprofiler),
        )

    def _phases(self) -> dict[str, float]:
        """Seconds by phase; what is not published has one of its own."""
        found, aside_s = dict(self.phase_s), self.runs.aside_s if self.runs else 0.0
        if aside_s and "running" in found:
            running = max(0.0, found.pop("running") - aside_s)
            found |= {"checking": round(aside_s, 3), "running": round(running, 3)}
        return found

    def _computing(self) -> dict[str, Any]:
        """Which accelerations were used, and what numbers depend on besides."""
        if self.no_host:
            return {"exact_off": {ALL_OFF: self.no_host}} if self.machine.exact else {}
        return self.runs.computing() if self.runs else {}


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


def _check_seen(staged: Staged, cellprofiler: CellProfiler) -> None:
    """Refuse files that CellProfiler's container would not have."""
    container = cellprofiler.container
    for path in staged.files if container else ():
        if container and not container.sees(path):
            raise InputError(
                f"{path}: is not in the container: add its real folder, "
                f"{Path(path).resolve().parent}, to cellprofiler.mounts"
            )


def _is(outcome: Outcome, kind: FailureKind) -> bool:
    return outcome.failure is not None and outcome.failure.kind is kind
