"""Executors that start their workers on a cluster: `slurm`, `pbs`, `lsf`, ..."""

import contextlib
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client
from distributed.deploy.spec import SpecCluster
from distributed.security import Security

from cpengine.config import ClusterSection
from cpengine.errors import ExecutorError
from cpengine.events import Noted
from cpengine.executors.dask.dask_executor import DaskExecutor
from cpengine.executors.dask.without_http import WORKER_CLASS, SchedulerWithoutHttp
from cpengine.executors.slurm.fleet import WorkerFleet, needed
from cpengine.executors.slurm.jobqueue import QueueJob
from cpengine.executors.slurm.schedulers import QUEUES, BatchScheduler, seconds
from cpengine.job.run_job import Machine
from cpengine.model import Failure
from cpengine.wording import GB

LOGS = "logs"
_IDLE_S = 60.0
"""Workers too many are sent away after so many seconds without change."""
_DRIVER_GONE_S = 60
"""A worker that has lost its driver ends after so many seconds."""
_SCHEDULER = {
    "distributed.scheduler.allowed-failures": 0,  # trying again is our own business
    "distributed.scheduler.worker-saturation": 1.0,  # a job waits for any worker
    "distributed.scheduler.work-stealing": False,
    "distributed.admin.tick.interval": "500 ms",
}
_WORKER = {
    "DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DISTRIBUTED__ADMIN__TICK__INTERVAL": "500ms",
    "DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
}
"""What Dask observes of its workers for its dashboard takes time from CellProfiler."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How the workers of one run are started."""

    queue: BatchScheduler
    settings: ClusterSection
    name: str
    folder: Path
    """Seen by driver and workers: keys, and the workers' logs."""
    threads: int
    """Of a worker."""

    @property
    def logs(self) -> Path:
        """Where the scheduler puts what workers print."""
        return self.folder / LOGS

    def job(
        self,
        name: str,
        excluded: Sequence[str] = (),
        *,
        scheduler: str = "tls://driver:port",
        security: Security | None = None,
    ) -> QueueJob:
        """The job of a worker."""
        settings = self.settings
        return self.queue.job_of(
            settings,
            excluded,
            scheduler=scheduler,
            name=f"{name}-{self.queue.restarts}",
            job_name=self.name,
            cores=settings.cores,
            memory=f"{settings.memory_gb * GB:.0f} B",
            processes=1,
            nanny=False,
            protocol="tls" if settings.tls else "tcp",
            interface=settings.interface,
            death_timeout=_DRIVER_GONE_S,
            local_directory=None,
            log_directory=str(self.logs),
            job_script_prologue=[
                *(f"export DASK_{name}={value}" for name, value in _WORKER.items()),
                *settings.prologue,
            ],
            job_directives_skip=self.queue.skipped(settings),
            # exec: the worker itself gets the scheduler's signals, and time to end
            # -P: without the modules of the folder where the job is
            python=f"exec {settings.python or shlex.quote(sys.executable)} -P",
            threads=self.threads,
            worker_extra_args=[
                "--no-dashboard",
                "--worker-class",
                WORKER_CLASS,
                *_key_options(security),
            ],
        )


