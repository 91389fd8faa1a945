"""Lists what is left in an account, by AWS's own calls and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

Make = Callable[[str], Any]
LIVE = ("active", "submitted", "modifying")


def leftovers(client: Make) -> list[str]:
    """All that costs money or stands in the way, as "service: name"."""
    found = [
        *_queues(client("sqs")),
        *_of_ecs(client("ecs")),
        *_of_ec2(client("ec2")),
        *_of_cloudwatch(client("cloudwatch")),
        *_log_groups(client("logs")),
    ]
    return sorted(found)


def _pages(client: Any, operation: str, key: str, **named: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**named):
        yield from page.get(key, ())


def _queues(sqs: Any) -> Iterator[str]:
    for url in _pages(sqs, "list_queues", "QueueUrls"):
        yield f"queue: {url.rpartition('/')[2]}"


def _of_ecs(ecs: Any) -> Iterator[str]:
    for arn in _pages(ecs, "list_clusters", "clusterArns"):
        cluster = arn.rpartition("/")[2]
        if cluster != "default":
            yield f"cluster: {cluster}"
        for service in _pages(ecs, "list_services", "serviceArns", cluster=cluster):
            yield f"service: {cluster}/{service.rpartition('/')[2]}"
    active = {"status": "ACTIVE"}
    for arn in _pages(ecs, "list_task_definitions", "taskDefinitionArns", **active):
        yield f"task definition: {arn.rpartition('/')[2]}"


def _of_ec2(ec2: Any) -> Iterator[str]:
    spot = "describe_spot_fleet_requests"
    for request in _pages(ec2, spot, "SpotFleetRequestConfigs"):
        if request["SpotFleetRequestState"] in LIVE:
            yield f"spot fleet: {request['SpotFleetRequestId']}"
    for fleet in _pages(ec2, "describe_fleets", "Fleets"):
        if fleet["FleetState"] in LIVE:
            yield f"fleet: {fleet['FleetId']}"
    for machines in _pages(ec2, "describe_instances", "Reservations"):
        for instance in machines["Instances"]:
            if instance["State"]["Name"] in ("pending", "running"):
                yield f"instance: {instance['InstanceId']}"
    for template in _pages(ec2, "describe_launch_templates", "LaunchTemplates"):
        yield f"launch template: {template['LaunchTemplateName']}"


def _of_cloudwatch(cloudwatch: Any) -> Iterator[str]:
    for alarm in _pages(cloudwatch, "describe_alarms", "MetricAlarms"):
        yield f"alarm: {alarm['AlarmName']}"
    for dashboard in _pages(cloudwatch, "list_dashboards", "DashboardEntries"):
        yield f"dashboard: {dashboard['DashboardName']}"


def _log_groups(logs: Any) -> Iterator[str]:
    for group in _pages(logs, "describe_log_groups", "logGroups"):
        yield f"log group: {group['logGroupName']}"
