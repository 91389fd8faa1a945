"""All of moto over HTTP: `python -m tests.services.aws.server [PORT [PARENT]]`."""

import os
import signal
import sys
import threading
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.services.aws.front import Front
from tests.services.aws.repairs import repair
from tests.services.s3 import store
from tests.services.s3.server import HOST, KeepAlive, _end_with


def main(port: int = 0, parent: int | None = None) -> None:
    """Serve until SIGTERM, or until the parent has ended."""
    watch = (parent or os.getppid(),)
    threading.Thread(target=_end_with, args=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    repair()
    store.application()  # of the S3 server; made for its quick listings
    app: Any = Front(DomainDispatcherApplication(create_backend_app))
    server = make_server(HOST, port, app, threaded=True, request_handler=KeepAlive)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
