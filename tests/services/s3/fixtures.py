"""The S3 server, for the `conftest.py` of folders whose tests need one."""

import secrets
from collections.abc import Iterator

import pytest

from tests.services.s3.bucket_server import S3Server
from tests.services.shared import running

__all__ = ["bucket", "s3", "s3_server"]


@pytest.fixture(scope="session")
def s3_server() -> S3Server:
    """An S3 server over real HTTP, in a process of its own."""
    return running("s3", S3Server)


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server without faults and counts, with the credentials that it takes."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    s3_server.faults()
    s3_server.reset_counts()
    yield s3_server
    s3_server.faults()


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[str]:
    """A bucket of the test's own."""
    name = f"lab-{secrets.token_hex(4)}"
    s3.make(name)
    yield name
    s3.delete(name)
