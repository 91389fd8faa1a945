"""One step's run on AWS: its account, its names, its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cpengine.executors.aws.client import Aws, AwsError
from cpengine.executors.aws.queue import Queue
from cpengine.executors.aws.record import AwsRecord
from cpengine.executors.aws.settings import Settings

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import TagTypeDef as Ec2Tag
    from types_boto3_ecs.type_defs import ServiceTypeDef
    from types_boto3_ecs.type_defs import TagTypeDef as EcsTag


@dataclass(frozen=True, slots=True)
class App:
    """What every phase needs to know."""

    aws: Aws
    settings: Settings
    record: AwsRecord
    environment: Mapping[str, str]
    """What our worker is told beyond what Distributed-CellProfiler's is."""

    @property
    def name(self) -> str:
        """What all names begin with."""
        return self.settings.app

    @property
    def tags(self) -> dict[str, str]:
        """What everything is tagged with."""
        return self.settings.tags(self.record.owner)

    @property
    def pairs(self) -> "list[EcsTag]":
        """The tags as ECS takes them."""
        return [{"key": key, "value": value} for key, value in self.tags.items()]

    @property
    def capital_pairs(self) -> "list[Ec2Tag]":
        """The tags as EC2, CloudWatch and others take them."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def queue(self) -> Queue:
        """The queue of jobs. Raises AwsError if it is not there."""
        found = Queue.find(self.aws, self.settings.queue)
        if found is None:
            raise AwsError(
                f"queue {self.settings.queue}: is not there: run `cpengine aws setup`",
                "QueueDoesNotExist",
            )
        return found

    def service(self) -> "ServiceTypeDef | None":
        """The ECS service as it stands; None if there is none."""
        try:
            found = self.aws.ecs.describe_services(
                cluster=self.record.cluster,
                services=[self.settings.service],
            )["services"]
        except AwsError as error:
            if error.code == "ClusterNotFoundException":
                return None
            raise
        active = [s for s in found if s["status"] == "ACTIVE"]
        return active[0] if active else None
