"""The worker that finds the queue empty ends machines: its app's own, and no more."""

from pathlib import Path

import pytest

from cpengine.executors import contract
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.record import AwsRecord
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


@pytest.mark.parametrize(("app", "clusters"), [("Lab_test", ["ours"]), ("Else", [])])
def test_a_record_names_no_cluster(
    app: str,
    clusters: list[str],
    aws: AwsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this_machine = machine(tmp_path, {})
    AwsRecord(this_machine.places.outputs, "ledger", app, cluster="theirs").write()
    ended: list[str] = []

    def end(app: App) -> None:
        ended.append(app.record.cluster)

    monkeypatch.setattr(main.down, "stop_billing", end)
    main._lights_out(Aws("us-east-1"), WorkerEnvironment.of(ENVIRON), this_machine)
    assert ended == clusters
