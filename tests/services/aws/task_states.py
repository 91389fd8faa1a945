"""How a task of the ECS stand-in stands, as DescribeTasks has it, and what it said."""

import contextlib
import time
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

ENDED = "Essential container in task exited"
STOPPED = "Scaling activity initiated by (deployment)"


def started(service: dict[str, Any]) -> dict[str, Any]:
    """A new task of a service."""
    cluster, name = service["cluster"], service["arn"].rpartition("/")[2]
    return {
        "taskArn": f"{cluster.replace(':cluster/', ':task/')}/{uuid.uuid4().hex}",
        "clusterArn": cluster,
        "group": f"service:{name}",
        "desiredStatus": "RUNNING",
        "lastStatus": "RUNNING",
        "createdAt": time.time(),
        "containers": [{"name": service["name"]}],
    }


def ended(task: dict[str, Any], code: int, *, ordered: bool) -> dict[str, Any]:
    """The same task when its container is gone, because it was told to or not."""
    (container,) = task["containers"]
    return task | {
        "desiredStatus": "STOPPED",
        "lastStatus": "STOPPED",
        "stopCode": "ServiceSchedulerInitiated"
        if ordered
        else "EssentialContainerExited",
        "stoppedReason": STOPPED if ordered else ENDED,
        "containers": [container | {"exitCode": code}],
    }


def write_log(
    logs: Any, options: dict[str, str], task: dict[str, Any], path: Path
) -> None:
    """Do as the awslogs driver: a stream a container."""
    number, (container,) = task["taskArn"].rpartition("/")[2], task["containers"]
    prefix = options["awslogs-stream-prefix"]
    stream = {
        "logGroupName": options["awslogs-group"],
        "logStreamName": f"{prefix}/{container['name']}/{number}",
    }
    lines = path.read_text(errors="replace").splitlines()
    when = int(time.time() * 1000)
    events = [{"timestamp": when, "message": line} for line in lines if line]
    with contextlib.suppress(BotoCoreError, ClientError):  # the group is gone
        logs.create_log_stream(**stream)
        if events:
            logs.put_log_events(logEvents=events, **stream)
