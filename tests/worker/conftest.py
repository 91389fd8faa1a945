"""The worker is tested with the AWS server's queues."""

from tests.services.aws.fixtures import aws, aws_server, loopback_only
from tests.worker.bench import make_bench

__all__ = ["aws", "aws_server", "loopback_only", "make_bench"]
