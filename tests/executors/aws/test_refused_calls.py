"""`aws start` and `aws monitor` where AWS refuses a call: nothing bills unseen."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cpengine.cli import app
from cpengine.executors.aws import client, down, launch, project_apps, setup
from cpengine.executors.aws.entry import AwsEntry, apps_of
from cpengine.project import Project
from tests.executors.aws import plates
from tests.plain_runs import small_plate
from tests.services.aws.aws_server import AwsServer

Phase = Callable[..., Result]
STARTING = 17  # calls of different names, at least
MONITORING = 22


@pytest.fixture
def there(
    aws: AwsServer, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Project:
    """A plate in a bucket on which nothing has run."""
    small = small_plate(tmp_path_factory.mktemp("small"), wells=1, sites=1)
    plates.allow(aws)
    section = plates.SECTION.replace("poll_s = 1.0", "poll_s = 0.01")
    section += '[steps.illum]\npipeline = "illum.cppipe"\n'  # nobody need look for it
    return plates.in_bucket(aws, small, tmp_path / "project", section)


@pytest.fixture
def phase(there: Project, monkeypatch: pytest.MonkeyPatch) -> Phase:
    """Runs a phase of the step in this process; clients take long to make."""
    monkeypatch.setattr(project_apps, "Aws", cache(client.Aws))

    def run(name: str, *more: str) -> Result:
        arguments = ["aws", name, "illum", *more, "-C", str(there.folder)]
        return CliRunner().invoke(app, arguments)

    return run


def _bills(aws: AwsServer) -> bool:
    """Whether a machine runs; those of fleets run as soon as they are asked for."""
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    return bool(aws.own("ec2").describe_instances(Filters=states)["Reservations"])


def _is_whole(aws: AwsServer) -> bool:
    """Whether nothing is taken down, neither machines nor what is removed at last."""
    return _bills(aws) and "QueueUrls" in aws.own("sqs").list_queues()


def _names(aws: AwsServer) -> list[str]:
    return list(dict.fromkeys(call["operation"] for call in aws.calls()))


def _one_line(ran: Result) -> str:
    """What a refused command says."""
    assert ran.exit_code == 2, ran.output
    (line,) = [x for x in ran.stderr.splitlines() if x.startswith("error: ")]
    assert "Traceback" not in ran.output
    return line


def _ready(aws: AwsServer, phase: Phase, *names: str) -> None:
    for name in names:
        ran = phase(name, *(["--yes"] if name == "start" else []))
        assert ran.exit_code == 0, ran.output


def test_a_refused_start_leaves_nothing_that_bills(
    aws: AwsServer, there: Project, phase: Phase
) -> None:
    ledger = there.ledger(there.step("illum"))
    _ready(aws, phase, "setup", "submit")
    aws.reset_calls()
    _ready(aws, phase, "start")
    operations = _names(aws)
    assert len(operations) >= STARTING
    _ready(aws, phase, "down", "setup", "submit")
    for operation in operations:
        aws.faults({"operation": operation, "kind": "denied"})
        ran = phase("start", "--yes")
        aws.faults()
        if ran.exit_code == 0:  # who may not look cannot tell
            _ready(aws, phase, "down", "setup", "submit")
            continue
        _one_line(ran)
        assert not _bills(aws), operation
        sent = AwsEntry("aws").jobs_elsewhere(ledger)
        assert not (sent and sent.ids), operation  # they run elsewhere
    _ready(aws, phase, "down")


def test_a_refused_monitor_says_that_machines_go_on_or_takes_them_down(
    aws: AwsServer, there: Project, phase: Phase
) -> None:
    ours = apps_of(there, "4.2.8").app

    def anew() -> None:
        """Start machines, without messages: there is nothing to wait for."""
        down.down(ours("illum", to_end=True), wait_s=0)
        assert not _bills(aws)
        setup.setup(ours("illum"))
        launch.start_machines(ours("illum"), 1, None)
        assert _is_whole(aws)

    anew()
    aws.reset_calls()
    _ready(aws, phase, "monitor")
    operations = _names(aws)
    assert len(operations) >= MONITORING
    for operation in operations:
        if not _is_whole(aws):
            anew()
        aws.faults({"operation": operation, "kind": "denied"})
        ran = phase("monitor")
        aws.faults()
        line = _one_line(ran) if ran.exit_code else ""
        assert not _bills(aws) or "`cpengine aws down illum`" in line, operation
    _ready(aws, phase, "down")
    assert not _bills(aws)
