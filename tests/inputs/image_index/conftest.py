"""Folders of images are on S3, too."""

from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]
