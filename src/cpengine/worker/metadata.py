"""What a machine says of itself: its id, and whether its spot capacity is called back.

Source: EC2's instance metadata service, version 2.
"""

import contextlib
import os
import threading
import urllib.request
from collections.abc import Callable
from typing import Self

_ADDRESS = "http://169.254.169.254"
_TIMEOUT_S = 2.0
_TOKEN_S = 300
_NOT_THERE = (OSError, ValueError)


def get(path: str) -> str | None:
    """A piece of metadata; None if there is no such piece, or no such service."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _ADDRESS
    base = base.rstrip("/")
    try:
        token = _ask(
            f"{base}/latest/api/token",
            {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)},
            "PUT",
        )
        return _ask(
            f"{base}/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token}
        )
    except _NOT_THERE:
        return None


def _ask(url: str, headers: dict[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        data: bytes = answer.read()
    return data.decode()


class SpotWatch:
    """Looks for the two-minute notice, until it is left.

    Parameters
    ----------
    notice
        Called once when the notice is there.
    """

    def __init__(self, notice: Callable[[], None], every_s: float = 5.0) -> None:
        self._notice = notice
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="spot", daemon=True)

    def __enter__(self) -> Self:
        if get("instance-id"):
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        with contextlib.suppress(RuntimeError):  # it never began
            self._thread.join()

    def _poll(self) -> None:
        while not self._over.wait(self._every_s):
            if get("spot/instance-action"):
                self._notice()
                return
