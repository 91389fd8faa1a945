"""Setup, submit, start and down: each call failing once, in turn."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpengine.executors.aws import down, fleet, fleet_claim, launch, setup, submit
from cpengine.executors.aws.app import App
from cpengine.executors.aws.audit import audit
from cpengine.executors.aws.client import Aws, AwsError
from cpengine.executors.aws.fleet import Fleet, of_app, request
from cpengine.executors.aws.project_apps import open_app
from cpengine.executors.aws.record import AwsRecord
from cpengine.executors.aws.settings import settle
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.testing import jobs, machine
from tests.executors.aws import apps
from tests.services.aws.aws_server import AwsServer

WANTED = [(job, 1) for job in jobs("A", "B", "C")]
FAULTS = ("denied", "lost")
READS = ("Describe", "Get", "List", "Head")


@pytest.fixture
def this_machine(tmp_path: Path) -> Machine:
    return machine(tmp_path, {})


@pytest.fixture
def account(aws: AwsServer) -> Aws:
    """One for a test: clients take long to make."""
    return Aws()


def _phases(this_machine: Machine, account: Aws) -> dict[str, Callable[[], object]]:
    """What a user does, one after another; each reads the record anew."""

    def app() -> App:
        return apps.app(this_machine, aws=account)

    ledger = Ledger(this_machine.places.outputs, apps.LEDGER)
    return {
        "setup": lambda: setup.setup(app()),
        "submit": lambda: submit.submit(app(), ledger, WANTED, app().queue()),
        "start": lambda: launch.start_machines(app(), 2, None),
        "down": lambda: down.down(app(), wait_s=0),
    }


def _left(aws: AwsServer) -> list[str]:
    return [
        leftover for leftover in aws.leftovers() if not leftover.startswith("log group")
    ]


def _is_known(leftover: str, record: AwsRecord | None) -> bool:
    """Whether the record has a thing, or what it belongs to."""
    assert record is not None
    kind, _, name = leftover.partition(": ")
    if kind in ("instance", "running instance"):
        return bool(record.names("fleet to be"))
    return any(name.startswith(known) for _, known in record.made) or (
        "fleet" in kind and bool(record.names("fleet to be"))
    )


def test_phases_can_be_done_again_and_make_nothing_twice(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    phases = _phases(this_machine, account)
    for name in ("setup", "submit", "start"):
        phases[name]()
    before = _left(aws)
    for name in ("setup", "submit", "start"):
        phases[name]()
    assert _left(aws) == before
    assert apps.app(this_machine, aws=account).queue().counts().waiting == len(WANTED)
    for _ in range(2):
        phases["down"]()
        assert _left(aws) == []


@pytest.mark.parametrize("kind", FAULTS)
def test_every_call_may_fail_once(
    aws: AwsServer, account: Aws, this_machine: Machine, kind: str
) -> None:
    aws.reset_calls()
    for phase in _phases(this_machine, account).values():
        phase()
    calls = [call["operation"] for call in aws.calls()]
    assert len(calls) > 30
    for number, operation in enumerate(calls, 1):
        # One that changes nothing is as well done twice.
        if kind == "denied" or not operation.startswith(READS):
            _with_a_fault(aws, account, this_machine, {"nth": number, "kind": kind})


def test_what_a_client_leaves_that_was_killed_at_any_call_is_taken_down(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    aws.reset_calls()
    for phase in _phases(this_machine, account).values():
        phase()
    calls = [call["operation"] for call in aws.calls()]
    for number, operation in enumerate(calls, 1):
        if operation.startswith(READS):
            continue
        phases = _phases(this_machine, account)
        aws.faults({"nth": number, "kind": "denied"})
        all(_error_of(phase) is None for phase in phases.values())
        aws.faults()
        phases["down"]()
        assert _left(aws) == [], (number, operation)


def _with_a_fault(
    aws: AwsServer, account: Aws, this_machine: Machine, fault: dict[str, object]
) -> None:
    aws.faults(fault)
    for name, phase in _phases(this_machine, account).items():
        wrong = _error_of(phase)
        if wrong is not None:
            assert len(wrong.splitlines()) == 1
            record = AwsRecord.read(this_machine.places.outputs, apps.LEDGER)
            unknown = [o for o in _left(aws) if not _is_known(o, record)]
            assert unknown == [], fault
            phase()
        if name == "submit":
            # A batch whose answer is lost is sent again: workers see what is done.
            twice = len(WANTED) if fault["kind"] == "lost" else 0
            assert _waiting(aws) in (len(WANTED), len(WANTED) + twice), fault
        if name == "start":
            asked = aws.own("ec2").describe_fleets()["Fleets"]
            assert [fleet["FleetState"] for fleet in asked].count("active") == 1, fault
    assert _left(aws) == [], fault
    aws.faults()


def _error_of(phase: Callable[[], object]) -> str | None:
    try:
        phase()
    except AwsError as error:
        return str(error)
    return None


def _waiting(aws: AwsServer) -> int:
    sqs = aws.own("sqs")
    url = sqs.get_queue_url(QueueName="Lab_testQueue")["QueueUrl"]
    name = "ApproximateNumberOfMessages"
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return int(got["Attributes"][name])


def test_a_queue_of_another_project_is_never_touched(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    sqs = aws.own("sqs")
    tags = {"cpengine:project": "Theirs"}
    url = sqs.create_queue(QueueName="Lab_testQueue", tags=tags)["QueueUrl"]
    other = sqs.create_queue(QueueName="Lab_testQueue2")["QueueUrl"]
    for each in (url, other):
        sqs.send_message(QueueUrl=each, MessageBody="theirs")
    with pytest.raises(AwsError, match="belongs to project Theirs"):
        setup.setup(apps.app(this_machine, aws=account))
    down.down(apps.app(this_machine, aws=account), wait_s=0)
    for each in (url, other):
        (message,) = sqs.receive_message(QueueUrl=each)["Messages"]
        assert message["Body"] == "theirs"


def test_changed_settings_are_applied(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    setup.setup(apps.app(this_machine, aws=account))
    changed = apps.settings(visibility_s=77, memory_mb=9000)
    setup.setup(apps.app(this_machine, changed, account))
    queue = apps.app(this_machine, aws=account).queue()
    assert queue.attributes()["VisibilityTimeout"] == "77"
    service = apps.app(this_machine, aws=account).service()
    assert service is not None
    task = aws.own("ecs").describe_task_definition(
        taskDefinition=str(service["taskDefinition"])
    )["taskDefinition"]
    assert task["containerDefinitions"][0]["memory"] == 9000
    down.down(apps.app(this_machine, aws=account), wait_s=0)
    assert _left(aws) == []


def test_down_works_from_names_and_tags_alone(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    for name in ("setup", "submit", "start"):
        _phases(this_machine, account)[name]()
    this_machine.places.outputs.remove(f"{apps.LEDGER}/aws.json")
    down.down(apps.app(this_machine, aws=account), wait_s=0)
    assert _left(aws) == []


def test_a_record_of_another_app_holds_off_no_end(
    aws: AwsServer,
    account: Aws,
    this_machine: Machine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("setup", "submit", "start"):
        _phases(this_machine, account)[name]()
    outputs = this_machine.places.outputs
    AwsRecord(outputs, apps.LEDGER, "Evil\nerror: x", cluster="theirs").write()
    with pytest.raises(AwsError, match="take it down first"):
        apps.app(this_machine, aws=account)
    ours = open_app(account, apps.settings(), outputs, apps.LEDGER, {}, to_end=True)
    (line,) = caplog.messages
    assert "has what Evil\\nerror: x made on AWS" in line
    down.down(ours, wait_s=0)
    assert _left(aws) == []
    there = AwsRecord.read(outputs, apps.LEDGER)
    assert there is not None
    assert (there.app, there.down) == ("Evil\nerror: x", "")


def test_a_record_ends_no_machines_of_others(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    _phases(this_machine, account)["setup"]()
    asked = launch.start_machines(apps.app(this_machine, aws=account), 1, None)
    chosen = settle(apps.section(), "test", project="Else", base="Else")
    other = open_app(account, chosen, this_machine.places.outputs, "elsewhere", {})
    other.record.note("fleet", asked.id)
    down.stop_billing(other)
    assert [each.id for each in of_app(apps.app(this_machine, aws=account))] == [
        asked.id
    ]
    down.down(apps.app(this_machine, aws=account), wait_s=0)


def test_all_fleets_are_ended_also_when_one_cannot_be(
    aws: AwsServer,
    account: Aws,
    this_machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _phases(this_machine, account)["setup"]()
    app = apps.app(this_machine, aws=account)
    stuck, other = (_another(app) for _ in range(2))
    cancel = Fleet.cancel

    def refuse(each: Fleet) -> None:
        if each.id == stuck.id:
            raise AwsError("AWS does not end it")
        cancel(each)

    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "cancel", refuse)
        with pytest.raises(AwsError, match="does not end it"):
            down.stop_billing(app)
    assert [each.id for each in of_app(app)] == [stuck.id]
    down.down(app, wait_s=0)
    assert other.id not in {each.id for each in of_app(app)}


def test_a_log_group_whose_maker_was_killed_expires_all_the_same(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    app = apps.app(this_machine, aws=account)
    for name in app.settings.log_groups:
        app.record.note("log group", name)
        account.logs.create_log_group(logGroupName=name)
    setup.setup(apps.app(this_machine, aws=account))
    groups = account.logs.describe_log_groups()["logGroups"]
    days = app.settings.section.log_days
    assert [group["retentionInDays"] for group in groups] == [days] * len(groups)
    down.down(apps.app(this_machine, aws=account), wait_s=0)


def _another(app: App) -> Fleet:
    """A fleet beside those that are there, as older versions let happen."""
    fleet_claim.give_up(app.record)
    return request(app, 1, None)


def test_two_starts_at_once_make_one_fleet(
    aws: AwsServer, account: Aws, this_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.setup(apps.app(this_machine, aws=account))
    # Each has looked before the other one asks.
    both = [apps.app(this_machine, aws=account) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(launch.fleet, "of_app", lambda app: [])
        patch.setattr(launch.fleet, "_shown", lambda app: of_app(app)[0])
        with ThreadPoolExecutor() as pool:
            asked = list(
                pool.map(lambda app: launch.start_machines(app, 2, None), both)
            )
    (there,) = of_app(both[0])
    assert {each.id for each in asked} == {there.id}
    assert len(there.machines()) == 2
    (second,) = {each.asked_by for each in asked} - {""}
    assert re.fullmatch(r".+ on .+, \d{4}-\d\d-\d\dT.*", second)
    down.down(both[0], wait_s=0)
    assert _left(aws) == []


def test_after_a_fleet_that_is_gone_comes_another(
    aws: AwsServer, account: Aws, this_machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "_SHOWN_S", 0.1)
    phases = _phases(this_machine, account)
    phases["setup"]()
    phases["start"]()
    app = apps.app(this_machine, aws=account)
    (gone,) = of_app(app)
    gone.cancel()  # by its time limit, or by hand
    phases["start"]()
    (there,) = of_app(app)
    assert there.id != gone.id
    phases["down"]()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"token": 1}'])
def test_a_damaged_claim_is_made_anew(
    aws: AwsServer, account: Aws, this_machine: Machine, damage: bytes
) -> None:
    phases = _phases(this_machine, account)
    phases["setup"]()
    outputs = this_machine.places.outputs
    outputs.write(f"{apps.LEDGER}/{fleet_claim.NAME}", damage)
    phases["start"]()
    (there,) = of_app(apps.app(this_machine, aws=account))
    assert len(there.machines()) == 2
    phases["down"]()
    assert outputs.read_if_there(f"{apps.LEDGER}/{fleet_claim.NAME}") is None


@pytest.mark.parametrize("refused", ["PutDashboard", "UpdateService"])
def test_no_machine_is_asked_for_where_something_else_is_refused(
    aws: AwsServer, account: Aws, this_machine: Machine, refused: str
) -> None:
    phases = _phases(this_machine, account)
    phases["setup"]()
    aws.faults({"operation": refused, "kind": "denied"})
    with pytest.raises(AwsError, match="give your role the rights"):
        phases["start"]()
    aws.faults()
    assert of_app(apps.app(this_machine, aws=account)) == []
    phases["down"]()


def _left_in(account: Aws) -> list[str]:
    return [left.kind for left in audit(account) if left.bills]


def test_a_run_is_seen_and_ended_where_it_was_started(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    for name in ("setup", "submit", "start"):
        _phases(this_machine, account)[name]()
    elsewhere, outputs = account.in_region("eu-west-1"), this_machine.places.outputs
    with pytest.raises(AwsError, match="region us-east-1, and not eu-west-1: take it"):
        apps.app(this_machine, aws=elsewhere)
    assert "fleet" in _left_in(account)
    found = open_app(elsewhere, apps.settings(), outputs, apps.LEDGER, {}, to_end=True)
    assert found.aws.region == "us-east-1"
    down.down(found, wait_s=0)
    assert (_left(aws), _left_in(account)) == ([], [])
    again = apps.app(this_machine, aws=elsewhere)
    assert (again.aws.region, again.record.region) == ("eu-west-1", "eu-west-1")


def test_a_run_is_ended_in_the_cluster_that_it_was_started_in(
    aws: AwsServer, account: Aws, this_machine: Machine
) -> None:
    for name in ("setup", "submit", "start"):
        _phases(this_machine, account)[name]()
    changed, outputs = apps.settings(cluster="other"), this_machine.places.outputs
    with pytest.raises(AwsError, match="cluster Lab_test, and not other"):
        apps.app(this_machine, changed, aws=account)
    down.down(
        open_app(account, changed, outputs, apps.LEDGER, {}, to_end=True), wait_s=0
    )
    assert _left(aws) == []


@pytest.mark.parametrize("to_end", [False, True])
def test_a_run_of_another_account_is_left_alone(
    aws: AwsServer, account: Aws, this_machine: Machine, to_end: bool
) -> None:
    setup.setup(apps.app(this_machine, aws=account))
    outputs = this_machine.places.outputs
    record = AwsRecord.read(outputs, apps.LEDGER)
    assert record is not None
    assert record.account == account.account
    record.account = "210987654321"
    record.write()
    with pytest.raises(
        AwsError, match="in account 210987654321, and these credentials"
    ):
        open_app(account, apps.settings(), outputs, apps.LEDGER, {}, to_end=to_end)
    after = AwsRecord.read(outputs, apps.LEDGER)
    assert after is not None
    assert after.down == ""
