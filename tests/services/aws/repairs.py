"""All that is repaired in moto before it serves. Its own files are left as they are."""

from datetime import UTC, datetime

from moto.core.responses import ActionResult
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.spot_instances import SpotInstances

from tests.services.aws import (
    fleet_changes,
    fleets,
    queues,
    quotas,
    services,
    task_lists,
)

SPOT_PRICE = "0.05"
SECOND_DISK = "/dev/xvdcz"  # where DCP's machines have their second volume

_attribute = InstanceResponse.describe_instance_attribute


def repair() -> None:
    for part in (queues, fleets, fleet_changes, services, quotas, task_lists):
        part.repair()
    InstanceResponse.describe_instance_attribute = describe_instance_attribute
    SpotInstances.describe_spot_price_history = describe_spot_price_history


def describe_instance_attribute(asked: InstanceResponse) -> ActionResult:
    """As moto, and also the volumes of a machine, which moto leaves out."""
    if asked._get_param("Attribute") != "blockDeviceMapping":
        return _attribute(asked)
    backend = asked.ec2_backend
    instance = backend.get_instance(asked._get_param("InstanceId"))
    volumes = [
        volume
        for volume in backend.volumes.values()
        if volume.attachment and volume.attachment.instance.id == instance.id
    ]
    if len(volumes) == 1:  # moto makes the root's alone, whatever was asked for
        more = backend.create_volume(size=22, zone_name=volumes[0].zone.name)
        backend.attach_volume(more.id, instance.id, SECOND_DISK)
        volumes.append(more)
    mapped = [
        {
            "DeviceName": volume.attachment.device,
            "Ebs": {
                "VolumeId": volume.id,
                "Status": "attached",
                "DeleteOnTermination": True,
            },
        }
        for volume in volumes
    ]
    return ActionResult({"InstanceId": instance.id, "BlockDeviceMappings": mapped})


def describe_spot_price_history(asked: SpotInstances) -> ActionResult:
    """A price for each machine and zone; moto's would buy anything."""
    offered = asked.ec2_backend.describe_spot_price_history(
        asked._get_param("InstanceTypes", []), asked._filters_from_querystring()
    )
    now = datetime.now(UTC)
    history = [
        {
            "InstanceType": offer["InstanceType"],
            "ProductDescription": "Linux/UNIX",
            "SpotPrice": SPOT_PRICE,
            "AvailabilityZone": offer["Location"],
            "Timestamp": now,
        }
        for offer in offered
    ]
    return ActionResult({"SpotPriceHistory": history})
