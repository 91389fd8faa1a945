"""The one way to AWS: calls by name, and errors as one line with a cure."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from cpengine.errors import ExecutorError

T = TypeVar("T")

_CONNECTIONS = 32
_JUST_ENDED_S = 90.0
"""SQS takes a queue's name again after 60 s."""
_AGAIN_S = 5.0
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"}
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "403",
    }
)
_BUSY = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "SlowDown",
        "RequestThrottled",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "500",
        "503",
    }
)
_LOGGED_OUT = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)


class AwsError(ExecutorError):
    """AWS did not do what it was asked for."""

    def __init__(self, text: str, code: str = "", *, passing: bool = False) -> None:
        super().__init__(text)
        self.code = code
        """As AWS gives it, such as `QueueDoesNotExist`."""
        self.passing = passing
        """Whether the same call may work later."""


class Aws:
    """An account and a region, as one set of credentials sees them.

    Clients are shared between threads. botocore itself tries again, with pauses, what
    AWS answers with throttling or an error of its own.

    Raises
    ------
    AwsError
        There is no such profile.
    """

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except BotoCoreError as error:
            raise _error_of("the profile", "", error) from error
        self._profile = profile
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def in_region(self, region: str) -> "Aws":
        """The same account, as it is in a region."""
        return Aws(region, self._profile)

    @cached_property
    def account(self) -> str:
        """The number of the account. Raises AwsError if AWS does not tell."""
        return str(self.call("sts", "get_caller_identity")["Account"])

    @property
    def region(self) -> str:
        """The region that calls go to. Raises AwsError if none is set."""
        name: str | None = self._session.region_name
        if not name:
            raise AwsError(
                "executors.aws.region: is missing: name one, such as 'us-east-1'"
            )
        return name

    def client(self, service: str) -> Any:
        """The client of a service, for what has no name as a call."""
        with self._lock:  # making clients is not safe for threads
            if service not in self._clients:
                try:
                    self._clients[service] = self._session.client(
                        service,
                        config=Config(
                            retries={"mode": "standard", "max_attempts": 5},
                            connect_timeout=10,
                            read_timeout=60,
                            max_pool_connections=_CONNECTIONS,
                        ),
                    )
                except (BotoCoreError, ValueError) as error:
                    raise _error_of(service, "", error) from error
            return self._clients[service]

    def call(self, service: str, operation: str, /, **arguments: Any) -> Any:
        """Call an operation, named as boto3 does, and give its answer.

        Raises
        ------
        AwsError
            It failed, after botocore's own tries.
        """
        method = getattr(self.client(service), operation)
        try:
            return method(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise _error_of(service, operation, error) from error

    def each(
        self, service: str, operation: str, key: str, /, **arguments: Any
    ) -> Iterator[Any]:
        """The items that all pages of a listing have under a key."""
        pages = self.client(service).get_paginator(operation).paginate(**arguments)
        try:
            for page in pages:
                yield from page.get(key, ())
        except (ClientError, BotoCoreError) as error:
            raise _error_of(service, operation, error) from error


def patiently(do: Callable[[], T], codes: frozenset[str]) -> T:
    """Do something; wait while AWS says that something of that name just ended.

    Parameters
    ----------
    codes
        What AWS says then.
    """
    until = time.monotonic() + _JUST_ENDED_S
    while True:
        try:
            return do()
        except AwsError as error:
            if error.code not in codes or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


def _error_of(service: str, operation: str, error: Exception) -> AwsError:
    what = " ".join(part for part in (service, operation) if part)
    if isinstance(error, ClientError):
        return _refused(what, error.response.get("Error", {}))
    text = str(error).splitlines()[0].rstrip(".")
    if isinstance(error, _LOGGED_OUT):
        return AwsError(
            f"AWS credentials: {text}: log in, or set executors.aws.profile", "NoLogin"
        )
    if isinstance(error, NoRegionError):
        return AwsError(
            "executors.aws.region: is missing: name one, such as 'us-east-1'"
        )
    if isinstance(error, ConnectionError | HTTPClientError):
        return AwsError(
            f"{what}: AWS cannot be reached ({text}): check network and region",
            passing=True,
        )
    return AwsError(f"{what}: {text}: check executors.aws")


def _refused(what: str, error: Mapping[str, Any]) -> AwsError:
    code = str(error.get("Code", ""))
    code = code.rpartition(".")[2]  # AWS.SimpleQueueService.NonExistentQueue
    message = " ".join(str(error.get("Message", "")).split()).rstrip(".")
    if code in _EXPIRED:
        cure = "log in again, then do the same once more: nothing is lost"
    elif code in _DENIED:
        cure = "give your role the rights of backends/aws/client-policy.json"
    elif code in _BUSY:
        cure = "AWS is busy: do the same once more"
    else:
        cure = "see docs/how-to/aws.md"
    passing = code in _BUSY or code in _EXPIRED
    return AwsError(f"{what}: {code}: {message}: {cure}", code, passing=passing)
