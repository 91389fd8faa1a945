"""Storage is tested on S3, and beside a second user of the machine."""

from tests.services.other_user import other_user
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "other_user", "s3", "s3_server"]
