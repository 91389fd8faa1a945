"""The worker that finds the queue empty ends machines: its app's own, and no more."""

import json
from pathlib import Path

import pytest

from cpengine.executors import contract
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws
from cpengine.testing import machine
from cpengine.worker import main
from cpengine.worker.environment import WorkerEnvironment
from tests.services.aws.aws_server import AwsServer

ENVIRON = {
    "APP_NAME": "Lab_test",
    "SQS_QUEUE_URL": "queue",
    "LOG_GROUP_NAME": "logs",
    "ECS_CLUSTER": "ours",
    "CPENGINE_MAKE": contract.MAKE,
    "CPENGINE_MACHINE": "{}",
    "CPENGINE_LEDGER": "ledger",
}


def _record(app: str, **more: str) -> bytes:
    fields = {"app": app, "project": "p", "cluster": "theirs", "made": []}
    return json.dumps(fields | more).encode()


RECORDS = {
    "ours": _record("Lab_test"),
    "of another app": _record("Else"),
    "down": _record("Lab_test", down="2026-01-01T00:00:00+00:00"),
    "cut short": _record("Lab_test")[:20],
    "a list": b"[]",
    "gone": None,
}


@pytest.mark.parametrize("name", RECORDS)
def test_whatever_the_record_says_its_own_app_and_cluster_are_ended(
    name: str,
    aws: AwsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this_machine = machine(tmp_path, {})
    record = RECORDS[name]
    if record is not None:
        this_machine.places.outputs.write("ledger/aws.json", record)
    ended: list[tuple[str, str, str]] = []

    def end(app: App) -> None:
        ended.append((app.name, app.record.cluster, app.settings.service))

    monkeypatch.setattr(main.down, "stop_billing", end)
    main._lights_out(Aws("us-east-1"), WorkerEnvironment.of(ENVIRON), this_machine)
    assert ended == [("Lab_test", "ours", "Lab_testService")]
