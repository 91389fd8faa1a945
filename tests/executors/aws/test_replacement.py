"""What ends machines of DCP's own worker when the client is gone, in each phase."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cpengine.executors.aws import down, fleet, launch, setup
from cpengine.executors.aws.app import App
from cpengine.executors.aws.fleet import Fleet
from cpengine.executors.aws.monitor import Monitor
from cpengine.executors.aws.replacement import Replacement
from cpengine.testing import machine
from tests.executors.aws import apps
from tests.executors.aws.test_command_line import FLEET
from tests.services.aws.aws_server import AwsServer


class Asked:
    """A fleet that notes what it is asked for."""

    def __init__(self, target: int | None) -> None:
        self.id, self.target = "fleet-1", target

    def shrink(self, machines: int) -> None:
        self.target = machines


@pytest.mark.parametrize(
    ("checks", "targets"),
    [
        # Machines that run and that are needed, at each look; what is asked for then.
        ([(0, 10), (4, 10), (10, 10)], [10, 10, 0]),  # they come
        ([(10, 10), (9, 10), (10, 10)], [0, 10, 0]),  # one is lost, and replaced
        ([(10, 10), (9, 3), (2, 3)], [0, 0, 3]),  # fewer jobs are left
        ([(2, 2)], [0]),  # no more come than jobs can use
        ([(10, 10), (3, 0), (0, 0)], [0, 0, 0]),  # all is done
    ],
)
def test_lost_machines_are_replaced_while_a_client_checks(
    checks: list[tuple[int, int]], targets: list[int]
) -> None:
    asked, replacement, found = Asked(10), Replacement(), []
    for machines, needed in checks:
        replacement.check(asked, machines, needed)  # type: ignore[arg-type]
        found.append(asked.target)
    assert found == targets


def test_a_later_client_replaces_what_is_lost_from_then_on() -> None:
    asked, replacement = Asked(0), Replacement()
    for machines in (7, 6):
        replacement.check(asked, machines, 10)  # type: ignore[arg-type]
    assert asked.target == 7


def test_a_fleet_that_replaces_nothing_is_let_be() -> None:
    asked = Asked(None)
    Replacement().check(asked, 3, 10)  # type: ignore[arg-type]
    assert asked.target is None


@pytest.fixture(params=["an EC2 fleet", "a spot fleet"])
def started(request: Any, aws: AwsServer, tmp_path: Path) -> App:
    """A run of DCP's worker with three machines and six jobs."""
    file = None
    if request.param == "a spot fleet":
        file = tmp_path / "fleet.json"
        file.write_text(json.dumps(FLEET))
    settings = apps.settings(worker="dcp", alarms=True, poll_s=0.01, machines=3)
    app = apps.app(machine(tmp_path, {}), settings)
    queue = setup.setup(app)
    for _ in queue.send(["x"] * 6):
        pass
    launch.start_machines(app, 3, file)
    return app


def _fleet(app: App) -> Fleet:
    (found,) = fleet.of_app(app)
    return found


def _check(watch: Monitor) -> None:
    watch._checked -= 60
    watch.check(1)


def test_before_a_first_check_aws_itself_ends_the_machines(
    started: App, aws: AwsServer
) -> None:
    """The client dies right after the start: nothing but the fleet's end is left."""
    assert down.alarms(started.aws, started.name) == []
    asked = _fleet(started)
    ec2 = aws.own("ec2")
    if asked.spot:
        (found,) = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
        found = found["SpotFleetRequestConfig"]
    else:
        (found,) = ec2.describe_fleets()["Fleets"]
    assert found["TerminateInstancesWithExpiration"] is True
    left = found["ValidUntil"] - datetime.now(UTC)
    assert timedelta(hours=47) < left <= timedelta(hours=48)


def test_a_dead_client_leaves_a_fleet_that_replaces_no_idle_machine(
    started: App, aws: AwsServer
) -> None:
    watch = Monitor(started, started.queue(), lambda event: None)
    _check(watch)  # and then the client is gone
    assert _fleet(started).target == 0
    machines = _fleet(started).machines()
    assert len(machines) == 3  # none was ended by that
    assert len(down.alarms(started.aws, started.name)) == 3
    aws.own("ec2").terminate_instances(InstanceIds=machines)  # as the alarms do
    assert _fleet(started).machines() == []


def test_a_living_client_has_lost_machines_replaced(
    started: App, aws: AwsServer
) -> None:
    watch = Monitor(started, started.queue(), lambda event: None)
    _check(watch)
    lost, *_ = _fleet(started).machines()
    aws.own("ec2").terminate_instances(InstanceIds=[lost])
    _check(watch)
    assert _fleet(started).target == 3
