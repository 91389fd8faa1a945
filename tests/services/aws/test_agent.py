"""The stand-ins for ECS and for a machine's metadata do what tests rely on."""

import itertools
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services.aws.agent import Agent, of_this_machine
from tests.services.aws.aws_server import AwsServer
from tests.services.aws.metadata import Metadata
from tests.services.aws.tasks import lives

IMAGE = "ami-12345678"
SLEEP = ["python", "-c", "import time; time.sleep(600)"]
# It starts a process in a session of its own, and says which.
PARENT = """
import subprocess, sys, time
child = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(child, start_new_session=True).pid, flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked"))
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


class Cloud:
    """A cluster with one service, and the fleets that tests ask for."""

    def __init__(self, aws: AwsServer) -> None:
        self.ecs = aws.client("ecs")
        self.ec2 = aws.client("ec2")
        self.ecs.create_cluster(clusterName="cluster")

    def define(self, command: list[str], **environment: str) -> None:
        pairs = [{"name": name, "value": text} for name, text in environment.items()]
        container = {
            "name": "worker",
            "image": "image",
            "memory": 100,
            "command": command,
            "environment": pairs,
        }
        self.ecs.register_task_definition(
            family="family", containerDefinitions=[container]
        )

    def serve(self, desired: int, command: list[str], **environment: str) -> None:
        self.define(command, **environment)
        self.ecs.create_service(
            cluster="cluster",
            serviceName="service",
            taskDefinition="family",
            desiredCount=desired,
        )

    def update(self, **changes: Any) -> None:
        self.ecs.update_service(cluster="cluster", service="service", **changes)

    def running(self) -> int:
        asked = {"cluster": "cluster", "services": ["service"]}
        count: int = self.ecs.describe_services(**asked)["services"][0]["runningCount"]
        return count

    def machines(self, count: int) -> str:
        """Launch them; give their fleet."""
        spec = {"ImageId": IMAGE, "InstanceType": "m5.xlarge"}
        config = {
            "IamFleetRole": "arn:aws:iam::123456789012:role/fleet",
            "TargetCapacity": count,
            "LaunchSpecifications": [spec],
        }
        made = self.ec2.request_spot_fleet(SpotFleetRequestConfig=config)
        fleet: str = made["SpotFleetRequestId"]
        return fleet

    def cancel(self, fleet: str) -> None:
        self.ec2.cancel_spot_fleet_requests(
            SpotFleetRequestIds=[fleet], TerminateInstances=True
        )


@pytest.fixture
def cloud(aws: AwsServer) -> Cloud:
    return Cloud(aws)


@pytest.fixture
def agent(aws: AwsServer, tmp_path: Path) -> Iterator[Agent]:
    with Agent(aws, tmp_path / "agent", stop_s=1) as agent:
        yield agent


def _wait(until: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        return not lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def test_as_many_tasks_run_as_are_desired_and_have_room(
    cloud: Cloud, agent: Agent
) -> None:
    agent.tasks_per_machine = 2
    cloud.serve(3, SLEEP)
    time.sleep(1)
    assert agent.tasks_started == 0  # there is no machine
    cloud.machines(1)
    _wait(lambda: len(agent.processes()) == 2)
    time.sleep(1)
    assert agent.tasks_started == 2
    cloud.machines(1)
    _wait(lambda: cloud.running() == 3)
    cloud.update(desiredCount=1)
    first = agent.processes()[0]
    _wait(lambda: agent.processes() == [first])
    _wait(lambda: cloud.running() == 1)
    assert agent.tasks_started == 3


def test_a_task_has_the_environment_of_its_definition_and_role(
    aws: AwsServer, cloud: Cloud, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_TEST", "1")
    monkeypatch.setenv("CPENGINE_HOME", "elsewhere")
    say = "import os, json; print(json.dumps(dict(os.environ)))"
    cloud.serve(1, ["python", "-c", say], GREETING="hello")
    cloud.machines(1)
    _wait(lambda: agent.logs() and agent.logs()[0])
    environ = json.loads(agent.logs()[0])
    assert Path(environ.pop("TMPDIR")).is_dir()
    environ.pop("LC_CTYPE", None)  # Python sets it itself
    assert environ == {"GREETING": "hello", **aws.environ, **of_this_machine()}
    assert environ["CPENGINE_HOME"] == "elsewhere"
    assert "OF_THE_TEST" not in environ


def test_the_first_word_names_what_the_image_has(cloud: Cloud, agent: Agent) -> None:
    cloud.serve(1, ["cpengine", "--version"])
    cloud.machines(1)
    _wait(lambda: agent.logs() and "cpengine" in agent.logs()[0])
    cloud.define(["/bin/echo", "as it is"])
    cloud.update(taskDefinition="family:2")
    _wait(lambda: agent.logs()[-1] == "as it is\n")


def test_a_task_that_ends_is_replaced_after_a_while(cloud: Cloud, agent: Agent) -> None:
    cloud.serve(1, ["python", "-c", "import time; print(time.time())"])
    cloud.machines(1)
    _wait(lambda: agent.tasks_started > 2 and agent.logs()[2])
    times = [float(log) for log in agent.logs()[:3]]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) > 1


def test_a_killed_task_dies_with_all_that_it_has_started(
    cloud: Cloud, agent: Agent
) -> None:
    cloud.serve(1, ["python", "-c", PARENT])
    cloud.machines(1)
    _wait(lambda: agent.logs() and agent.logs()[0])
    [process] = agent.processes()
    child = int(agent.logs()[0])
    assert os.getsid(child) != os.getsid(process.pid)
    agent.kill(0)
    assert not process.is_running()
    assert _gone(child)
    _wait(lambda: agent.tasks_started == 2 and agent.processes())


def test_what_a_task_leaves_behind_dies_with_it(cloud: Cloud, agent: Agent) -> None:
    ends = PARENT.replace("time.sleep(600)\n", "time.sleep(1)\n")
    assert ends != PARENT
    cloud.serve(1, ["python", "-c", ends])
    cloud.machines(1)
    _wait(lambda: agent.logs() and agent.logs()[0])
    child = int(agent.logs()[0])
    assert not _gone(child)
    _wait(lambda: _gone(child))


def test_tasks_are_asked_to_end_before_they_are_killed(
    cloud: Cloud, agent: Agent
) -> None:
    cloud.serve(1, ["python", "-c", POLITE])
    cloud.machines(1)
    _wait(lambda: agent.logs() and agent.logs()[0])
    cloud.define(["python", "-c", STUBBORN])
    cloud.update(taskDefinition="family:2")
    _wait(lambda: agent.logs()[0] == "ready\nasked\n")
    _wait(lambda: agent.logs()[1:] == ["ready\n"])
    cloud.ecs.delete_service(cluster="cluster", service="service", force=True)
    _wait(lambda: agent.logs()[1] == "ready\nasked\n")
    begin = time.monotonic()
    assert agent.processes()
    _wait(lambda: not agent.processes())
    assert 0.5 < time.monotonic() - begin < 5  # it is killed after 1 s


def test_a_machine_that_is_gone_takes_its_tasks_along(
    cloud: Cloud, agent: Agent
) -> None:
    agent.tasks_per_machine = 1
    fleets = [cloud.machines(1), cloud.machines(1)]
    cloud.serve(2, ["python", "-c", STUBBORN])
    _wait(lambda: [log for log in agent.logs() if log] == ["ready\n"] * 2)
    cloud.cancel(fleets[0])
    _wait(lambda: len(agent.processes()) == 1)
    time.sleep(1.5)
    assert agent.tasks_started == 2  # nothing has room for the other
    assert "asked" not in "".join(agent.logs())
    cloud.machines(1)
    _wait(lambda: len(agent.processes()) == 2)


def test_nothing_of_an_agent_outlives_it(
    aws: AwsServer, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.serve(2, ["python", "-c", PARENT])
    cloud.machines(1)
    with Agent(aws, tmp_path) as agent:
        _wait(lambda: len(agent.logs()) == 2 and all(agent.logs()))
        pids = [process.pid for process in agent.processes()]
        pids += map(int, agent.logs())
        calls = len(aws.calls())
    assert len(pids) == 4
    assert all(map(_gone, pids))
    assert len(aws.calls()) == calls  # the agent's own are not counted


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with Metadata("i-1") as metadata:
        yield metadata


def _ask(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    named = {f"X-aws-ec2-metadata-{name}": text for name, text in headers.items()}
    asked = urllib.request.Request(url, headers=named, method=method)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_a_machine_learns_that_it_will_be_taken_away(metadata: Metadata) -> None:
    about = f"{metadata.url}/latest/meta-data"
    ttl = {"token-ttl-seconds": "60"}
    assert _ask(f"{about}/instance-id")[0] == 401
    assert _ask(f"{metadata.url}/latest/api/token", "PUT")[0] == 400
    status, token = _ask(f"{metadata.url}/latest/api/token", "PUT", **ttl)
    assert status == 200
    assert _ask(f"{about}/instance-id", token="other")[0] == 401
    assert _ask(f"{about}/instance-id", token=token) == (200, "i-1")
    assert _ask(f"{about}/spot/instance-action", token=token)[0] == 404
    metadata.notice(60)
    action = json.loads(_ask(f"{about}/spot/instance-action", token=token)[1])
    when = datetime.strptime(action["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert action["action"] == "terminate"
    assert 55 < (when - datetime.now(UTC)).total_seconds() < 61


def test_a_task_finds_the_metadata(
    aws: AwsServer, cloud: Cloud, metadata: Metadata, tmp_path: Path
) -> None:
    say = (
        "import os, json; names = os.environ.keys() & {"
        "'AWS_EC2_METADATA_SERVICE_ENDPOINT', 'AWS_EC2_METADATA_DISABLED'};"
        "print(json.dumps({name: os.environ[name] for name in names}))"
    )
    cloud.serve(1, ["python", "-c", say])
    cloud.machines(1)
    with Agent(aws, tmp_path, metadata=metadata) as agent:
        _wait(lambda: agent.logs() and agent.logs()[0])
        environ = json.loads(agent.logs()[0])
    assert environ == {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
