"""What a request to the AWS server asks for, and errors as each protocol words them."""

import http
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.services.s3.calls import Answer, Environ, error

# The names that boto3 gives to services which sign their requests with other ones.
NAMES = {"monitoring": "cloudwatch", "servicequotas": "service-quotas"}

# Who signs with these keys belongs to the tests: their calls are not counted, and
# meet no faults.
OWN_KEYS = frozenset({"tests", "agent"})

SCOPE = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")

# S3 names no operation. What stands in the query tells it, or else the method.
BY_QUERY = {
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "location"): "GetBucketLocation",
    ("POST", "delete"): "DeleteObjects",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("PUT", "policy"): "PutBucketPolicy",
    ("PUT", "lifecycle"): "PutBucketLifecycleConfiguration",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
ON_A_KEY = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}
ON_A_BUCKET = {
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    "PUT": "CreateBucket",
    "DELETE": "DeleteBucket",
}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request to a service."""

    service: str
    operation: str
    protocol: str  # as botocore calls it
    own: bool  # the tests' own

    @classmethod
    def of(cls, environ: Environ) -> "ApiCall":
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        signed = environ.get("HTTP_AUTHORIZATION", "")
        if "X-Amz-Credential" in query:
            signed = f"Credential={query['X-Amz-Credential'][0]}"
        found = SCOPE.search(signed)
        key, scope = found.groups() if found else ("", "s3")
        service = NAMES.get(scope, scope)
        operation, protocol = _asked(environ, service, query)
        return cls(service, operation, protocol, key in OWN_KEYS)


def _asked(environ: Environ, service: str, query: dict[str, Any]) -> tuple[str, str]:
    """The operation, and the protocol in which it was asked for."""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2], "json"
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return environ["PATH_INFO"].rpartition("/")[2], "cbor"
    if service == "s3":
        return _on_s3(environ, query), "rest-xml"
    body = environ["wsgi.input"].read().decode(errors="replace")
    environ["wsgi.input"].seek(0)  # it is all there, and moto reads it again
    parameters = parse_qs(body) or query
    protocol = "ec2" if service == "ec2" else "query"
    return parameters.get("Action", ["?"])[0], protocol


def _on_s3(environ: Environ, query: dict[str, Any]) -> str:
    method = environ["REQUEST_METHOD"]
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    for (verb, name), operation in BY_QUERY.items():
        if verb == method and name in query:
            return operation
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "CopyObject"
    if not bucket:
        return "ListBuckets"
    return (ON_A_KEY if key else ON_A_BUCKET).get(method, method)


# By kind of fault, and by protocol: the status and the code that AWS answers with.
# SQS and CloudWatch speak JSON, but give in a header the code of their old protocol.
Refusal = tuple[int, str]
REFUSALS: dict[str, dict[str, Refusal]] = {
    "throttle": {
        "json": (400, "ThrottlingException"),
        "query": (400, "Throttling"),
        "ec2": (503, "RequestLimitExceeded"),
        "rest-xml": (503, "SlowDown"),
    },
    "error_500": {
        "json": (500, "InternalFailure"),
        "query": (500, "InternalFailure"),
        "ec2": (500, "InternalError"),
        "rest-xml": (500, "InternalError"),
    },
    "denied": {
        "json": (400, "AccessDeniedException"),
        "query": (403, "AccessDenied"),
        "ec2": (403, "UnauthorizedOperation"),
        "rest-xml": (403, "AccessDenied"),
    },
    "expired": {
        "json": (400, "ExpiredTokenException"),
        "query": (403, "ExpiredToken"),
        "ec2": (400, "RequestExpired"),
        "rest-xml": (400, "ExpiredToken"),
    },
}
MESSAGES = {
    "throttle": "Rate exceeded",
    "error_500": "We encountered an internal error. Please try again.",
    "denied": "User is not authorized to perform this action",
    "expired": "The security token included in the request is expired",
}
WITH_OLD_CODES = frozenset({"sqs", "cloudwatch"})


def refusal(call: ApiCall, kind: str) -> Answer:
    """The error of this kind, in the form that the call's client reads."""
    status, code = REFUSALS[kind][call.protocol]
    message = MESSAGES[kind]
    if call.protocol == "rest-xml":
        return error(status, code, message)
    if call.protocol == "json":
        return _as_json(call, kind, status, code)
    text = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.protocol == "ec2":
        text = (
            f"<Response><Errors><Error>{text}</Error></Errors>"
            "<RequestID>TEST</RequestID></Response>"
        )
    else:
        fault = "Sender" if status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{fault}</Type>{text}</Error>"
            "<RequestId>TEST</RequestId></ErrorResponse>"
        )
    return _answer(status, text, "text/xml")


def _as_json(call: ApiCall, kind: str, status: int, code: str) -> Answer:
    text = json.dumps({"__type": code, "message": MESSAGES[kind]})
    old: tuple[tuple[str, str], ...] = ()
    if call.service in WITH_OLD_CODES and kind in ("denied", "expired"):
        status, old_code = REFUSALS[kind]["query"]
        old = (("x-amzn-query-error", f"{old_code};Sender"),)
    return _answer(status, text, "application/x-amz-json-1.1", *old)


def _answer(status: int, text: str, kind: str, *more: tuple[str, str]) -> Answer:
    body = text.encode()
    headers = (("Content-Type", kind), ("Content-Length", str(len(body))), *more)
    return Answer(f"{status} {http.HTTPStatus(status).phrase}", headers, body)