class ClusterExecutor(DaskExecutor):
    """Runs jobs on workers that it starts as jobs of a cluster's scheduler.

    Parameters
    ----------
    kind
        One of `QUEUES`.
    folder
        A folder for this run, which driver and workers see.
    ahead
        So many jobs of a worker fetch or publish while others run.
    run
        See `DaskExecutor`.

    Raises
    ------
    ExecutorError
        No scheduler can be started on this machine.
    """

    def __init__(
        self,
        kind: str,
        settings: ClusterSection,
        machine: Machine,
        make: str,
        spec: str,
        *,
        folder: Path,
        ahead: int = 0,
        run: str = "",
    ) -> None:
        self._settings = settings
        self._folder = folder
        folder.mkdir(parents=True, mode=0o700)
        (folder / LOGS).mkdir()
        security = _keys(folder) if settings.tls else Security()
        self._dask = _scheduler(settings, security)
        super().__init__(
            Client(self._dask),
            machine,
            make,
            spec,
            ahead=ahead,
            life_s=seconds(settings.walltime),
            ends_workers=True,
            run=run,
        )
        self.workers_of = Workers(
            QUEUES[kind], settings, self.name, folder, settings.cores + ahead
        )

        def job(name: str, excluded: Sequence[str]) -> QueueJob:
            return self.workers_of.job(
                name,
                excluded,
                scheduler=self._dask.scheduler_address,
                security=security if settings.tls else None,
            )

        self.fleet = WorkerFleet(QUEUES[kind], self.name, job, self.workers_of.logs)
        self.window = 2 * settings.workers * self.workers_of.threads
        self.traces = {"scheduler": kind, "jobs": self.name}
        self._enough_since = time.monotonic()

    def tend(self) -> None:
        settings = self._settings
        wanted = needed(
            self.under_way, settings.cores, settings.min_workers, settings.workers
        )
        workers = self.workers()
        present = {str(w["name"]): str(w["host"]) for w in workers.values()}
        for note in self.fleet.tend(wanted, present):
            self.listen(Noted(note))
        self._send_away(len(self.fleet.jobs) - wanted)

    def _send_away(self, surplus: int) -> None:
        """Let workers go that have been too many for a while, idle ones only."""
        if surplus <= 0:
            self._enough_since = time.monotonic()
        elif time.monotonic() > self._enough_since + _IDLE_S:
            self._enough_since = time.monotonic()
            waiting = min(surplus, len(self.fleet.waiting))
            self.fleet.drop(waiting)
            busy = self._client.processing()
            idle = [address for address, tasks in busy.items() if not tasks]
            with contextlib.suppress(OSError, TimeoutError):
                self._client.retire_workers(idle[: surplus - waiting])

    def cause(self, worker: str, since: float) -> Failure | None:
        return self.fleet.cause(worker, since)

    def joins(self, worker: str) -> None:
        self.fleet.joins(worker)

    def leaves(self, address: str) -> None:
        """The fleet knows more of it."""

    def refuses(self, worker: str, why: str) -> None:
        self.fleet.refuses(worker, why)

    def drains(self, worker: str) -> None:
        self.fleet.drains(worker)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.fleet.close()
            self._dask.close()
            self._clear()

    def _clear(self) -> None:
        """Remove the run's folder, but for logs that somebody may want to read."""
        if not self.fleet.troubled:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for key in self._folder.glob("*.pem"):
            key.unlink()
        self.listen(Noted(f"what the workers said is in {self.workers_of.logs}"))


def _scheduler(settings: ClusterSection, security: Security) -> SpecCluster:
    """Start a Dask scheduler in this process."""
    options: dict[str, Any] = {
        "protocol": "tls://" if settings.tls else "tcp://",
        "security": security,
        "dashboard": False,
    }
    if settings.host:
        options["host"] = settings.host
    elif settings.interface:
        options["interface"] = settings.interface
    try:
        with dask.config.set(_SCHEDULER):
            return SpecCluster(
                scheduler={"cls": SchedulerWithoutHttp, "options": options},
                security=security,
                silence_logs=logging.CRITICAL,  # what matters is told in our words
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise ExecutorError(
            f"the Dask scheduler does not start: {error}: see interface and host in "
            "the executor's settings"
        ) from error


def _key_options(security: Security | None) -> list[str]:
    """Where a worker finds its key, as the shell of its job reads it."""
    role = security.get_tls_config_for_role("worker") if security else {}
    files = [(name, path) for name, path in role.items() if name != "ciphers"]
    return [
        word
        for name, path in files
        for word in (f"--tls-{name.replace('_', '-')}", shlex.quote(str(path)))
    ]


def _keys(folder: Path) -> Security:
    """Make a key and a certificate of the run, and write them for workers to see."""
    made = Security.temporary()
    paths = {}
    for name in ("tls_ca_file", "tls_worker_cert", "tls_worker_key"):
        path = folder / f"{name.removeprefix('tls_')}.pem"
        with open(
            os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w"
        ) as file:
            file.write(getattr(made, name))
        paths[name] = str(path)
    roles = ("worker", "client", "scheduler")
    return Security(
        tls_ca_file=paths["tls_ca_file"],
        require_encryption=True,
        **{f"tls_{role}_cert": paths["tls_worker_cert"] for role in roles},
        **{f"tls_{role}_key": paths["tls_worker_key"] for role in roles},
    )
