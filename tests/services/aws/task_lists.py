"""ECS's tasks, as the agent tells of them: moto has none of a service."""

from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse as Response

tasks: dict[str, dict[str, Any]] = {}  # by their ARNs


def take(changed: list[dict[str, Any]]) -> None:
    """Note how tasks stand; those that ended are listed for ever."""
    for task in changed:
        made = datetime.fromtimestamp(task["createdAt"], UTC)
        tasks[task["taskArn"]] = task | {"createdAt": made}


def reset() -> None:
    tasks.clear()


def list_tasks(asked: Response) -> ActionResult:
    cluster = asked.ecs_backend._get_cluster(asked._get_param("cluster", "default"))
    group = f"service:{asked._get_param('serviceName')}"
    status = asked._get_param("desiredStatus") or "RUNNING"
    found = [
        arn
        for arn, task in tasks.items()
        if task["clusterArn"] == cluster.arn
        and task["group"] == group
        and task["desiredStatus"] == status
    ]
    return ActionResult({"taskArns": found})


def describe_tasks(asked: Response) -> ActionResult:
    wanted = asked._get_param("tasks", [])
    assert len(wanted) <= 100  # so many AWS takes
    found = [tasks[arn] for arn in wanted if arn in tasks]
    return ActionResult({"tasks": found, "failures": []})


def repair() -> None:
    Response.list_tasks = list_tasks
    Response.describe_tasks = describe_tasks
