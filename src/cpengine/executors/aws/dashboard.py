"""The dashboard of a run, and alarms that end machines which idle."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws

_PERIOD_S = 60
_IDLE_PERIODS = 15
_IDLE_PERCENT = 1.0
_JOBS = {
    "cpengine": r"parse @message /^(?<outcome>done|failed)[,:]/ | filter ispresent("
    "outcome) | stats count_distinct(@logStream) as jobs by outcome",
    "dcp": "filter @message like 'cellprofiler -c' | stats count_distinct(@message) "
    "as jobs, count(*) as starts",
}
"""How many jobs there were, by the lines that each worker writes to their logs."""


def put_alarm(aws: Aws, app: str, instance: str) -> None:
    """End a machine whose CPU stays below 1 % for 15 minutes; its fleet replaces it."""
    aws.cloudwatch.put_metric_alarm(
        AlarmName=f"{app}_{instance}",
        AlarmDescription=f"cpengine: an idle machine of {app}",
        AlarmActions=[f"arn:aws:automate:{aws.region}:ec2:terminate"],
        MetricName="CPUUtilization",
        Namespace="AWS/EC2",
        Statistic="Maximum",
        Dimensions=[{"Name": "InstanceId", "Value": instance}],
        Period=_PERIOD_S,
        EvaluationPeriods=_IDLE_PERIODS,
        Threshold=_IDLE_PERCENT,
        ComparisonOperator="LessThanThreshold",
    )


def put_dashboard(app: App, fleet: str = "") -> None:
    """Show queue, machines, jobs, memory and errors, as Distributed-CellProfiler does.

    Parameters
    ----------
    fleet
        The request for machines; without one they are not shown.
    """
    app.record.note("dashboard", app.name)
    widgets = [*_of_fleet(fleet, app.aws.region), *_widgets(app)]
    body = json.dumps({"widgets": list(_placed(widgets))})
    app.aws.cloudwatch.put_dashboard(DashboardName=app.name, DashboardBody=body)


def _of_fleet(fleet: str, region: str) -> Iterator[dict[str, Any]]:
    """Machines that there are, and that were asked for."""
    if fleet:
        names = ("FulfilledCapacity", "TargetCapacity")
        metrics = [["AWS/EC2Spot", name, "FleetRequestId", fleet] for name in names]
        yield _metrics("machines", region, metrics)


def _widgets(app: App) -> Iterator[dict[str, Any]]:
    settings, region = app.settings, app.aws.region
    visible, hidden = (
        f"ApproximateNumberOfMessages{k}" for k in ("Visible", "NotVisible")
    )
    jobs, dead = settings.queue, settings.dead_letters
    yield _metrics(
        "messages",
        region,
        [
            ["AWS/SQS", visible, "QueueName", jobs],
            ["AWS/SQS", hidden, "QueueName", jobs],
            ["AWS/SQS", visible, "QueueName", dead],
        ],
        stacked=True,
    )
    yield _metrics(
        "received and deleted",
        region,
        [
            ["AWS/SQS", f"NumberOfMessages{kind}", "QueueName", jobs]
            for kind in ("Received", "Deleted")
        ],
    )
    of_service = [
        "ClusterName",
        settings.cluster,
        "ServiceName",
        settings.service,
    ]
    yield _metrics(
        "memory of containers",
        region,
        [["AWS/ECS", "MemoryUtilization", *of_service]],
    )
    yield _query("jobs", region, settings.log_groups[0], _JOBS[settings.section.worker])
    yield _query(
        "errors",
        region,
        settings.log_groups[0],
        "filter @message like /(?i)error/ | fields @logStream, @message | limit 50",
    )


def _metrics(
    title: str, region: str, metrics: list[list[str]], *, stacked: bool = False
) -> dict[str, Any]:
    properties = {
        "title": title,
        "region": region,
        "metrics": metrics,
        "view": "timeSeries",
        "stacked": stacked,
        "period": _PERIOD_S,
    }
    return {"type": "metric", "properties": properties}


def _query(title: str, region: str, group: str, query: str) -> dict[str, Any]:
    properties = {
        "title": title,
        "region": region,
        "query": f"SOURCE '{group}' | {query}",
        "view": "table",
    }
    return {"type": "log", "properties": properties}


def _placed(widgets: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Two in a row, on a page of 24 columns."""
    for number, widget in enumerate(widgets):
        place = {"x": number % 2 * 12, "y": number // 2 * 6, "width": 12, "height": 6}
        yield widget | place
