"""What a storage could not do, and what to do about it, in one line. Pure."""

import errno

from cpengine.errors import PlaceRefusedError, StorageError
from cpengine.storage.filesystems import is_local

_LASTING = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""What a local disk says again however long one waits."""


def is_no_bucket(error: Exception) -> bool:
    """Whether a store says that it has no such bucket."""
    return isinstance(error, FileNotFoundError) and "specified bucket" in str(error)


def error_of(url: str, what: str, error: Exception) -> StorageError:
    """The error that says what a storage could not do with a place, and why."""
    if is_no_bucket(error):
        bucket = "/".join(url.split("/")[:3])
        return StorageError(
            f"{bucket}: there is no such bucket: check its name, or make it"
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    first = str(reason).splitlines()[0].rstrip(".")
    lasts = is_local(url) and getattr(error, "errno", None) in _LASTING
    kind = PlaceRefusedError if lasts else StorageError
    return kind(f"{url}: {what} ({first}): {_cure(error, url)}")


def _cure(error: Exception, url: str) -> str:
    code = getattr(error, "errno", None)
    name = type(error).__name__
    if code in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some of it and run again"
    if isinstance(error, UnicodeError):
        return "give it a name that is UTF-8"
    if name in ("NoCredentialsError", "PartialCredentialsError"):
        return "set storage.s3.profile, or anonymous = true for a public bucket"
    if name in ("ProfileNotFound", "TokenRetrievalError", "UnauthorizedSSOTokenError"):
        return "set storage.s3.profile to one of your AWS profiles, and log in to it"
    if isinstance(error, PermissionError):
        if is_local(url):
            return "change its rights, or name another place"
        return "check storage.s3 (profile, anonymous) and the bucket's policy"
    if is_local(url):
        return "change the step's output, free the place or change its rights"
    return "check the network and storage.s3, and run again"
