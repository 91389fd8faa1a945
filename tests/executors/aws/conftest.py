"""Nothing in the tests of AWS reaches beyond this machine."""

from tests.services.aws.fixtures import aws, aws_server, loopback_only

__all__ = ["aws", "aws_server", "loopback_only"]
