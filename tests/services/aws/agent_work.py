"""What an ECS agent is to do, as moto's state has it."""

from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ecs.models import Service, ecs_backends


def work(running: dict[str, int]) -> dict[str, Any]:
    """Note how many tasks run of each service; give the machines and the services."""
    services = [
        service
        for backend in ecs_backends[DEFAULT_ACCOUNT_ID].values()
        for service in backend.services.values()
    ]
    for service in services:
        service.running_count = running.get(service.arn, 0)
        pending = service.desired_count - service.running_count
        service.pending_count = max(0, pending)
    active = [_service(service) for service in services if service.status == "ACTIVE"]
    return {"machines": _machines(), "services": active}


def _machines() -> list[str]:
    """The instances of fleets that run, whatever has become of the fleets."""
    return [
        instance.id
        for backend in ec2_backends[DEFAULT_ACCOUNT_ID].values()
        for instance in backend.all_instances()
        if instance.is_running() and (instance._spot_fleet_id or instance._fleet_id)
    ]


def _service(service: Service) -> dict[str, Any]:
    definition = service._backend.describe_task_definition(service.task_definition)
    container = definition.container_definitions[0]
    environment = container.get("environment", ())
    options = container.get("logConfiguration", {}).get("options", {})
    return {
        "arn": service.arn,
        "cluster": service.cluster_arn,
        "name": container["name"],
        "logs": options,
        "desired": service.desired_count,
        "definition": definition.arn,
        "command": container.get("command", []),
        "environment": {
            variable["name"]: variable["value"] for variable in environment
        },
    }
