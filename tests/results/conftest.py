"""Results are tested on S3 and in a browser."""

from tests.services.browser import browser, chromium
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["browser", "bucket", "chromium", "s3", "s3_server"]
