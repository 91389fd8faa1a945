"""Dask's scheduler and worker without the HTTP server that each of them starts.

Without its dashboard, too, it would tell everybody who reaches the port of jobs, places
and machines, on all addresses and without a key. Whatever cpengine asks goes through
Dask's own protocol, which asks for the run's key.
"""

from typing import Any

from distributed import Scheduler, Worker

WORKER_CLASS = f"{__name__}.WorkerWithoutHttp"


class SchedulerWithoutHttp(Scheduler):
    """A scheduler that listens to those alone that have its key."""

    def start_http_server(self, *routes: Any, **options: Any) -> None:
        """Start none."""


class WorkerWithoutHttp(Worker):
    """A worker that listens to those alone that have its key."""

    def start_http_server(self, *routes: Any, **options: Any) -> None:
        """Start none."""
