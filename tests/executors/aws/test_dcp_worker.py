"""Distributed-CellProfiler's own worker: what it is told, and how it is followed."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpengine.config import DcpWorkerSection
from cpengine.config.steps import DoneRule
from cpengine.executors.aws import setup, task_definition
from cpengine.executors.aws.aws_executor import AwsExecutor
from cpengine.executors.aws.project_apps import ProjectApps
from cpengine.executors.aws.settings import DCP_IMAGE, Settings, not_followed
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState
from cpengine.model import FailureKind
from cpengine.planning.project import ResolvedProject
from cpengine.testing import jobs, machine
from tests.executors.aws import apps
from tests.services.aws.aws_server import AwsServer

RULE = DoneRule(2)
ALWAYS = {
    "AWS_REGION": "eu-west-1",
    "APP_NAME": "Lab_test",
    "SQS_QUEUE_URL": "https://queue",
    "AWS_BUCKET": "",
    "DOCKER_CORES": "2",
    "LOG_GROUP_NAME": "Lab_test",
    "CHECK_IF_DONE_BOOL": "False",
    "EXPECTED_NUMBER_FILES": "1",
    "ECS_CLUSTER": "Lab_test",
    "SECONDS_TO_START": "60",
    "MIN_FILE_SIZE_BYTES": "1",
    "USE_PLUGINS": "False",
    "NECESSARY_STRING": "",
    "DOWNLOAD_FILES": "False",
    "ALWAYS_CONTINUE": "False",
    "PYTHONHASHSEED": "0",
}
"""What DCP's `run.py` tells its worker in any case, but for keys; and what its worker
hands on to CellProfiler."""


def _environment(settings: Settings) -> dict[str, str]:
    made = task_definition.definition(
        settings, "https://queue", "eu-west-1", {"CPENGINE": "x"}
    )
    (container,) = made["containerDefinitions"]
    pairs = [(pair["name"], pair["value"]) for pair in container["environment"]]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_environment_is_dcps() -> None:
    assert _environment(apps.settings(worker="dcp")) == ALWAYS


def test_the_environment_with_everything_is_dcps() -> None:
    rule = DoneRule(5, 10, "Cells")
    section = DcpWorkerSection(
        upload_flags="--acl x",
        download_files=True,
        always_continue=True,
        use_plugins=True,
        update_plugins=True,
        plugins_commit="abc",
        install_requirements=True,
        requirements="[cellpose]",
    )
    settings = apps.settings(rule, section, worker="dcp")
    buckets = {
        "AWS_BUCKET": "a",
        "SOURCE_BUCKET": "s",
        "WORKSPACE_BUCKET": "w",
        "DESTINATION_BUCKET": "d",
    }
    settings = _with(settings, buckets=buckets)
    assert _environment(settings) == ALWAYS | buckets | {
        "CHECK_IF_DONE_BOOL": "True",
        "EXPECTED_NUMBER_FILES": "5",
        "MIN_FILE_SIZE_BYTES": "10",
        "NECESSARY_STRING": "Cells",
        "DOWNLOAD_FILES": "True",
        "ALWAYS_CONTINUE": "True",
        "USE_PLUGINS": "True",
        "UPLOAD_FLAGS": "--acl x",
        "UPDATE_PLUGINS": "True",
        "PLUGINS_COMMIT": "abc",
        "INSTALL_REQUIREMENTS": "True",
        "REQUIREMENTS": "[cellpose]",
    }


@pytest.mark.parametrize("worker", ["dcp", "cpengine"])
def test_all_that_containers_write_expires(
    aws: AwsServer, tmp_path: Path, worker: str
) -> None:
    app = apps.app(machine(tmp_path, {}), apps.settings(worker=worker))
    setup.setup(app)
    made = task_definition.definition(app.settings, "https://queue", "x", {})
    (container,) = made["containerDefinitions"]
    written = {
        _environment(app.settings)["LOG_GROUP_NAME"],
        container["logConfiguration"]["options"]["awslogs-group"],
    }
    groups = aws.own("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        name: 60 for name in written
    }


def _apps(folder: Path, more: str) -> ProjectApps:
    """A project's apps whose outputs are in a bucket of others."""
    (folder / "cpengine.toml").write_text(
        f'[project]\nname = "p"\nbatch = "b"\n[storage]\nroot = "s3://lab"\n'
        f'outputs = "s3://theirs/results"\n{more}'
    )
    return ProjectApps(ResolvedProject.load(folder), "")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('[storage.s3]\nupload_flags = "--sse"', "--sse"),
        ('[storage.buckets.theirs]\nupload_flags = "--sse"', "--sse"),
        ('[storage.buckets.lab]\nupload_flags = "--sse"', ""),
        (
            '[storage.s3]\nupload_flags = "--sse"\n'
            '[executors.aws.dcp]\nupload_flags = "--exclude x"',
            "--exclude x",
        ),
    ],
)
def test_dcps_worker_uploads_as_all_else(
    tmp_path: Path, more: str, expected: str
) -> None:
    apps_of = _apps(tmp_path, f'{more}\n[executors.aws]\nworker = "dcp"\n')
    assert apps_of._section().dcp.upload_flags == expected


def test_what_only_dcps_worker_follows_is_refused_with_ours() -> None:
    dcp = DcpWorkerSection(upload_flags="--sse", use_plugins=True, always_continue=True)
    ours = list(not_followed(apps.section(dcp=dcp)))
    assert [line.partition(": ")[0] for line in ours] == [
        "executors.aws.dcp.upload_flags",
        "executors.aws.dcp.always_continue",
        "executors.aws.dcp.use_plugins",
    ]
    assert "set storage.s3.upload_flags" in ours[0]
    assert not list(not_followed(apps.section(dcp=dcp, worker="dcp")))


