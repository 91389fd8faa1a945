"""What stands in front of moto: counts, faults, who may read, and the controls."""

import base64
import copy
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from tests.services.s3 import store
from tests.services.s3.calls import Answer, App, Call, Environ, ask, error, reply
from tests.services.s3.faults import REFUSALS, Faults, Reset, Spec

CONTROL = "/_test/"
DENIED = error(403, "AccessDenied", "Access Denied")

# moto refuses what nobody signed. Whether a request may be unsigned is decided here.
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=test"
)


class Tally:
    """Counts of requests, bytes and faults, by bucket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._counts = {
                what: defaultdict[str, Counter[str]](Counter)
                for what in ("requests", "bytes", "faults")
            }

    def add(self, what: str, bucket: str, **numbers: int) -> None:
        with self._lock:
            self._counts[what][bucket].update(numbers)

    def copy(self) -> dict[str, Any]:
        with self._lock:
            return copy.deepcopy(self._counts)


class Front:
    """A WSGI application: moto's, with what tests need around it."""

    def __init__(self, moto: App) -> None:
        self._moto = moto
        self._lock = threading.Lock()  # moto is not safe for threads
        self._faults = Faults()
        self._tally = Tally()
        self._public: set[str] = set()

    def __call__(
        self, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        to_control = environ["PATH_INFO"].startswith(CONTROL)
        answer = self._control(environ) if to_control else self._bucket(environ)
        start_response(answer.status, list(answer.headers))
        return [answer.body]

    def _bucket(self, environ: Environ) -> Answer:
        call = Call.of(environ)
        fault = self._faults.draw(call)
        sent = int(environ.get("CONTENT_LENGTH") or 0)
        self._tally.add("requests", call.bucket, **{call.operation: 1})
        self._tally.add("bytes", call.bucket, sent=sent)
        if fault.kind:
            self._tally.add("faults", call.bucket, **{fault.kind: 1})
        time.sleep(fault.delay)
        answer = self._answer(call, environ, fault.kind)
        self._tally.add("bytes", call.bucket, received=len(answer.body))
        return answer

    def _answer(self, call: Call, environ: Environ, fault: str) -> Answer:
        if fault == "reset":
            raise Reset
        if fault in REFUSALS:
            return REFUSALS[fault]
        answer = self._carry_out(call, environ)
        if fault == "lost":
            raise Reset
        return answer.halved() if fault == "truncate" else answer

    def _carry_out(self, call: Call, environ: Environ) -> Answer:
        if not self._allowed(call):
            return DENIED
        environ.setdefault("HTTP_AUTHORIZATION", SIGNED)
        with self._lock:
            return ask(self._moto, environ)

    def _allowed(self, call: Call) -> bool:
        if call.bucket in self._public:
            return call.reads and not call.signed
        return call.signed

    def _control(self, environ: Environ) -> Answer:
        name = environ["PATH_INFO"].removeprefix(CONTROL)
        action = getattr(self, f"_{environ['REQUEST_METHOD'].lower()}_{name}", None)
        if action is None:
            return reply(404, b"no such control", "text/plain")
        body = json.loads(environ["wsgi.input"].read() or b"{}")
        try:
            with self._lock:
                result = action(body)
        except Exception as problem:
            return reply(400, repr(problem).encode(), "text/plain")
        return reply(200, json.dumps(result).encode(), "application/json")

    def _post_faults(self, spec: dict[str, Any]) -> None:
        self._faults.set(Spec(**spec))

    def _get_counts(self, _: dict[str, Any]) -> dict[str, Any]:
        return self._tally.copy()

    def _post_counts(self, _: dict[str, Any]) -> None:
        self._tally.reset()

    def _post_public(self, named: dict[str, Any]) -> None:
        self._public = set(named["buckets"])

    def _post_make(self, named: dict[str, Any]) -> None:
        store.make(named["bucket"])
        if named["public"]:
            self._public.add(named["bucket"])

    def _post_delete(self, named: dict[str, Any]) -> None:
        store.delete(named["bucket"])

    def _post_put(self, named: dict[str, Any]) -> None:
        data = base64.b64decode(named["data"])
        store.put(named["bucket"], named["key"], data)

    def _post_fill(self, named: dict[str, Any]) -> int:
        names: Iterable[str] = named.get("names", ())
        if "pattern" in named:
            names = map(named["pattern"].format, range(named["count"]))
        prefix = named.get("prefix", "")
        data = named.get("text", "").encode()
        return store.fill(named["bucket"], (prefix + name for name in names), data)

    def _post_objects(self, named: dict[str, Any]) -> dict[str, str]:
        found = store.objects(named["bucket"], named["prefix"])
        return {name: base64.b64encode(data).decode() for name, data in found.items()}
