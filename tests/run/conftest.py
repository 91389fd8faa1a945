"""Requests of a run are counted on S3."""

from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]
