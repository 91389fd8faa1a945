"""The AWS server itself is tested here."""

from tests.services.aws.fixtures import aws, aws_server, loopback_only

__all__ = ["aws", "aws_server", "loopback_only"]
