"""The one way to AWS: calls by name, and errors as one line with a cure."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import boto3
from botocore import xform_name
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

if TYPE_CHECKING:
    from botocore.client import ClientMeta
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_ecs import ECSClient
    from types_boto3_iam import IAMClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_s3 import S3Client
    from types_boto3_service_quotas import ServiceQuotasClient
    from types_boto3_sqs import SQSClient
    from types_boto3_ssm import SSMClient
    from types_boto3_sts import STSClient

Page = TypeVar("Page")
T = TypeVar("T")

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
)
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


class _Translated:
    """A base of boto3's clients whose calls raise AwsError."""

    meta: "ClientMeta"

    def _make_api_call(self, operation: str, arguments: dict[str, Any]) -> Any:
        try:
            return super()._make_api_call(operation, arguments)  # type: ignore[misc]
        except (ClientError, BotoCoreError) as error:
            service = self.meta.service_model.service_name
            raise _error_of(service, xform_name(operation), error) from error


def _translate(base_classes: list[type], **_: object) -> None:
    base_classes.insert(0, _Translated)


class _Client(Generic[T]):
    """An attribute of Aws: the client of the service that has its name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._service = name.replace("_", "-")

    def __get__(self, aws: "Aws", owner: type) -> T:
        client: T = aws.client(self._service)
        return client


class Aws:
    """An account and a region, as one set of credentials sees them.

    Its attributes are boto3's clients; what their calls raise is an AwsError. Clients
    are shared between threads. botocore itself tries again, with pauses, what AWS
    answers with throttling or an error of its own.

    Raises
    ------
    AwsError
        There is no such profile.
    """

    cloudwatch: "_Client[CloudWatchClient]" = _Client()
    ec2: "_Client[EC2Client]" = _Client()
    ecs: "_Client[ECSClient]" = _Client()
    iam: "_Client[IAMClient]" = _Client()
    logs: "_Client[CloudWatchLogsClient]" = _Client()
    s3: "_Client[S3Client]" = _Client()
    service_quotas: "_Client[ServiceQuotasClient]" = _Client()
    sqs: "_Client[SQSClient]" = _Client()
    ssm: "_Client[SSMClient]" = _Client()
    sts: "_Client[STSClient]" = _Client()

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
            self._session.events.register("creating-client-class", _translate)
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
        return str(self.sts.get_caller_identity()["Account"])

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
        """The client of a service by boto3's name; made once, when it is asked for."""
        make: Any = self._session.client
        with self._lock:  # making clients is not safe for threads
            if service not in self._clients:
                try:
                    self._clients[service] = make(service, config=_CONFIG)
                except (BotoCoreError, ValueError) as error:
                    raise _error_of(service, "", error) from error
            return self._clients[service]


def items(pages: Iterable[Page], of: Callable[[Page], Iterable[T]]) -> Iterator[T]:
    """What the pages of a listing have, page after page."""
    try:
        for page in pages:
            yield from of(page)
    except BotoCoreError as error:  # pages without an end
        raise _error_of("a listing", "", error) from error


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
