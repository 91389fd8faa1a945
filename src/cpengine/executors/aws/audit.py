"""What is left in an account and region that cpengine has made, or that bills."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cpengine.executors.aws import fleet
from cpengine.executors.aws.client import Aws, AwsError, items
from cpengine.executors.aws.queue import Queue

TAG = "cpengine:app"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that is there."""

    kind: str
    name: str
    app: str
    """The app that its tags or its name tell; empty if none."""
    bills: bool = False
    """Whether it costs by the hour."""
    region: str = ""

    def __str__(self) -> str:
        of = f" of {self.app}" if self.app else ""
        place = f" in {self.region}" if self.region else ""
        return f"{self.kind} {self.name}{of}{place}{', bills' if self.bills else ''}"


def audit(aws: Aws, apps: frozenset[str] = frozenset()) -> list[Leftover]:
    """All of a region that carries our tags, or the names of these apps.

    Raises
    ------
    AwsError
        A service cannot be asked, so that nothing can be said.
    """
    listings: list[Callable[[], Iterator[Leftover]]] = [
        lambda: _fleets(aws),
        lambda: _instances(aws),
        lambda: _templates(aws),
        lambda: _clusters(aws),
        lambda: _services(aws),
        lambda: _tasks(aws),
        lambda: _queues(aws),
        lambda: _log_groups(aws),
        lambda: _alarms(aws),
        lambda: _dashboards(aws),
    ]
    found = [left for listing in listings for left in listing()]
    return [
        replace(left, region=aws.region)
        for left in found
        if left.app or _named(left.name, apps)
    ]


def _named(name: str, apps: frozenset[str]) -> bool:
    endings = ("", "Queue", "DeadMessages", "Task", "Service", "_perInstance")
    known = {f"{app}{ending}" for app in apps for ending in endings}
    return name in known or any(name.startswith(f"{app}_i-") for app in apps)


def _fleets(aws: Aws) -> Iterator[Leftover]:
    for request in fleet.fleets(aws):
        yield Leftover("fleet", request.id, request.tags.get(TAG, ""), bills=True)


def _instances(aws: Aws) -> Iterator[Leftover]:
    reservations = items(
        aws.ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {
                    "Name": "instance-state-name",
                    "Values": ["pending", "running", "stopped"],
                }
            ]
        ),
        lambda page: page.get("Reservations", ()),
    )
    for reservation in reservations:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
            yield Leftover(
                "machine", instance["InstanceId"], tags.get(TAG, ""), bills=True
            )


def _templates(aws: Aws) -> Iterator[Leftover]:
    for template in items(
        aws.ec2.get_paginator("describe_launch_templates").paginate(),
        lambda page: page.get("LaunchTemplates", ()),
    ):
        tags = {tag["Key"]: tag["Value"] for tag in template.get("Tags", ())}
        yield Leftover(
            "launch template", template["LaunchTemplateName"], tags.get(TAG, "")
        )


def _clusters(aws: Aws) -> Iterator[Leftover]:
    for arn in _cluster_arns(aws):
        yield Leftover("cluster", arn.rpartition("/")[2], _ecs_tag(aws, arn))


def _cluster_arns(aws: Aws) -> Iterator[str]:
    pages = aws.ecs.get_paginator("list_clusters").paginate()
    return items(pages, lambda page: page.get("clusterArns", ()))


def _services(aws: Aws) -> Iterator[Leftover]:
    for cluster in list(_cluster_arns(aws)):
        for arn in items(
            aws.ecs.get_paginator("list_services").paginate(cluster=cluster),
            lambda page: page.get("serviceArns", ()),
        ):
            yield Leftover("service", arn.rpartition("/")[2], _ecs_tag(aws, arn))


def _tasks(aws: Aws) -> Iterator[Leftover]:
    listed = items(
        aws.ecs.get_paginator("list_task_definitions").paginate(status="ACTIVE"),
        lambda page: page.get("taskDefinitionArns", ()),
    )
    for arn in listed:
        family = arn.rpartition("/")[2].rpartition(":")[0]
        yield Leftover("task definition", family, _ecs_tag(aws, arn))


def _ecs_tag(aws: Aws, arn: str) -> str:
    found = aws.ecs.list_tags_for_resource(resourceArn=arn)
    tags = {tag["key"]: tag["value"] for tag in found.get("tags", ())}
    return tags.get(TAG, "")


def _queues(aws: Aws) -> Iterator[Leftover]:
    for url in items(
        aws.sqs.get_paginator("list_queues").paginate(),
        lambda page: page.get("QueueUrls", ()),
    ):
        queue = Queue(aws, url)
        try:
            tags = queue.tags()
        except AwsError:  # just removed, or not ours to ask
            tags = {}
        yield Leftover("queue", queue.name, tags.get(TAG, ""))


def _log_groups(aws: Aws) -> Iterator[Leftover]:
    for group in items(
        aws.logs.get_paginator("describe_log_groups").paginate(),
        lambda page: page.get("logGroups", ()),
    ):
        arn = group.get("logGroupArn") or group["arn"].removesuffix(":*")
        tags = aws.logs.list_tags_for_resource(resourceArn=arn)["tags"]
        yield Leftover("log group", group["logGroupName"], tags.get(TAG, ""))


def _alarms(aws: Aws) -> Iterator[Leftover]:
    for alarm in items(
        aws.cloudwatch.get_paginator("describe_alarms").paginate(),
        lambda page: page.get("MetricAlarms", ()),
    ):
        name = alarm["AlarmName"]
        yield Leftover("alarm", name, "")


def _dashboards(aws: Aws) -> Iterator[Leftover]:
    for dashboard in items(
        aws.cloudwatch.get_paginator("list_dashboards").paginate(),
        lambda page: page.get("DashboardEntries", ()),
    ):
        yield Leftover("dashboard", dashboard["DashboardName"], "")
