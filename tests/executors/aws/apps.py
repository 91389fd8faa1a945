"""Apps for tests: small, quick to look, with workers that do as the test is told."""

from typing import Any

from cpengine.config import AwsSection, DcpWorkerSection
from cpengine.config.steps import DoneRule
from cpengine.executors import contract
from cpengine.executors.aws.app import App
from cpengine.executors.aws.aws_executor import AwsExecutor
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.project_apps import open_app, worker_environment
from cpengine.executors.aws.settings import Settings, settle
from cpengine.job.run_job import Machine

LEDGER = "ledger"
QUICK: dict[str, Any] = {
    "image": "cpengine-worker",
    "machines": 2,
    "cores": 2,
    "ami": "ami-12345678",
    "poll_s": 0.3,
    "idle_s": 1.0,
}


def section(**changed: Any) -> AwsSection:
    return AwsSection(**QUICK | changed)


def settings(
    done: DoneRule | None = None, dcp: DcpWorkerSection | None = None, **changed: Any
) -> Settings:
    """Those of a step named `test`."""
    if dcp is not None:
        changed["dcp"] = dcp
    return settle(section(**changed), "test", project="Lab", base="Lab", done=done)


def app(
    machine: Machine, chosen: Settings | None = None, aws: Aws | None = None
) -> App:
    """An app whose workers make the test's machine once more."""
    chosen = chosen or settings()
    ours = worker_environment(chosen, contract.MAKE, contract.describe(machine), LEDGER)
    return open_app(aws or Aws(), chosen, machine.places.outputs, LEDGER, ours)


def executor(machine: Machine, **changed: Any) -> AwsExecutor:
    return AwsExecutor(machine, lambda step: app(machine, settings(**changed)))
