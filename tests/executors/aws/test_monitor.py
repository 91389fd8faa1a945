"""What a monitor makes of what it sees."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpengine.events import Event, Noted
from cpengine.executors.aws import down, launch, monitor, setup
from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.fleet import of_app
from cpengine.executors.aws.monitor import Monitor
from cpengine.executors.aws.queue import MessageCounts
from cpengine.testing import machine
from tests.executors.aws import apps
from tests.services.aws.aws_server import AwsServer


@pytest.fixture
def make(aws: AwsServer, tmp_path: Path) -> Any:
    """Makes a monitor of a run with so many machines of four slots each."""

    def made(machines: int = 3, **changed: Any) -> tuple[Monitor, list[Event]]:
        this_machine = machine(tmp_path, {})
        chosen = apps.settings(**{"cores": 4, "poll_s": 0.01} | changed)
        app = apps.app(this_machine, chosen)
        queue = setup.setup(app)
        launch.start_machines(app, machines, None)
        events: list[Event] = []
        return Monitor(app, queue, events.append), events

    return made


WANTED = {
    MessageCounts(1, 2, 0): None,  # messages wait: all are needed
    MessageCounts(0, 2, 1): None,
    MessageCounts(0, 12, 0): None,  # three machines of four slots are needed
    MessageCounts(0, 9, 0): None,
    MessageCounts(0, 8, 0): 2,
    MessageCounts(0, 1, 0): 1,
    MessageCounts(0, 0, 0): 1,
}


def test_too_many_machines_are_counted_in_machines(make: Any) -> None:
    watch, _ = make()
    assert {counts: watch.wanted(counts, 3) for counts in WANTED} == WANTED


def test_a_fleet_is_asked_to_shrink_and_ends_no_machine(
    make: Any, aws: AwsServer
) -> None:
    watch, events = make()
    watch.queue.send_one("x")
    watch.queue.receive(1, 0)
    watch._checked -= 60
    watch.check(1)
    (fleet,) = aws.own("ec2").describe_fleets()["Fleets"]
    assert fleet["TargetCapacitySpecification"]["TotalTargetCapacity"] == 1
    (noted,) = events
    assert isinstance(noted, Noted)
    assert noted.what.startswith("3 machines, 0 messages waiting, 1 in flight")
    assert watch.cost == pytest.approx(3 * 60 / 3600 * 0.20, rel=0.05)


def test_the_cheapest_mode_replaces_one_machine_only(make: Any) -> None:
    watch, _ = make(cheapest=True)
    assert watch.wanted(MessageCounts(9, 1, 0), 3) is None
    watch.begun -= 901
    assert watch.wanted(MessageCounts(9, 1, 0), 3) == 1


def test_a_budget_that_is_used_up_ends_the_run(make: Any) -> None:
    watch, _ = make(budget_usd=0.05)
    watch._checked -= 600
    with pytest.raises(AwsError, match=r"have cost about \$0\.10, the budget is"):
        watch.check(1)


def test_each_machine_has_an_alarm_also_without_a_worker(
    make: Any, aws: AwsServer
) -> None:
    watch, _ = make(alarms=True)
    for _ in range(2):
        watch._checked -= 60
        watch.check(1)
    names = {
        f"Lab_test_{name}" for each in of_app(watch.app) for name in each.machines()
    }
    assert len(names) == 3
    assert {*down.alarms(watch.app.aws, "Lab_test")} == names
    down.down(watch.app, wait_s=0)
    assert down.alarms(watch.app.aws, "Lab_test") == []


def test_a_refused_alarm_is_noted_and_the_run_goes_on(
    make: Any, aws: AwsServer
) -> None:
    watch, events = make(machines=1, alarms=True)
    aws.faults({"operation": "PutMetricAlarm", "kind": "denied"})
    watch._checked -= 60
    watch.check(1)
    assert "no alarm ends i-" in events[0].what


def test_following_outlasts_what_passes_and_no_more(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, events = make(machines=1)
    busy = AwsError("AWS is busy", passing=True)
    answers = [busy, busy, None, AwsError("denied")]

    def check(jobs_left: int) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(watch, "check", check)
    with pytest.raises(AwsError, match="denied"):
        watch.follow()
    assert [event.what for event in events] == ["AWS is busy"] * 2


def test_machines_that_are_gone_end_the_run(make: Any) -> None:
    watch, _ = make()
    watch.queue.send_one("x")
    down.stop_billing(watch.app)
    watch._checked -= 60
    with pytest.raises(AwsError, match="its machines are gone"):
        watch.check(1)


def test_machines_that_take_no_message_are_reported(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, events = make()
    watch.queue.send_one("x")
    for _ in range(2):
        watch._checked -= 60
        watch.check(1)
        monkeypatch.setattr(monitor, "_IDLE_S", 0.0)
    assert "none has taken a message" in events[-1].what


def test_dashboard_and_record_are_made_and_removed(make: Any, aws: AwsServer) -> None:
    watch, _ = make()
    boards = aws.own("cloudwatch").list_dashboards()["DashboardEntries"]
    assert [board["DashboardName"] for board in boards] == ["Lab_test"]
    assert watch.app.record.has("dashboard", "Lab_test")
    down.down(watch.app, wait_s=0)
    assert aws.own("cloudwatch").list_dashboards()["DashboardEntries"] == []


@pytest.mark.parametrize("worker", ["cpengine", "dcp"])
def test_a_dashboard_shows_machines_and_counts_jobs(
    make: Any, aws: AwsServer, worker: str
) -> None:
    watch, _ = make(worker=worker)
    body = aws.own("cloudwatch").get_dashboard(DashboardName="Lab_test")
    widgets = {
        widget["properties"]["title"]: widget["properties"]
        for widget in json.loads(body["DashboardBody"])["widgets"]
    }
    (fleet,) = of_app(watch.app)
    assert widgets["machines"]["metrics"] == [
        ["AWS/EC2Spot", "FulfilledCapacity", "FleetRequestId", fleet.id],
        ["AWS/EC2Spot", "TargetCapacity", "FleetRequestId", fleet.id],
    ]
    counted = "outcome" if worker == "cpengine" else "cellprofiler -c"
    assert widgets["jobs"]["query"].startswith("SOURCE 'Lab_test' | ")
    assert counted in widgets["jobs"]["query"]
    places = {
        tuple(w[k] for k in "xy") for w in json.loads(body["DashboardBody"])["widgets"]
    }
    assert len(places) == len(widgets) == 6


def test_a_dashboard_that_fails_late_ends_no_start(make: Any, aws: AwsServer) -> None:
    aws.faults({"operation": "PutDashboard", "kind": "denied", "nth": 2})
    watch, _ = make()
    assert len(of_app(watch.app)) == 1


def test_logs_are_exported_and_removed_where_that_is_wanted(
    make: Any, aws: AwsServer
) -> None:
    aws.make("lab-logs")
    watch, _ = make(export_logs=True, keep_logs=False)
    logs = aws.own("logs")
    stream = {"logGroupName": "Lab_test", "logStreamName": "A"}
    logs.create_log_stream(**stream)
    events = [{"timestamp": 1_790_000_000_000, "message": "said"}]
    logs.put_log_events(logEvents=events, **stream)
    app = replace(
        watch.app,
        settings=replace(watch.app.settings, buckets={"AWS_BUCKET": "lab-logs"}),
    )
    assert down.down(app, wait_s=0) == []
    exported = aws.objects("lab-logs", "exportedlogs/Lab_test/")
    assert any(name.endswith(".gz") for name in exported)
    assert aws.leftovers() == []


def test_jobs_tell_how_many_machines_are_asked_for() -> None:
    settings = apps.settings(machines=5, cores=4, tasks_per_machine=2)
    assert [settings.machines_for(n) for n in (1, 8, 9, 40, 400)] == [1, 1, 2, 5, 5]


@pytest.mark.parametrize(
    "refused", ["CreateExportTask", "DescribeExportTasks", "no bucket", "FAILED"]
)
def test_logs_that_are_not_in_the_bucket_stay(
    make: Any, aws: AwsServer, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    watch, _ = make(machines=1, export_logs=True, keep_logs=False)
    aws.make("lab-logs")
    bucket = "nowhere" if refused == "no bucket" else "lab-logs"
    settings = replace(watch.app.settings, buckets={"AWS_BUCKET": bucket})
    app = replace(watch.app, settings=settings)
    failed = {"exportTasks": [{"status": {"code": "FAILED"}}]}
    if refused.endswith(("Task", "Tasks")):
        aws.faults({"operation": refused, "kind": "denied"})
    with monkeypatch.context() as patch:
        if refused == "FAILED":
            patch.setattr(app.aws.logs, "describe_export_tasks", lambda **_: failed)
        with pytest.raises(AwsError) as caught:
            down.down(app, wait_s=0)
    assert len(str(caught.value).splitlines()) == 1
    assert aws.leftovers() == ["log group: Lab_test", "log group: Lab_test_perInstance"]
    # Once they can be exported, or are not wanted any more, they go.
    aws.faults()
    settings = replace(settings, buckets={"AWS_BUCKET": "lab-logs"})
    assert down.down(replace(app, settings=settings), wait_s=0) == []
    assert aws.leftovers() == []


def test_logs_that_no_bucket_is_for_stay(make: Any, aws: AwsServer) -> None:
    watch, _ = make(machines=1, export_logs=True, keep_logs=False)
    remaining = down.down(watch.app, wait_s=0)
    assert [line.rpartition(": ")[2] for line in remaining] == [
        "kept, for it is not in the bucket"
    ] * 2
