"""The task definition: what a container is, and what it is told. Pure.

Source of the names: `run.py` and `run-worker.sh` 2.2.1 of Distributed-CellProfiler.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cpengine.cellprofiler.command import BLAS_KERNEL, HASH_SEED
from cpengine.executors.aws.settings import Settings

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import (
        ContainerDefinitionTypeDef,
        RegisterTaskDefinitionRequestTypeDef,
    )

COMMAND = ("cpengine", "worker")
_STOP_S = 120
"""What a machine has left when its spot capacity is called back."""


def definition(
    settings: Settings, queue_url: str, region: str, ours: Mapping[str, str]
) -> "RegisterTaskDefinitionRequestTypeDef":
    """The arguments of RegisterTaskDefinition, but for tags.

    Parameters
    ----------
    ours
        What only our worker is told.
    """
    environment = dcp_environment(settings, queue_url, region)
    environment |= _of_cellprofiler(settings)
    own = settings.section.worker == "cpengine"
    container: ContainerDefinitionTypeDef = {
        "name": settings.app,
        "image": settings.image,
        "cpu": settings.cpu_shares,
        "memory": settings.memory_mb,
        "essential": True,
        "privileged": not own,  # its worker mounts the bucket
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": settings.log_groups[1],
                "awslogs-region": region,
                "awslogs-stream-prefix": settings.app,
            },
        },
    }
    if own:
        environment |= ours
        container["command"] = list(COMMAND)
        container["stopTimeout"] = _STOP_S
        container["healthCheck"] = {
            "command": ["CMD", *COMMAND, "--health"],
            "interval": 60,
            "timeout": 30,
            "retries": 3,
            "startPeriod": 300,
        }
    container["environment"] = [
        {"name": name, "value": value} for name, value in environment.items()
    ]
    made: RegisterTaskDefinitionRequestTypeDef = {
        "family": settings.task,
        "containerDefinitions": [container],
    }
    if settings.section.task_role:
        made["taskRoleArn"] = settings.section.task_role
    return made


def _of_cellprofiler(settings: Settings) -> dict[str, str]:
    """What workers hand on to CellProfiler, whichever they are."""
    kernel = settings.blas_kernel
    return HASH_SEED | ({BLAS_KERNEL: kernel} if kernel else {})


def dcp_environment(settings: Settings, queue_url: str, region: str) -> dict[str, str]:
    """The environment as Distributed-CellProfiler's client gives it to its worker.

    Without keys: containers act by their role.
    """
    done, dcp, buckets = settings.done, settings.section.dcp, settings.buckets
    environment = {
        "AWS_REGION": region,
        "APP_NAME": settings.app,
        "SQS_QUEUE_URL": queue_url,
        "AWS_BUCKET": buckets.get("AWS_BUCKET", ""),
        "DOCKER_CORES": str(settings.cores),
        "LOG_GROUP_NAME": settings.log_groups[0],
        "CHECK_IF_DONE_BOOL": str(done is not None),
        "EXPECTED_NUMBER_FILES": str(done.expected_number_files if done else 1),
        "ECS_CLUSTER": settings.cluster,
        "SECONDS_TO_START": str(settings.seconds_to_start),
        "MIN_FILE_SIZE_BYTES": str(done.min_file_size_bytes if done else 1),
        "USE_PLUGINS": str(dcp.use_plugins),
        "NECESSARY_STRING": done.necessary_string if done else "",
        "DOWNLOAD_FILES": str(dcp.download_files),
        "ALWAYS_CONTINUE": str(dcp.always_continue),
    }
    if "SOURCE_BUCKET" in buckets:
        for name in ("SOURCE_BUCKET", "DESTINATION_BUCKET"):
            environment[name] = buckets[name]
    if "WORKSPACE_BUCKET" in buckets:
        environment["WORKSPACE_BUCKET"] = buckets["WORKSPACE_BUCKET"]
    if dcp.upload_flags:
        environment["UPLOAD_FLAGS"] = dcp.upload_flags
    if dcp.use_plugins:
        environment |= {
            "UPDATE_PLUGINS": str(dcp.update_plugins),
            "PLUGINS_COMMIT": dcp.plugins_commit or "False",
            "INSTALL_REQUIREMENTS": str(dcp.install_requirements),
            "REQUIREMENTS": dcp.requirements,
        }
    return environment
