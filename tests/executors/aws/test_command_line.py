"""`cpengine aws ...` and `run --on aws` as a user types them, and what is refused."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpengine.executors.aws.record import AwsRecord
from cpengine.ledger.heartbeat import Heartbeat
from cpengine.planning.job_list import ids
from cpengine.project import Project
from tests.executors.aws import plates
from tests.plain_runs import Cpengine, small_plate
from tests.services.aws.aws_server import AwsServer

RUN = ("run", "illum", "--on", "aws")
FLEET = {
    "IamFleetRole": "arn:aws:iam::123456789012:role/fleet",
    "LaunchSpecifications": [
        {"ImageId": "ami-12c6146b", "IamInstanceProfile": {"Arn": "arn:aws:iam::x"}}
    ],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A plate on which nothing has run."""
    return small_plate(tmp_path_factory.mktemp("small"), wells=1, sites=1)


@pytest.fixture
def there(aws: AwsServer, small: Project, tmp_path: Path) -> Project:
    """That plate in a bucket."""
    plates.allow(aws)
    return plates.in_bucket(aws, small, tmp_path / "project", plates.SECTION)


def _change(project: Project, *pairs: tuple[str, str]) -> None:
    path = project.folder / "cpengine.toml"
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


Break = Callable[[AwsServer, Project], Any]


def _other_region(aws: AwsServer, project: Project) -> None:
    _change(project, ("[executors.aws]", '[executors.aws]\nregion = "eu-west-1"'))


def _foreign_queue(aws: AwsServer, project: Project) -> None:
    tags = {"cpengine:project": "theirs"}
    aws.own("sqs").create_queue(QueueName="demo_IllumQueue", tags=tags)


def _fleet(*missing: str) -> Break:
    def write(aws: AwsServer, project: Project) -> None:
        _change(project, ("[executors.aws]", '[executors.aws]\nfleet = "fleet.json"'))
        data = {k: v for k, v in FLEET.items() if k not in missing}
        (project.folder / "fleet.json").write_text(json.dumps(data))

    return write


def _no_fleet(aws: AwsServer, project: Project) -> None:
    _change(project, ("[executors.aws]", '[executors.aws]\nfleet = "fleet.json"'))


