"""What a request to the server asks for, and the answer to it."""

import http
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

READS = frozenset({"list", "get", "head"})
OPERATIONS = READS | {"put", "delete"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a bucket."""

    operation: str
    bucket: str
    signed: bool

    @classmethod
    def of(cls, environ: Environ) -> "Call":
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        signed = "HTTP_AUTHORIZATION" in environ or "X-Amz-Signature" in query
        method = environ["REQUEST_METHOD"]
        return cls(_operation(method, bool(key), "delete" in query), bucket, signed)

    @property
    def reads(self) -> bool:
        return self.operation in READS


def _operation(method: str, has_key: bool, deletes: bool) -> str:
    if method == "GET":
        return "get" if has_key else "list"
    if method == "HEAD":
        return "head"
    return "delete" if method == "DELETE" or deletes else "put"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; its body may be shorter than its headers promise."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def length(self) -> int | None:
        """The length that the headers promise, if they do."""
        found = [int(v) for k, v in self.headers if k.lower() == "content-length"]
        return found[0] if found else None

    def halved(self) -> "Answer":
        """The same promise with half of the body."""
        headers = self.headers
        if self.length is None:
            headers = (*headers, ("Content-Length", str(len(self.body))))
        return replace(self, headers=headers, body=self.body[: len(self.body) // 2])


def ask(app: App, environ: Environ) -> Answer:
    """Call a WSGI application and collect what it says."""
    status, headers = "", ()

    def start_response(status_line: str, more: Any, exc_info: Any = None) -> None:
        nonlocal status, headers
        status, headers = status_line, tuple(more)

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    return Answer(status, headers, body)


def error(status: int, code: str, message: str) -> Answer:
    """An error as S3 words it."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        "<RequestId>TEST</RequestId><HostId>test</HostId></Error>"
    )
    return reply(status, text.encode(), "application/xml")


def reply(status: int, body: bytes, kind: str) -> Answer:
    headers = (("Content-Type", kind), ("Content-Length", str(len(body))))
    return Answer(f"{status} {http.HTTPStatus(status).phrase}", headers, body)
