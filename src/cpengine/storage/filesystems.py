"""Which file system opens a place: local folders, S3 buckets, whatever fsspec knows."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fsspec.core import split_protocol
from fsspec.registry import get_filesystem_class

from cpengine.errors import ConfigError
from cpengine.storage import upload_flags

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LOCAL = frozenset({None, "file", "local"})
S3 = frozenset({"s3", "s3a"})
WHOLE = S3 | {"gs", "gcs", "az", "abfs", "abfss", "oci", "memory"}
"""Protocols whose objects appear whole or not at all, so that nothing is renamed."""
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class S3Options:
    """How buckets are reached; what is None is left to the AWS configuration."""

    endpoint: str | None = None
    profile: str | None = None
    region: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    upload_flags: str = ""
    """Options of `aws s3 cp` for whatever is written."""


@dataclass(frozen=True)
class Access:
    """Opens places by their protocol and bucket; one connection pool for each.

    File systems are shared between threads, which fsspec's own cache does not do.
    """

    s3: S3Options = S3Options()
    buckets: Mapping[str, S3Options] = field(default_factory=dict)
    """Buckets that are reached in another way."""
    _open: dict[object, "AbstractFileSystem"] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def filesystem(self, url: str) -> "AbstractFileSystem":
        """The file system of an address.

        Raises
        ------
        ConfigError
            No installed package knows the protocol.
        """
        protocol, rest = split_protocol(url)
        options = self._options(rest) if protocol in S3 else None
        with self._lock:
            if (protocol, options) not in self._open:
                arguments = s3_arguments(options) if options else {}
                made = _class_of(protocol, url)(**arguments)
                self._open[protocol, options] = made
            return self._open[protocol, options]

    def is_anonymous(self, url: str) -> bool:
        """Whether an address is in a bucket that is reached without credentials."""
        protocol, rest = split_protocol(url)
        return protocol in S3 and self._options(rest).anonymous

    def _options(self, place: str) -> S3Options:
        return self.buckets.get(place.partition("/")[0], self.s3)


def is_local(url: str) -> bool:
    """Whether a place is on this machine, where CellProfiler can open it."""
    return ":" not in url or split_protocol(url)[0] in LOCAL


def s3_arguments(options: S3Options) -> dict[str, Any]:
    """What s3fs takes for these options.

    Listings are never kept: other machines write while we look. botocore waits longer
    before each try that S3 answers with SlowDown or an error of its own; s3fs tries
    again what breaks on the way.
    """
    arguments: dict[str, Any] = {
        "anon": options.anonymous,
        "requester_pays": options.requester_pays,
        "endpoint_url": options.endpoint,
        "config_kwargs": {
            "retries": {"mode": "standard", "max_attempts": 5},
            "connect_timeout": 10,
            "read_timeout": 60,
            "max_pool_connections": _CONNECTIONS,
        },
        "max_concurrency": 1,  # of one file; else each read asks for its size first
        "use_listings_cache": False,
        "skip_instance_cache": True,
    }
    if options.upload_flags:
        arguments["s3_additional_kwargs"] = upload_flags.parse(options.upload_flags)
    if options.profile:
        arguments["profile"] = options.profile
    if options.region:
        arguments["client_kwargs"] = {"region_name": options.region}
    return arguments


def _class_of(protocol: str | None, url: str) -> Any:
    try:
        return get_filesystem_class(protocol or "file")
    except ImportError as error:
        raise ConfigError(
            f"{url}: needs a package that is missing ({_package(protocol)}): "
            "install it beside cpengine"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{url}: {protocol}:// is no protocol that fsspec knows: use a folder, "
            "s3:// or another that it lists"
        ) from error


def _package(protocol: str | None) -> str:
    if protocol in S3:
        return 'pip install "cpengine[s3]"'
    return f"the one that gives fsspec {protocol}://"
