"""Jobs are tested with inputs on S3, too."""

from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.job.run_job import Machine
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]


@pytest.fixture
def bucket_bench(bench: Machine, s3: S3Server, bucket: str, tmp_path: Path) -> Machine:
    """A module's `bench` with all in a bucket, and no runs in its ledger."""
    for name in ("any.cppipe", "load_data.csv"):
        s3.put(bucket, name, (tmp_path / name).read_bytes())
    storage = Storage(f"s3://{bucket}", Access(S3Options(endpoint=s3.url)))
    return replace(bench, places=Places.single_root(storage))
