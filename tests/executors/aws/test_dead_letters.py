"""What a client makes of dead letters, whoever has written them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cpengine.executors.aws import dead_letters
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.messages import MOST_BYTES, body
from cpengine.executors.aws.queue import RETENTION_S, Queue, attributes, ensure
from cpengine.model import FailureKind
from cpengine.testing import jobs
from tests.executors.aws.hostile_messages import BROKEN, mutated
from tests.services.aws.aws_server import AwsServer

HOSTILE = [*BROKEN.values(), *map(mutated, range(50))]


@pytest.fixture
def app(aws: AwsServer) -> Any:
    """A step with queues, as far as its dead letters are concerned."""
    account = Aws()
    retention = {"MessageRetentionPeriod": str(RETENTION_S)}
    dead = ensure(account, "dead", retention, {}, lambda *names: None)
    wanted = attributes(30, 10, dead)
    queue = ensure(account, "jobs", wanted, {}, lambda *names: None)
    settings = SimpleNamespace(
        dead_letters="dead",
        own_dead_letters=True,
        job_retries=10,
        log_groups=("a", "a_perInstance"),
    )
    record = SimpleNamespace(folder="ledger")
    return SimpleNamespace(
        aws=account,
        settings=settings,
        record=record,
        queue=lambda: queue,
        dead=dead,
    )


def _send(queue: Queue, *texts: str) -> None:
    assert max(map(len, texts)) <= MOST_BYTES
    assert sum(queue.send(texts)) == len(texts)


def test_hostile_dead_letters_are_passed_over_and_ours_are_taken(app: Any) -> None:
    (lost, blamed) = (replace(job, earlier=()) for job in jobs("A", "B"))
    _send(app.dead, *HOSTILE, body(lost))
    app.dead.send_one(body(blamed, 2), Reason="internal: KeyError: 'x'")
    found = {
        letter.job.id: letter
        for letter in dead_letters.take(app, {"A", "B"})
        if letter.job.ledger == "ledger" and letter.job.pipeline == "any.cppipe"
    }
    assert found["A"].failure.kind is FailureKind.NODE_LOST
    assert found["B"].failure.kind is FailureKind.INTERNAL
    assert found["B"].failure.message.startswith("internal: KeyError: 'x' (log group")


def test_they_are_shown_as_they_are_with_the_reason(app: Any) -> None:
    _send(app.dead, *HOSTILE)
    app.dead.send_one("[1]", Reason="message is no JSON object")
    shown = dead_letters.peek(app.dead)
    assert len(shown) == len(HOSTILE) + 1
    assert ("[1]", "message is no JSON object") in {
        (letter["body"], letter["reason"]) for letter in shown
    }


def test_only_jobs_are_put_back_into_the_queue(app: Any) -> None:
    _send(app.dead, *BROKEN.values(), body(jobs("A")[0]))
    assert dead_letters.redrive(app) == 1
    assert app.queue().counts().total == 1
    assert app.dead.counts().total == len(BROKEN)
