"""moto's S3 over real HTTP: `python -m tests.services.s3.server [PORT]`."""

import io
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from tests.services.s3 import store
from tests.services.s3.calls import Answer, Environ, ask
from tests.services.s3.faults import ERROR_500, Reset
from tests.services.s3.front import Front

HOST = "127.0.0.1"
NO_BODY = ("204", "304")  # statuses whose answers have no body and no length


class KeepAlive(MotoRequestHandler):
    """Serves many requests on a connection, as S3 does and werkzeug does not.

    werkzeug closes each connection, because an application may leave a part of the
    request unread, which would be taken for the next request. Here each request is
    read whole before the application sees it.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go in two writes

    def run_wsgi(self) -> None:
        try:
            self._send(self._ask())
        except Reset:
            self._reset()
        except ConnectionError:
            self.close_connection = True

    def _ask(self) -> Answer:
        environ = self._whole(self.make_environ())
        self.environ = environ
        try:
            return ask(self.server.app, environ)
        except Reset:
            raise
        except Exception:  # as any server: it answers 500 and goes on
            traceback.print_exc()
            return ERROR_500

    def _whole(self, environ: Environ) -> Environ:
        """The request with its whole body, and no sign of how that was sent."""
        stream = environ["wsgi.input"]
        if environ.pop("HTTP_TRANSFER_ENCODING", ""):
            body = stream.read()  # werkzeug's stream of chunks, which knows its end
        else:
            promised = int(environ.get("CONTENT_LENGTH") or 0)
            body = stream.read(promised)
            if len(body) < promised:  # S3 keeps nothing of what a dead client sent
                raise ConnectionError("the client is gone")
        length = str(len(body))
        return environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": length}

    def _send(self, answer: Answer) -> None:
        code, reason = answer.status.split(" ", 1)
        self.send_response(int(code), reason)
        for name, value in answer.headers:
            self.send_header(name, value)
        length = answer.length
        if length is None and code not in NO_BODY:
            length = len(answer.body)
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD" and length:
            self.wfile.write(answer.body)
            # The client waits for the rest: only the end of the connection ends that.
            self.close_connection |= len(answer.body) < length

    def _reset(self) -> None:
        """Close so that the client gets a reset, and not the end of a stream."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()  # it holds the connection open
        self.connection.close()
        self.close_connection = True

    def log_request(self, *args: Any) -> None:
        """Say nothing: thousands of requests would fill the test's output."""


def _end_with(parent: int) -> NoReturn:
    """End this process when it is no longer the parent's child."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def main(port: int = 0, parent: int | None = None) -> None:
    """Serve until SIGTERM, or until the parent has ended."""
    watch = (parent or os.getppid(),)
    threading.Thread(target=_end_with, args=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    app: Any = Front(store.application())
    server = make_server(HOST, port, app, threaded=True, request_handler=KeepAlive)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
