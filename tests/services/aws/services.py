"""moto's ECS, repaired.

moto counts the tasks that are desired as running, though it runs none; it lists the
clusters and services that were deleted, and services of clusters with a similar name;
it replaces an active service by one of the same name, and deletes a cluster under it.
"""

from typing import Any

from moto.ecs.exceptions import (
    ClusterNotFoundException,
    ECSException,
    InvalidParameterException,
)
from moto.ecs.models import Cluster, Service
from moto.ecs.models import EC2ContainerServiceBackend as Backend

_create = Backend.create_service
_update = Backend.update_service
_delete_cluster = Backend.delete_cluster
_describe_clusters = Backend.describe_clusters


def list_clusters(backend: Backend) -> list[str]:
    return [
        cluster.arn
        for cluster in backend.clusters.values()
        if cluster.status == "ACTIVE"
    ]


def describe_clusters(backend: Backend, cluster_names: list[str]) -> Any:
    found, failures = _describe_clusters(backend, cluster_names)
    for cluster in found:
        services = _active(backend, cluster)
        cluster.active_services_count = len(services)
        cluster.running_tasks_count = sum(service.running_count for service in services)
        cluster.pending_tasks_count = sum(service.pending_count for service in services)
    return found, failures


def delete_cluster(backend: Backend, cluster_str: str) -> Cluster:
    if _active(backend, backend._get_cluster(cluster_str)):
        raise ECSException(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        )
    return _delete_cluster(backend, cluster_str)


def _active(backend: Backend, cluster: Cluster) -> list[Service]:
    return [
        service
        for service in backend.services.values()
        if service.cluster_arn == cluster.arn and service.status == "ACTIVE"
    ]


def create_service(
    backend: Backend, cluster_str: str, service_name: str, *more: Any, **named: Any
) -> Service:
    cluster = backend._get_cluster(cluster_str)
    if cluster.status != "ACTIVE":
        raise ClusterNotFoundException
    there = backend.services.get(f"{cluster.name}:{service_name}")
    if there and there.status == "ACTIVE":
        raise InvalidParameterException("Creation of service was not idempotent.")
    return _create(backend, cluster_str, service_name, *more, **named)


def update_service(backend: Backend, properties: dict[str, Any]) -> Service:
    cluster = properties.get("cluster") or "default"
    service = backend._get_service(cluster, properties["service"].split("/")[-1])
    if service.status != "ACTIVE":
        raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
    running = service.running_count
    updated = _update(backend, properties)
    updated.running_count = running
    updated.pending_count = max(0, updated.desired_count - running)
    return updated


def list_services(
    backend: Backend,
    cluster_str: str,
    scheduling_strategy: str | None = None,
    launch_type: str | None = None,
) -> list[str]:
    cluster = backend._get_cluster(cluster_str)
    return sorted(
        service.arn
        for service in _active(backend, cluster)
        if scheduling_strategy in (None, service.scheduling_strategy)
        and launch_type in (None, service.launch_type)
    )


def repair() -> None:
    Backend.list_clusters = list_clusters
    Backend.describe_clusters = describe_clusters
    Backend.delete_cluster = delete_cluster
    Backend.create_service = create_service
    Backend.update_service = update_service
    Backend.list_services = list_services
