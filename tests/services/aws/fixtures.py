"""The AWS server, for the `conftest.py` of folders whose tests need one."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.aws.aws_server import AwsServer
from tests.services.shared import running

__all__ = ["aws", "aws_server", "loopback_only"]

_LOCAL = (None, "", "localhost", socket.gethostname())


@pytest.fixture(scope="session")
def aws_server() -> AwsServer:
    """All of AWS that tests need, over real HTTP, in a process of its own."""
    return running("aws", AwsServer)


@pytest.fixture
def aws(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """The server as if it were new; no client of the test's reaches a real account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws_server.environ.items():
        monkeypatch.setenv(name, value)
    aws_server.reset()
    yield aws_server
    aws_server.faults()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a test must not cost money: whatever asks for AWS itself fails.

    All libraries look the name up by this function before they connect, boto3 too.
    """
    look_up = socket.getaddrinfo

    def guarded(host: Any, *more: Any, **named: Any) -> Any:
        assert _loopback(host), f"a test reaches for {host}"
        return look_up(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)


def _loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in _LOCAL:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
