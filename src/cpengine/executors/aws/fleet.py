"""Spot machines: the user's spot fleet file as it is, or an EC2 fleet of our making."""

import base64
import copy
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cpengine.dcp.fleet import read
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws, AwsError, items
from cpengine.executors.aws.fleet_claim import FleetClaim

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateFleetRequestTypeDef,
        FleetDataTypeDef,
        FleetLaunchTemplateOverridesRequestTypeDef,
        LaunchTemplateInstanceNetworkInterfaceSpecificationRequestTypeDef,
        RequestLaunchTemplateDataTypeDef,
        SpotFleetRequestConfigDataOutputTypeDef,
        SpotFleetRequestConfigDataTypeDef,
        SpotFleetRequestConfigTypeDef,
    )

    Entry = FleetDataTypeDef | SpotFleetRequestConfigTypeDef

AMI = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
"""Where Amazon keeps the name of its newest image for ECS."""
_ALIVE = frozenset({"submitted", "active", "modifying"})
_ROOM_FOR_DOCKER_GB = 2
_IMAGE_GB = 30
"""What Amazon's image for ECS needs at least."""
_SAME_TOKEN = "IdempotentParameterMismatch"
_SHOWN_S = 10.0
"""A fleet that was just made may not be listed for so long."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A request for machines that AWS keeps fulfilling."""

    aws: Aws
    id: str
    tags: Mapping[str, str]
    target: int | None = None
    """How many machines it keeps up; None if it replaces no lost ones."""
    created: datetime | None = None
    """When it was asked for, by AWS's clock."""
    asked_by: str = ""
    """Who has asked for it, and when, if that was another client."""

    @property
    def spot(self) -> bool:
        """Whether it is a spot fleet, as Distributed-CellProfiler asks for."""
        return self.id.startswith("sfr-")

    def machines(self) -> list[str]:
        """The ids of its machines that run."""
        ec2 = self.aws.ec2
        found = (
            ec2.describe_spot_fleet_instances(SpotFleetRequestId=self.id)
            if self.spot
            else ec2.describe_fleet_instances(FleetId=self.id)
        )
        return [instance["InstanceId"] for instance in found.get("ActiveInstances", ())]

    def shrink(self, machines: int) -> None:
        """Replace lost machines only up to so many; end none."""
        if self.spot:
            self.aws.ec2.modify_spot_fleet_request(
                SpotFleetRequestId=self.id,
                TargetCapacity=machines,
                ExcessCapacityTerminationPolicy="noTermination",
            )
        else:
            self.aws.ec2.modify_fleet(
                FleetId=self.id,
                TargetCapacitySpecification={"TotalTargetCapacity": machines},
                ExcessCapacityTerminationPolicy="no-termination",
            )

    def cancel(self) -> None:
        """End it and its machines. Raises AwsError if AWS does not do so."""
        if self.spot:
            done = self.aws.ec2.cancel_spot_fleet_requests(
                SpotFleetRequestIds=[self.id],
                TerminateInstances=True,
            )
            codes: list[str] = [
                failed["Error"]["Code"]
                for failed in done.get("UnsuccessfulFleetRequests", ())
            ]
        else:
            ended = self.aws.ec2.delete_fleets(
                FleetIds=[self.id], TerminateInstances=True
            )
            codes = [
                unended["Error"]["Code"]
                for unended in ended.get("UnsuccessfulFleetDeletions", ())
            ]
        for code in codes:
            if not code.endswith(("DoesNotExist", "State")):  # ended already
                raise AwsError(
                    f"fleet {self.id}: AWS does not end it ({code}): end it again"
                )


def fleets(aws: Aws) -> Iterator[Fleet]:
    """All fleets of the account and region that can still start machines."""
    requests = items(
        aws.ec2.get_paginator("describe_spot_fleet_requests").paginate(),
        lambda page: page.get("SpotFleetRequestConfigs", ()),
    )
    for config in requests:
        if config["SpotFleetRequestState"] in _ALIVE:
            details = config["SpotFleetRequestConfig"]
            target = details["TargetCapacity"] if _is_maintained(details) else None
            yield _fleet(aws, config["SpotFleetRequestId"], config, target)
    for fleet in items(
        aws.ec2.get_paginator("describe_fleets").paginate(),
        lambda page: page.get("Fleets", ()),
    ):
        if fleet["FleetState"] in _ALIVE:
            asked = fleet["TargetCapacitySpecification"]["TotalTargetCapacity"]
            target = asked if _is_maintained(fleet) else None
            yield _fleet(aws, fleet["FleetId"], fleet, target)


