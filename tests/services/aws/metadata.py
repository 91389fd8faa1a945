"""Stands in for the metadata that a machine of EC2 asks for about itself (IMDSv2)."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.services.s3.server import HOST

TOKEN = "a-token-of-the-stand-in"
LASTS = "X-aws-ec2-metadata-token-ttl-seconds"


class Metadata:
    """A server in a thread, to be used as a context manager.

    Its machine is spot: `notice` says that it will be taken away.
    """

    def __init__(self, instance: str = "i-0123456789abcdef0") -> None:
        self._values: dict[str, str] = {"instance-id": instance}
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self._values))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="IMDS", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    def notice(self, seconds: float = 120) -> None:
        """Announce that the machine will be terminated after so long."""
        when = datetime.now(UTC) + timedelta(seconds=seconds)
        action = {"action": "terminate", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self._values["spot/instance-action"] = json.dumps(action)

    def __enter__(self) -> "Metadata":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(values: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if self.path != "/latest/api/token":
                self._answer(404)
            elif LASTS in self.headers:
                self._answer(200, TOKEN)
            else:
                self._answer(400)

        def do_GET(self) -> None:
            name = self.path.removeprefix("/latest/meta-data/")
            if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
                self._answer(401)
            elif name in values:
                self._answer(200, values[name])
            else:
                self._answer(404)

        def _answer(self, status: int, text: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: Any) -> None:
            """Say nothing: the machine asks every few seconds."""

    return Handler