def test_it_is_refused_before_machines_are_asked_for(
    aws: AwsServer, tmp_path: Path
) -> None:
    dcp = DcpWorkerSection(upload_flags="--sse")
    app = apps.app(machine(tmp_path, {}), apps.settings(dcp=dcp))
    lines = list(setup.preflight(app, 1))
    assert any(line.startswith("executors.aws.dcp.upload_flags: ") for line in lines)


@pytest.mark.parametrize("worker", ["dcp", "cpengine"])
def test_every_worker_gets_the_blas_kernel(worker: str) -> None:
    settings = _with(apps.settings(worker=worker), blas_kernel="Haswell")
    assert _environment(settings)["OPENBLAS_CORETYPE"] == "Haswell"


def _with(settings: Settings, **changed: Any) -> Settings:

    return replace(settings, **changed)


def test_our_own_container_gives_sets_one_order_too() -> None:
    assert _environment(apps.settings())["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize("worker", ["dcp", "cpengine"])
def test_no_keys_are_in_a_task_definition(worker: str) -> None:
    text = json.dumps(
        task_definition.definition(apps.settings(worker=worker), "q", "us-east-1", {})
    )
    assert "SECRET" not in text.upper()
    assert "ACCESS_KEY" not in text.upper()


def test_the_stock_container_is_as_dcp_makes_it() -> None:
    settings = apps.settings(worker="dcp", image=None, memory_mb=7500)
    made = task_definition.definition(settings, "q", "us-east-1", {})
    (container,) = made["containerDefinitions"]
    assert made["family"] == "Lab_testTask"
    assert container["name"] == "Lab_test"
    assert container["image"] == DCP_IMAGE
    assert container["privileged"] is True
    assert (container["cpu"], container["memory"]) == (2048, 7500)
    assert "command" not in container
    options = container["logConfiguration"]["options"]
    assert options["awslogs-group"] == "Lab_test_perInstance"
    assert options["awslogs-stream-prefix"] == "Lab_test"


Serve = Callable[[str], None]


@pytest.fixture
def stock(aws: AwsServer, tmp_path: Path) -> Iterator[Serve]:
    """Does with messages what DCP's worker does; some jobs never come to an end."""
    over = threading.Event()
    threads = []

    def serve(bad: str) -> None:
        sqs = aws.own("sqs")
        while not over.wait(0.1):
            try:
                url = sqs.get_queue_url(QueueName="Lab_testQueue")["QueueUrl"]
                got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
            except sqs.exceptions.QueueDoesNotExist:
                continue
            for message in got.get("Messages", ()):
                body = json.loads(message["Body"])
                assert set(body) <= {
                    "Metadata",
                    "pipeline",
                    "output",
                    "input",
                    "data_file",
                    "output_structure",
                }
                name = body["Metadata"].partition("=")[2]
                handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
                if name in bad:
                    sqs.change_message_visibility(VisibilityTimeout=0, **handle)
                    continue
                folder = tmp_path / body["output"] / name
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(2):
                    (folder / f"{number}.csv").write_text("made")
                    over.wait(0.5)
                with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
                    sqs.delete_message(**handle)  # the client may have ended the run

    def start(bad: str = "") -> None:
        threads.append(threading.Thread(target=serve, args=(bad,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def _executor(this_machine: Machine) -> AwsExecutor:
    settings = apps.settings(RULE, worker="dcp", image=None, job_retries=2)
    return AwsExecutor(this_machine, lambda step: apps.app(this_machine, settings))


def test_its_results_are_recognised_and_recorded(
    aws: AwsServer, stock: Serve, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {})
    stock("B")
    with this_machine, _executor(this_machine) as executor:
        found = {
            outcome.job.id: outcome for outcome in executor.run(jobs("A", "B", "C"))
        }
    assert [found[name].done for name in "ABC"] == [True, False, True]
    assert found["A"].files == {"0.csv": 4, "1.csv": 4}
    failure = found["B"].failure
    assert failure is not None
    assert failure.kind is FailureKind.NODE_LOST
    ledger = Ledger(this_machine.places.outputs, apps.LEDGER)
    standings = ledger.standings(jobs("A", "B", "C"))
    assert [standing.state for standing in standings] == [
        JobState.DONE,
        JobState.FAILED,
        JobState.DONE,
    ]
    assert [
        leftover for leftover in aws.leftovers() if not leftover.startswith("log group")
    ] == []


def test_files_of_an_earlier_run_do_not_count_before_it_has_run(
    aws: AwsServer, stock: Serve, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {})
    old = tmp_path / "out/A"
    old.mkdir(parents=True)
    for number in range(2):
        (old / f"{number}.csv").write_text("old")
    stock("")
    with this_machine, _executor(this_machine) as executor:
        (outcome,) = executor.run(jobs("A"))
    assert outcome.done
    assert (old / "1.csv").read_text() == "made"


def test_setting_up_for_it_gives_the_queue_dcps_attributes(
    aws: AwsServer, tmp_path: Path
) -> None:
    settings = apps.settings(worker="dcp", image=None, visibility_s=900, job_retries=3)
    app = apps.app(machine(tmp_path, {}), settings)
    got = setup.setup(app).attributes()
    assert got["VisibilityTimeout"] == "900"
    assert got["MessageRetentionPeriod"] == "1209600"
    assert got["MaximumMessageSize"] == "262144"
    policy = json.loads(got["RedrivePolicy"])
    assert int(policy["maxReceiveCount"]) == 3
    assert policy["deadLetterTargetArn"].endswith(":Lab_testDeadMessages")