def _fleet(aws: Aws, name: str, entry: "Entry", target: int | None) -> Fleet:
    return Fleet(aws, name, _tags(entry), target, entry.get("CreateTime"))


def _is_maintained(
    entry: "FleetDataTypeDef | SpotFleetRequestConfigDataOutputTypeDef",
) -> bool:
    return entry.get("Type", "maintain") == "maintain"


def of_app(app: App) -> list[Fleet]:
    """The app's fleets: those of its tag. A record may name anybody's."""
    return [
        fleet for fleet in fleets(app.aws) if fleet.tags.get("cpengine:app") == app.name
    ]


def _tags(entry: "Entry") -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}


def request(app: App, machines: int, file: Path | None) -> Fleet:
    """Ask for machines; where somebody else has just done so, give theirs.

    Parameters
    ----------
    file
        A spot fleet file; without one an EC2 fleet is made.

    Raises
    ------
    AwsError, InputError, StorageError
        AWS refuses, the file is wrong, or nothing can be written beside the ledger.
    """
    claim = FleetClaim.of(app.record)
    try:
        return _request(app, machines, file, claim.token)
    except AwsError as error:
        if error.code != _SAME_TOKEN:
            raise
    if there := _shown(app):
        return replace(there, asked_by=str(claim))
    # It is gone by now, and its token with it.
    claim = claim.renewed(app.record)
    try:
        return _request(app, machines, file, claim.token)
    except AwsError as error:
        if error.code == _SAME_TOKEN and (there := _shown(app)):
            return replace(there, asked_by=str(claim))
        raise


def _request(app: App, machines: int, file: Path | None, token: str) -> Fleet:
    app.record.note("fleet to be", token)
    if file is not None:
        made = app.aws.ec2.request_spot_fleet(
            SpotFleetRequestConfig=from_file(app, machines, read(file))
        )["SpotFleetRequestId"]
    else:
        made = app.aws.ec2.create_fleet(**generated(app, machines))["FleetId"]
    app.record.note("fleet", made)
    return Fleet(app.aws, made, app.tags)


def _shown(app: App) -> Fleet | None:
    """The app's fleet, once AWS lists it; None if it has none."""
    until = time.monotonic() + _SHOWN_S
    while not (found := of_app(app)) and time.monotonic() < until:
        time.sleep(_SHOWN_S / 10)
    return found[0] if found else None


def from_file(
    app: App, machines: int, data: Mapping[str, Any]
) -> "SpotFleetRequestConfigDataTypeDef":
    """The user's request with what the run sets: numbers, times, types, tags."""
    settings, now = app.settings, datetime.now(UTC)
    made = copy.deepcopy(dict(data))
    made |= {
        "ValidFrom": now,
        "ValidUntil": now + timedelta(hours=settings.life_h(machines)),
        "TerminateInstancesWithExpiration": True,
        "TargetCapacity": machines,
        "SpotPrice": f"{settings.machine_price:.2f}",
        "ClientToken": app.record.names("fleet to be")[-1],
        "TagSpecifications": [
            {"ResourceType": "spot-fleet-request", "Tags": app.capital_pairs}
        ],
    }
    types = settings.machine_types
    for number, spec in enumerate(made["LaunchSpecifications"]):
        spec["InstanceType"] = types[min(number, len(types) - 1)]
        spec["UserData"] = user_data(app)
        spec["TagSpecifications"] = [
            {"ResourceType": "instance", "Tags": app.capital_pairs}
        ]
        if len(spec.get("BlockDeviceMappings", ())) > 1:
            spec["BlockDeviceMappings"][1]["Ebs"]["VolumeSize"] = settings.ebs_gb
        for interface in spec.get("NetworkInterfaces", ()):
            if not settings.section.public_ip:
                interface["AssociatePublicIpAddress"] = False
    return cast("SpotFleetRequestConfigDataTypeDef", made)  # AWS checks the user's


