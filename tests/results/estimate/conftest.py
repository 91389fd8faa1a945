"""Costs are estimated with the AWS server's prices."""

from tests.services.aws.fixtures import aws, aws_server, loopback_only

__all__ = ["aws", "aws_server", "loopback_only"]