WRONG: dict[str, tuple[Break, str]] = {
    "no such bucket": (
        lambda aws, project: aws.delete(plates.BUCKET),
        "there is no such bucket",
    ),
    "no instance profile": (
        lambda aws, project: aws.own("iam").delete_instance_profile(
            InstanceProfileName="ecsInstanceRole"
        ),
        "there is no ecsInstanceRole",
    ),
    "no task role": (
        lambda aws, project: _change(
            project, ("cores = 1", 'cores = 1\ntask_role = "workers"')
        ),
        "there is no role workers",
    ),
    "another region": (_other_region, "set executors.aws.region to 'us-east-1'"),
    "too small a quota": (
        lambda aws, project: aws.quota(3),
        "the account may have 3 as spot machines",
    ),
    "no image": (
        lambda aws, project: _change(project, ('image = "cpengine-worker"', "")),
        "executors.aws.image: is missing",
    ),
    "a fleet file without keys": (_fleet("LaunchSpecifications"), "is missing: add it"),
    "no fleet file": (_no_fleet, "name your spot fleet file"),
    "a name that AWS does not take": (
        lambda aws, project: _change(
            project, ('name = "demo"', 'name = "demo"\napp_name = "my.plate"')
        ),
        "AWS takes letters",
    ),
    "a queue of another project": (_foreign_queue, "belongs to project theirs"),
    "expired credentials": (
        lambda aws, project: aws.faults({"service": "sts", "kind": "expired"}),
        "log in again",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_run_is_one_line_before_anything_costs(
    aws: AwsServer, there: Project, cpengine: Cpengine, name: str
) -> None:
    spoil, message = WRONG[name]
    spoil(aws, there)
    ran = cpengine(*RUN, "--yes", "-C", there.folder)
    assert ran.returncode == 2
    lines = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, ran.stderr
    assert message in lines[0]
    assert "Traceback" not in ran.stderr
    left = [leftover for leftover in aws.leftovers() if "log group" not in leftover]
    assert left == (["queue: demo_IllumQueue"] if "queue" in name else [])


def test_without_a_terminal_it_costs_only_after_yes(
    aws: AwsServer, there: Project, cpengine: Cpengine
) -> None:
    ran = cpengine(*RUN, "-C", there.folder)
    assert ran.returncode == 2
    assert "at most $0.20 an hour" in ran.stderr
    assert "say --yes to start it" in ran.stderr
    assert aws.leftovers() == []


@pytest.mark.cellprofiler
def test_a_project_in_a_folder_is_refused(small: Project, cpengine: Cpengine) -> None:
    ran = cpengine(*RUN, "--yes", "-C", small.folder)
    assert ran.returncode == 2
    assert "is not in a bucket" in ran.stderr


def test_a_budget_bounds_the_life_of_machines(
    aws: AwsServer, there: Project, cpengine: Cpengine
) -> None:
    _change(there, ("cores = 1", "cores = 1\nbudget_usd = 0.4"))
    ran = cpengine(*RUN, "-C", there.folder)
    assert re.search(r"AWS ends them after 2\.0 h, at \$0\.40", ran.stderr)


@pytest.fixture
def phase(there: Project, cpengine: Cpengine) -> Callable[..., str]:
    """Runs a phase that must go well; gives what it said."""

    def run(*arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = cpengine(
            "aws", *arguments, "-C", there.folder
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_phases_one_by_one(
    aws: AwsServer, there: Project, phase: Callable[..., str], tmp_path: Path
) -> None:
    _fleet()(aws, there)
    assert "ready" in phase("setup", "illum")
    assert "sent 1 of 1 jobs" in phase("submit", "illum")
    assert "in the queue already" in phase("submit", "illum")
    assert "asked for 1 machines: fleet sfr-" in phase("start", "illum", "--yes")
    path = there.folder / "files/demo_IllumSpotFleetRequestId.json"
    monitor = json.loads(path.read_text())
    assert set(monitor) == {
        "MONITOR_FLEET_ID",
        "MONITOR_APP_NAME",
        "MONITOR_ECS_CLUSTER",
        "MONITOR_QUEUE_NAME",
        "MONITOR_BUCKET_NAME",
        "MONITOR_LOG_GROUP_NAME",
        "MONITOR_START_TIME",
        "CLEAN_DASHBOARD",
    }
    assert monitor["MONITOR_QUEUE_NAME"] == "demo_IllumQueue"
    status = json.loads(phase("monitor", "illum", "--once", "--json"))
    assert status["machines"] == 1
    assert status["messages"]["waiting"] == 1
    assert "taken down" in phase("down", "illum")
    left = [leftover for leftover in aws.leftovers() if "log group" not in leftover]
    assert left == []
    assert "log group" in phase("audit")


def test_jobs_of_a_run_that_goes_on_are_not_sent(
    there: Project, phase: Callable[..., str], cpengine: Cpengine
) -> None:
    phase("setup", "illum")
    plan = there.plan("illum")
    ledger = there.ledger(plan.step)
    with Heartbeat(ledger, "20260101T000000Z-0000", list(ids(plan.jobs)), lambda: ""):
        ran = cpengine("aws", "submit", "illum", "-C", there.folder)
    assert ran.returncode == 2, ran.stdout
    assert ran.stderr.startswith("error: illum: 1 of the 1 job to run is with ")


def test_an_audit_says_that_a_step_has_something_in_another_account(
    there: Project, phase: Callable[..., str], cpengine: Cpengine
) -> None:
    phase("setup", "illum")
    ledger = there.ledger(there.step("illum"))
    record = AwsRecord.read(ledger.storage, ledger.folder)
    assert record is not None
    record.account = "210987654321"
    record.write()
    ran = cpengine("aws", "audit", "-C", there.folder)
    assert ran.returncode == 2, ran.stdout
    assert "what it has on AWS is in account 210987654321" in ran.stderr


def test_a_record_of_another_app_holds_off_no_command_that_ends_a_run(
    aws: AwsServer, there: Project, phase: Callable[..., str], cpengine: Cpengine
) -> None:
    phase("setup", "illum")
    ledger = there.ledger(there.step("illum"))
    AwsRecord(ledger.storage, ledger.folder, "Evil").write()
    assert json.loads(phase("monitor", "illum", "--once", "--json"))["machines"] == 0
    ran = cpengine("aws", "down", "illum", "-C", there.folder)
    assert ran.returncode == 0
    assert "has what Evil made on AWS" in ran.stderr
    left = [leftover for leftover in aws.leftovers() if "log group" not in leftover]
    assert left == []


def test_audit_fails_as_long_as_something_costs(
    aws: AwsServer, there: Project, phase: Callable[..., str], cpengine: Cpengine
) -> None:
    for arguments in (("setup", "illum"), ("submit", "illum")):
        phase(*arguments)
    phase("start", "illum", "--yes")
    ran = cpengine("aws", "audit", "-C", there.folder)
    assert ran.returncode == 1
    assert "bills" in ran.stdout
    phase("down", "illum")
    assert cpengine("aws", "audit", "-C", there.folder).returncode == 0


def test_a_run_in_another_region_is_found_and_taken_down(
    aws: AwsServer, there: Project, phase: Callable[..., str], cpengine: Cpengine
) -> None:
    for arguments in (("setup", "illum"), ("submit", "illum")):
        phase(*arguments)
    phase("start", "illum", "--yes")
    _other_region(aws, there)
    ran = cpengine("aws", "audit", "-C", there.folder)
    assert ran.returncode == 1
    assert "in us-east-1, bills" in ran.stdout
    ran = cpengine("aws", "start", "illum", "--yes", "-C", there.folder)
    assert "region us-east-1, and not eu-west-1: take it down first" in ran.stderr
    assert "taken down" in phase("down", "illum")
    assert json.loads(phase("audit", "--json")) == []


def test_a_budget_that_is_used_up_takes_all_down(
    aws: AwsServer, there: Project, phase: Callable[..., str], cpengine: Cpengine
) -> None:
    _change(there, ("cores = 1", "cores = 1\nbudget_usd = 0.000001"))
    for arguments in (("setup", "illum"), ("submit", "illum")):
        phase(*arguments)
    phase("start", "illum", "--yes")
    ran = cpengine("aws", "monitor", "illum", "-C", there.folder)
    assert ran.returncode == 2
    assert "the budget is $" in ran.stderr
    left = json.loads(phase("audit", "--json"))
    assert {each["kind"] for each in left} == {"log group"}


def test_a_job_file_of_dcp_is_sent(
    aws: AwsServer,
    there: Project,
    phase: Callable[..., str],
    cpengine: Cpengine,
    tmp_path: Path,
) -> None:
    path = tmp_path / "job.json"
    made = cpengine("plan", "illum", "--dcp-job", path, "-C", there.folder)
    assert made.returncode == 0, made.stderr
    phase("setup", "illum")
    output = phase("import", "illum", str(path))
    assert "1 of them as the step's own" in output
    data = json.loads(path.read_text())
    data["output"] = "elsewhere"
    path.write_text(json.dumps(data))
    assert "0 of them" in phase("import", "illum", str(path))
    sqs = aws.own("sqs")
    url = sqs.get_queue_url(QueueName="demo_IllumQueue")["QueueUrl"]
    bodies = []
    while got := sqs.receive_message(QueueUrl=url).get("Messages"):
        bodies += [json.loads(message["Body"]) for message in got]
    outputs = sorted(body["output"] for body in bodies)
    assert outputs == ["elsewhere", "projects/demo/2026_01_01_Batch1/illum"]
    phase("down", "illum")
