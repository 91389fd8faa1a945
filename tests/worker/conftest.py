"""The worker is tested with the AWS server's queues."""

from tests.services.aws.fixtures import aws, aws_server, loopback_only

__all__ = ["aws", "aws_server", "loopback_only"]
