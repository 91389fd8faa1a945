"""One name for a place, however many there are: what tells that two are the same."""

import os
import posixpath

from fsspec.core import split_protocol

from cpengine.storage.filesystems import S3, is_local
from cpengine.storage.store import Storage


def real_place(storage: Storage, key: str) -> str:
    """A place as all that lead there have it: without links, `..`, `//` and `file:`.

    What is below the root is named from there, so that a copy of all has the same.
    The place need not be there, and nothing is asked of a store.
    """
    place = _real(key if "://" in key else storage.join(key))
    return place.removeprefix(f"{_real(storage.root).rstrip('/')}/")


def _real(url: str) -> str:
    if is_local(url):
        return os.path.realpath(url.removeprefix("file://"))
    protocol, rest = split_protocol(url)
    known = "s3" if protocol in S3 else protocol
    return f"{known}://{posixpath.normpath(rest).lstrip('/')}"