def generated(app: App, machines: int) -> "CreateFleetRequestTypeDef":
    """An EC2 fleet of spot machines by a launch template, which is made here."""
    settings, section = app.settings, app.settings.section
    template = launch_template(app)
    overrides: list[FleetLaunchTemplateOverridesRequestTypeDef] = [
        {"InstanceType": kind, "MaxPrice": f"{settings.machine_price:.4f}"}
        for kind in settings.machine_types
    ]
    if section.subnets:
        overrides = [
            {**override, "SubnetId": subnet}
            for override in overrides
            for subnet in section.subnets
        ]
    return {
        "Type": "maintain",
        "ClientToken": app.record.names("fleet to be")[-1],
        "ValidUntil": datetime.now(UTC) + timedelta(hours=settings.life_h(machines)),
        "TerminateInstancesWithExpiration": True,
        "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": machines,
            "DefaultTargetCapacityType": "spot",
        },
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateName": template,
                    "Version": "$Latest",
                },
                "Overrides": overrides,
            }
        ],
        "TagSpecifications": [{"ResourceType": "fleet", "Tags": app.capital_pairs}],
    }


def launch_template(app: App) -> str:
    """Make the machines' description anew; give its name."""
    name = f"{app.name}-{secrets.token_hex(3)}"
    app.record.note("launch template", name)
    try:
        app.aws.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData=_machine(app),
            TagSpecifications=[
                {"ResourceType": "launch-template", "Tags": app.capital_pairs}
            ],
        )
    except AwsError as error:  # of a first try whose answer was lost
        if error.code != "InvalidLaunchTemplateName.AlreadyExistsException":
            raise
    return name


def _machine(app: App) -> "RequestLaunchTemplateDataTypeDef":
    section = app.settings.section
    profile = section.instance_profile
    image = section.ami or app.aws.ssm.get_parameter(Name=AMI)["Parameter"]["Value"]
    interface: LaunchTemplateInstanceNetworkInterfaceSpecificationRequestTypeDef = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": section.public_ip,
    }
    if section.security_groups:
        interface["Groups"] = section.security_groups
    made: RequestLaunchTemplateDataTypeDef = {
        "ImageId": image,
        "IamInstanceProfile": (
            {"Arn": profile} if profile.startswith("arn:") else {"Name": profile}
        ),
        "UserData": user_data(app),
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "VolumeSize": max(_IMAGE_GB, app.settings.ebs_gb),
                    "VolumeType": "gp3",
                    "DeleteOnTermination": True,
                },
            }
        ],
        "NetworkInterfaces": [interface],
        # Containers are one hop further than the machine itself.
        # DCP's worker knows the first version of the service only.
        "MetadataOptions": {
            "HttpTokens": "optional" if section.worker == "dcp" else "required",
            "HttpPutResponseHopLimit": 2,
        },
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": app.capital_pairs}
            for kind in ("instance", "volume")
        ],
    }
    if section.key_name:
        made["KeyName"] = section.key_name
    return made


def user_data(app: App) -> str:
    """What a machine does when it starts: it joins the ECS cluster. In base64."""
    lines = [
        f"ECS_CLUSTER={app.settings.cluster}",
        'ECS_AVAILABLE_LOGGING_DRIVERS=["json-file","awslogs"]',
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
        "ECS_CONTAINER_STOP_TIMEOUT=2m",
        "ECS_ENABLE_TASK_IAM_ROLE=true",
    ]
    join = "\n".join(
        ["#!/bin/bash", "cat >> /etc/ecs/ecs.config <<'END'", *lines, "END", ""]
    )
    parts = [MIMEText(join, "x-shellscript")]
    if app.settings.section.fleet is not None:  # the older images of such files
        each = round(app.settings.ebs_gb / app.settings.tasks_per_machine)
        size = f"--storage-opt dm.basesize={each - _ROOM_FOR_DOCKER_GB}G"
        boot = (
            "#cloud-boothook\n#!/bin/bash\ncloud-init-per once docker_options "
            f"echo 'OPTIONS=\"${{OPTIONS}} {size}\"' >> /etc/sysconfig/docker\n"
        )
        parts.insert(0, MIMEText(boot, "cloud-boothook"))
    whole = MIMEMultipart()
    for part in parts:
        whole.attach(part)
    return base64.b64encode(whole.as_bytes()).decode()
