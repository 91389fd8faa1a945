"""What goes wrong while a run is under way: no job is lost, counted twice or left."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.events import Event, Noted
from cpengine.executors.aws.app import App
from cpengine.executors.aws.aws_executor import AwsExecutor
from cpengine.executors.aws.client import AwsError
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState, states
from cpengine.model import FailureKind, Outcome
from cpengine.testing import jobs, machine
from tests.executors.aws import apps
from tests.services.aws.agent import Agent
from tests.services.aws.aws_server import AwsServer
from tests.services.aws.metadata import Metadata

NAMES = "ABCDEF"


@pytest.fixture
def agent(aws: AwsServer, tmp_path: Path) -> Iterator[Agent]:
    with Agent(aws, tmp_path / "agent", tasks_per_machine=1) as agent:
        yield agent
        print(*agent.logs(), sep="\n--\n")


def _executor(
    this_machine: Machine, visibility_s: int = 4, retries: int = 10
) -> AwsExecutor:
    """One whose messages come back soon."""

    def app(step: str) -> App:
        chosen = replace(
            apps.settings(cores=1), visibility_s=visibility_s, job_retries=retries
        )
        return apps.app(this_machine, chosen)

    return AwsExecutor(this_machine, app)


class _Run:
    """Jobs that run on a thread."""

    def __init__(
        self, this_machine: Machine, executor: AwsExecutor, names: str
    ) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.events: list[Event] = []
        self.error: Exception | None = None
        self._machine, self._executor, self._names = this_machine, executor, names
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._machine, self._executor as executor:
                for outcome in executor.run(jobs(*self._names), self.events.append):
                    self.outcomes[outcome.job.id] = outcome
        except AwsError as error:
            self.error = error

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def until(self, true: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 60
        while not true():
            assert self._thread.is_alive()
            assert time.monotonic() < give_up
            time.sleep(0.05)

    def done(self) -> dict[str, Outcome]:
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error
        return self.outcomes


def _all_done(this_machine: Machine, names: str = NAMES) -> bool:
    ledger = Ledger(this_machine.places.outputs, apps.LEDGER)
    found = states(ledger.standings(jobs(*names)))
    return set(found.values()) == {JobState.DONE}


def test_a_worker_killed_in_the_middle_costs_an_attempt_of_its_job_and_no_more(
    aws: AwsServer, agent: Agent, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {"B": ["slow60"], "A": ["slow2"]})
    run = _Run(this_machine, _executor(this_machine), NAMES)
    run.until(lambda: (tmp_path / "B.attempt1").exists())
    for _ in range(len(agent.processes())):  # whichever has it
        agent.kill(0)
    found = run.done()
    assert all(outcome.done for outcome in found.values())
    assert len(found) == len(NAMES)
    assert _all_done(this_machine)
    assert (tmp_path / "B.attempt2").exists()
    assert _left(aws) == []


def test_a_machine_that_is_called_back_gives_its_jobs_to_others(
    aws: AwsServer, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {"A": ["slow60"]})
    with (
        Metadata() as metadata,
        Agent(aws, tmp_path / "agent", tasks_per_machine=1, metadata=metadata) as agent,
    ):
        run = _Run(this_machine, _executor(this_machine, visibility_s=600), "AB")
        run.until(lambda: (tmp_path / "A.attempt1").exists())
        metadata.notice()
        run.until(lambda: (tmp_path / "A.attempt2").exists())
        found = run.done()
        logs = "".join(agent.logs())
    assert all(outcome.done for outcome in found.values())
    assert "called back" in logs
    called = [call["operation"] for call in aws.calls()]
    assert "PutMetricAlarm" in called  # on the machine, should it idle
    assert aws.own("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_a_job_that_ends_its_worker_each_time_is_given_up_with_the_reason(
    aws: AwsServer, agent: Agent, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {"A": ["slow60"] * 9})
    # Alone: a job that its worker has taken ahead would lose that worker, too.
    run = _Run(this_machine, _executor(this_machine, visibility_s=6, retries=2), "A")
    seen = 0
    while run.is_alive():
        tries = len(list(tmp_path.glob("A.attempt*")))
        while tries > seen and agent.processes():
            agent.kill(0)
        seen = tries
        time.sleep(0.05)
    assert 1 <= seen <= 2  # a worker may be killed before it begins
    failure = run.done()["A"].failure
    assert failure is not None
    assert failure.kind is FailureKind.NODE_LOST
    assert "taken 2 times" in failure.message
    ledger = Ledger(this_machine.places.outputs, apps.LEDGER)
    assert states(ledger.standings(jobs("A")))["A"] is JobState.FAILED
    assert _left(aws) == []


def test_a_client_outlasts_throttling_and_expired_credentials(
    aws: AwsServer, agent: Agent, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {name: ["slow1"] for name in "ABCDEF"})
    executor = _executor(this_machine)
    run = _Run(this_machine, executor, NAMES)
    run.until(lambda: any(tmp_path.glob("*.attempt1")))
    aws.faults(
        {"service": "sqs", "operation": "GetQueueUrl", "kind": "expired", "times": 3},
        {
            "service": "sqs",
            "operation": "ReceiveMessage",
            "kind": "throttle",
            "times": 9,
        },
    )
    found = run.done()
    assert all(outcome.done for outcome in found.values())
    noted = [event.what for event in run.events if isinstance(event, Noted)]
    assert any("log in again" in what for what in noted)
    assert _all_done(this_machine)


def test_workers_finish_without_a_client_and_end_the_machines(
    aws: AwsServer, agent: Agent, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {})
    executor = _executor(this_machine)
    for job in jobs(*NAMES):
        executor.submit(job, 1)
    assert executor._step is not None
    executor._step.start(None, None)  # and then the client is gone
    give_up = time.monotonic() + 60
    while not _all_done(this_machine) or any(
        "fleet" in leftover for leftover in _left(aws)
    ):
        assert time.monotonic() < give_up
        time.sleep(0.2)
    services = [
        leftover for leftover in aws.leftovers() if leftover.startswith("service")
    ]
    assert len(services) == 1  # which bills nothing; its machines are gone
    while agent.processes():
        assert time.monotonic() < give_up
        time.sleep(0.1)
    # It finds all done, and takes all down.
    again = _Run(this_machine, _executor(this_machine), NAMES)
    assert all(outcome.done for outcome in again.done().values())
    assert not list(tmp_path.glob("*.attempt2"))
    assert _left(aws) == []


def test_a_record_says_what_was_made_and_that_it_is_down(
    aws: AwsServer, agent: Agent, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {"A": ["slow2"]})
    run = _Run(this_machine, _executor(this_machine), "A")
    path = tmp_path / apps.LEDGER / "aws.json"
    run.until(lambda: (tmp_path / "A.attempt1").exists())
    made = dict(json.loads(path.read_text())["made"])
    assert {"queue", "service", "task definition", "fleet", "cluster"} <= set(made)
    run.done()
    record = json.loads(path.read_text())
    assert record["made"] == []
    assert record["down"]
    assert record["owner"]


def _left(aws: AwsServer) -> list[str]:
    return [
        leftover for leftover in aws.leftovers() if not leftover.startswith("log group")
    ]
