"""What a worker is tested on: a queue, a machine, and the worker itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cpengine.executors import contract
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.queue import RETENTION_S, Queue, attributes, ensure
from cpengine.job.run_job import Machine
from cpengine.model import Job
from cpengine.worker.environment import WorkerEnvironment
from cpengine.worker.logs import JobLogs
from cpengine.worker.loop import Worker
from tests.services.aws.aws_server import AwsServer


@dataclass
class Bench:
    """A queue, a machine, and workers on threads."""

    queue: Queue
    dead: Queue
    machine: Machine
    folder: Path
    lines: list[str] = field(default_factory=list)
    visibility_s: int = 30

    def send(self, *bodies: str | Mapping[str, Any] | Job) -> None:
        for body in bodies:
            if isinstance(body, Job):
                body = body.to_json()
            self.queue.send_one(body if isinstance(body, str) else json.dumps(body))

    def worker(self, machine: Machine | None = None, **changed: Any) -> Worker:
        settings = WorkerEnvironment(
            app="Lab_test",
            queue=self.queue.url,
            log_group="Lab_test",
            region=None,
            slots=2,
            make="",
            machine="",
            idle_s=0.5,
            **{"visibility_s": self.visibility_s} | changed,
        )
        logs = JobLogs(self.queue.aws, "Lab_test", every_s=0.2)
        return _Logged(
            self.queue, machine or self.machine, settings, logs, say=self.lines.append
        )

    def run(self, **changed: Any) -> None:
        """Work until the queue is empty."""
        assert self.worker(**changed).run()

    def tries(self, job: str) -> int:
        return len(list(self.folder.glob(f"{job}.attempt*")))

    def letters(self) -> list[tuple[str, str]]:
        """Body and reason of each dead letter."""
        return [(m.body, m.notes.get("Reason", "")) for m in self.dead.receive(10, 0)]


class _Logged(Worker):
    """A worker whose logs live as long as it does."""

    def run(self) -> bool:
        with self._logs:
            return super().run()


Make = Callable[..., Bench]


@pytest.fixture
def make_bench(aws: AwsServer, tmp_path: Path) -> Make:
    def make(
        faults: Mapping[str, Sequence[str]] | None = None, visibility_s: int = 30
    ) -> Bench:
        account = Aws()
        aws.own("logs").create_log_group(logGroupName="Lab_test")

        def note(kind: str, name: str) -> None:
            pass

        retention = {"MessageRetentionPeriod": str(RETENTION_S)}
        dead = ensure(account, "Lab_testDeadMessages", retention, {}, note)
        wanted = attributes(visibility_s, 10, dead)
        queue = ensure(account, "Lab_testQueue", wanted, {}, note)
        machine = contract.machine(tmp_path, faults or {})
        return Bench(queue, dead, machine, tmp_path, visibility_s=visibility_s)

    return make
