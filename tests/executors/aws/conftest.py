"""Nothing in the tests of AWS reaches beyond this machine."""

import ipaddress
import socket
from typing import Any

import pytest

LOCAL = (None, "", "localhost", socket.gethostname())


def _loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in LOCAL:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


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
