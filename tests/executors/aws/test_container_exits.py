"""Containers that end at once, again and again: why, and the end of the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cpengine.cli import app as commands
from cpengine.events import Event, Noted
from cpengine.executors.aws import launch, setup
from cpengine.executors.aws.client import Aws
from cpengine.executors.aws.monitor import Monitor, RunOverError
from cpengine.executors.early_exits import EarlyExits
from cpengine.job.run_job import versions
from cpengine.ledger.ledger import Ledger
from cpengine.model import Outcome
from cpengine.testing import jobs, machine
from tests.executors.aws import apps, plates
from tests.plain_runs import small_plate
from tests.services.aws import task_states
from tests.services.aws.agent import Agent
from tests.services.aws.aws_server import AwsServer

MISSING = {"CPENGINE_CELLPROFILER": "/nowhere"}


class Run:
    """A run on AWS with one message, whose containers do as the test says."""

    def __init__(self, aws: AwsServer, folder: Path, **changed: Any) -> None:
        self.aws = aws
        self.machine = machine(folder, {})
        chosen = apps.settings(**{"poll_s": 0.01, "machines": 1} | changed)
        self.app = apps.app(self.machine, chosen, Aws())
        self.queue = setup.setup(self.app)
        launch.start_machines(self.app, 1, None)
        self.queue.send_one("x")
        self.events: list[Event] = []
        self.watch = Monitor(self.app, self.queue, self.events.append)
        service = self.app.service()
        assert service is not None
        self._service = {
            "arn": service["serviceArn"],
            "cluster": service["clusterArn"],
            "name": self.app.name,
        }

    def starts(self) -> dict[str, Any]:
        """A container that lasts."""
        task = task_states.started(self._service)
        self.aws.work({}, [task])
        return task

    def ends(self, times: int = 1, **changed: Any) -> None:
        """Containers that end at once."""
        for _ in range(times):
            task = task_states.ended(
                task_states.started(self._service), 2, ordered=False
            )
            self.aws.work({}, [task | changed])

    def checks(self, times: int = 1) -> list[str]:
        """What the user is told beside the usual."""
        self.events.clear()
        for _ in range(times):
            self.watch._checked -= 60
            self.watch.check(1)
        lines = [event.what for event in self.events if isinstance(event, Noted)]
        return [line for line in lines if "messages waiting" not in line]


@pytest.fixture
def run(aws: AwsServer, tmp_path: Path) -> Callable[..., Run]:
    return lambda **changed: Run(aws, tmp_path, **changed)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EarlyExits, "patience_s", 0.0)


@pytest.mark.parametrize("worker", ["cpengine", "dcp"])
def test_the_third_is_noted_with_the_reason_and_later_the_run_ends(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    it = run(worker=worker)
    pull = "CannotPullContainerError: pull image manifest: not found"
    it.ends(2, stoppedReason=pull, stopCode="TaskFailedToStart")
    assert it.checks() == []
    it.ends(1, stoppedReason=pull, stopCode="TaskFailedToStart")
    (line,) = it.checks()
    assert line.startswith(
        "Lab_test: 3 containers in a row have ended at once, and no job has begun: the "
        f"run ends in 5 minutes if none begins: {pull}"
    )
    it.ends()
    assert it.checks() == []
    monkeypatch.setattr(EarlyExits, "patience_s", 0.0)
    with pytest.raises(RunOverError) as caught:
        it.checks(3)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith("Lab_test: 4 containers in a row have ended at once")
    assert "executors.aws" in line or "see the log group" in line


CURES = [
    ({"stoppedReason": "CannotPullContainerError: x"}, "executors.aws.image"),
    (
        {"stoppedReason": "ECS was unable to assume the role 'r' that was provided"},
        "executors.aws.task_role",
    ),
    ({"containers": [{"exitCode": 137}]}, "raise executors.aws.memory_mb"),
    ({"containers": [{"exitCode": 127}]}, "name an image with cpengine's worker"),
    ({"containers": [{"exitCode": 1}]}, "see the log group Lab_test_perInstance"),
    ({"containers": []}, "see the log group Lab_test_perInstance"),
]


@pytest.mark.parametrize(("task", "cure"), CURES)
@pytest.mark.usefixtures("at_once")
def test_the_reason_has_a_cure(
    run: Callable[..., Run], task: dict[str, Any], cure: str
) -> None:
    it = run()
    it.ends(3, **task)
    with pytest.raises(RunOverError, match=cure):
        it.checks(3)


@pytest.mark.usefixtures("at_once")
def test_a_run_goes_on_while_a_container_holds_a_message(
    run: Callable[..., Run],
) -> None:
    it = run()
    it.starts()
    it.queue.receive(1, 0)
    assert it.checks(3) == []
    it.ends(5)  # on another machine
    assert it.checks(3) == []


@pytest.mark.usefixtures("at_once")
def test_a_job_that_begins_at_the_last_moment_has_begun(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = run()
    monkeypatch.setattr(EarlyExits, "patience_s", 300.0)
    it.ends(3)
    assert it.checks() != []
    it.starts()
    it.queue.receive(1, 0)
    monkeypatch.setattr(EarlyExits, "patience_s", 0.0)
    assert it.checks(3) == []


@pytest.mark.usefixtures("at_once")
def test_a_message_that_a_dead_container_holds_is_no_job_begun(
    run: Callable[..., Run],
) -> None:
    it = run()
    it.queue.receive(1, 0)
    it.ends(3)
    with pytest.raises(RunOverError, match="no job has begun"):
        it.checks(3)


@pytest.mark.usefixtures("at_once")
def test_a_run_goes_on_where_a_job_has_ended(run: Callable[..., Run]) -> None:
    it = run()
    it.queue.send_one("y")
    EarlyExits.patience_s = 300.0
    it.checks()
    it.queue.delete(it.queue.receive(1, 0)[0])
    it.ends(3)
    it.checks(2)
    EarlyExits.patience_s = 0.0
    it.ends(3)
    assert it.checks(3) == []


def test_a_marker_is_a_job_that_has_begun(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = run()
    it.ends(3)
    assert it.checks() != []
    ledger = Ledger(it.machine.places.outputs, apps.LEDGER)
    known = versions(it.machine.cellprofiler)
    ledger.record(Outcome(*jobs("A"), versions=known))
    monkeypatch.setattr(EarlyExits, "patience_s", 0.0)
    assert it.checks(3) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "changed",
    [
        {"stopCode": "ServiceSchedulerInitiated"},
        {"stopCode": "SpotInterruption"},
        {"createdAt": 0.0},
    ],
)
def test_containers_that_were_ended_or_are_of_an_earlier_run_do_not_count(
    run: Callable[..., Run], changed: dict[str, Any]
) -> None:
    it = run()
    it.ends(5, **changed)
    assert it.checks(3) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("operation", ["ListTasks", "DescribeTasks"])
def test_where_nobody_may_see_containers_that_is_noted_once_and_the_run_goes_on(
    run: Callable[..., Run], aws: AwsServer, operation: str
) -> None:
    it = run()
    it.ends(3)
    aws.faults({"operation": operation, "kind": "denied"})
    (line,) = it.checks(3)
    assert line.startswith("Lab_test: why containers end cannot be seen: ecs ")
    assert "client-policy.json" in line


@pytest.mark.cellprofiler
@pytest.mark.parametrize("command", ["run", "monitor"])
def test_workers_without_cellprofiler_end_the_run_and_leave_nothing_that_bills(
    aws: AwsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setattr(EarlyExits, "patience_s", 1.0)
    plates.allow(aws)
    section = plates.SECTION.replace("poll_s = 1.0", "poll_s = 0.1")
    small = small_plate(tmp_path / "small", wells=1, sites=1)
    there = plates.in_bucket(aws, small, tmp_path / "project", section)

    def cpengine(*arguments: str) -> Any:
        return CliRunner().invoke(commands, [*arguments, "-C", str(there.folder)])

    with Agent(aws, tmp_path / "agent", environ=MISSING) as agent:
        if command == "run":
            ran = cpengine("run", "illum", "--on", "aws", "--yes")
        else:
            for phase in (["setup"], ["submit"], ["start", "--yes"]):
                assert cpengine("aws", phase[0], "illum", *phase[1:]).exit_code == 0
            ran = cpengine("aws", "monitor", "illum")
        started = agent.tasks_started
    assert ran.exit_code == 2, ran.output
    (line,) = [x for x in ran.stderr.splitlines() if x.startswith("error: ")]
    assert "containers in a row have ended at once, and no job has begun" in line
    assert "CPENGINE_CELLPROFILER" in line
    assert started >= 3
    assert [x for x in aws.leftovers() if not x.startswith("log group")] == []
