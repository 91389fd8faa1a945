"""Starts and steers the S3 server from a test."""

import base64
import http.client
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.services.s3.faults import Spec

ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"


class S3Server:
    """An S3 server in a process of its own, to be used as a context manager.

    All but the clients' own requests goes past the faults, the counts and the rule
    of who may read. A prefix is the beginning of a key: end a folder's with "/".
    """

    environ = {  # noqa: RUF012 - what a client needs in its environment
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def __init__(self, port: int = 0) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> "S3Server":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        arguments = map(str, (self.port, os.getpid()))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.s3.server", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        with self._process.stdout as output:
            line = output.readline()
        if not line:
            raise RuntimeError(f"the S3 server ended: {self._process.wait()}")
        self.port = int(line)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        """End it at once; all objects are lost. `start` serves the port again."""
        self._process.kill()
        self._process.wait()

    def make(self, bucket: str, *, public: bool = False) -> None:
        """Make a bucket: for signed requests, or for anonymous reading only."""
        self._post("make", bucket=bucket, public=public)

    def delete(self, bucket: str) -> None:
        """Make a bucket vanish with all that is in it."""
        self._post("delete", bucket=bucket)

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self._post("put", bucket=bucket, key=key, data=base64.b64encode(data).decode())

    def upload(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """Put all files of a folder, with their paths in it after the prefix."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            self.put(bucket, prefix + name, path.read_bytes())

    def fill(
        self,
        bucket: str,
        names: Iterable[str] = (),
        *,
        prefix: str = "",
        pattern: str = "",
        count: int = 0,
        text: str = "",
    ) -> int:
        """Put many objects that are all alike; give how many.

        They are named, or numbered from 0 by a pattern such as "x{}.done".
        """
        named: dict[str, Any] = {"names": list(names)}
        if pattern:
            named = {"pattern": pattern, "count": count}
        done: int = self._post("fill", bucket=bucket, prefix=prefix, text=text, **named)
        return done

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        found = self._post("objects", bucket=bucket, prefix=prefix)
        return {name: base64.b64decode(data) for name, data in found.items()}

    def faults(self, **spec: Any) -> None:
        """Set the faults (see `Spec`) in place of those before; none to end them."""
        Spec(**spec)  # so that a mistake is shown where it was made
        self._post("faults", **spec)

    def counts(self, bucket: str | None = None) -> "Counter[str]":
        """How many requests came, by operation."""
        return self._counted("requests", bucket)

    def injected(self, bucket: str | None = None) -> "Counter[str]":
        """How many faults struck, by kind; delays are not counted."""
        return self._counted("faults", bucket)

    def traffic(self, bucket: str | None = None) -> "Counter[str]":
        """How many bytes of bodies clients have `sent` and `received`."""
        return self._counted("bytes", bucket)

    def reset_counts(self) -> None:
        self._post("counts")

    def _counted(self, what: str, bucket: str | None) -> "Counter[str]":
        counted = self._ask("GET", "counts")[what]
        chosen = counted.values() if bucket is None else [counted.get(bucket, {})]
        return sum(map(Counter, chosen), Counter())

    def _post(self, what: str, **named: Any) -> Any:
        return self._ask("POST", what, json.dumps(named))

    def _ask(self, method: str, what: str, body: str | None = None) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port)
        try:
            connection.request(method, f"/_test/{what}", body)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{what}: {data.decode()}")
        return json.loads(data)
