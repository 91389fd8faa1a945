"""moto's S3 in this process: its application, and a short cut to its objects."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import md5
from typing import Any

import moto.s3.models as models
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore

from tests.services.s3.calls import App

Item = FakeKey | str  # an object, or the common prefix of many
Page = tuple[list[Item], bool, str | None]


def application() -> App:
    """The WSGI application of moto's S3, with quick listings."""
    models._VersionedKeyStore = SortedKeys
    S3Backend.list_objects_v2 = list_objects_v2
    FakeKey.last_modified_ISO8601 = property(_modified)
    return create_backend_app("s3")


def backend() -> S3Backend:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


class SortedKeys(_VersionedKeyStore):
    """A bucket's keys, which remember their order until one comes or goes."""

    _order: list[str] | None = None

    def order(self) -> list[str]:
        if self._order is None:
            self._order = sorted(self)
        return self._order

    def _touch(self, key: str) -> None:
        if key not in self:
            self._order = None

    def setlist(self, key: str, list_: Any) -> None:
        self._touch(key)
        super().setlist(key, list_)

    def __setitem__(self, key: str, value: Any) -> None:
        self._touch(key)
        super().__setitem__(key, value)

    def pop(self, key: str) -> None:
        self._order = None
        super().pop(key)


def list_objects_v2(
    backend: S3Backend,
    bucket: FakeBucket,
    prefix: str | None,
    delimiter: str | None,
    continuation_token: str | None,
    start_after: str | None,
    max_keys: int,
) -> Page:
    """Stand in for moto's method, which scans and sorts all keys for every page.

    A listing of 100,000 keys has 100 pages: this finds where each begins.
    """
    after = start_after or ""
    if continuation_token:
        after = backend._pagination_tokens[continuation_token]
    found: list[Item] = []
    for item in _items(bucket.keys, prefix or "", delimiter or "", after):
        if len(found) == max_keys:
            return found, max_keys > 0, _token(backend, found)
        found.append(item)
    return found, False, None


def _items(keys: SortedKeys, prefix: str, delimiter: str, after: str) -> Iterator[Item]:
    order = keys.order()
    at = max(bisect_left(order, prefix), bisect_right(order, after))
    while at < len(order) and order[at].startswith(prefix):
        name = order[at]
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            at += 1
            if isinstance(keys[name], FakeKey):  # and not the mark of a deletion
                yield keys[name]
            continue
        folder = name[: cut + len(delimiter)]
        if folder > after:
            yield folder
        at = bisect_left(order, _beyond(folder), at)


def _beyond(folder: str) -> str:
    """The first name that sorts after all names within the folder."""
    return folder[:-1] + chr(ord(folder[-1]) + 1)


def _token(backend: S3Backend, found: list[Item]) -> str | None:
    if not found:
        return None
    last = found[-1]
    name = last if isinstance(last, str) else last.name
    token = md5(name.encode()).hexdigest()
    backend._pagination_tokens[token] = name
    return token


def _modified(key: FakeKey) -> datetime:
    """A time instead of its text, which moto would parse again to write it.

    That is half of the time that a page takes; the answer is the same.
    """
    return key.last_modified.replace(microsecond=0)


def make(bucket: str) -> None:
    backend().create_bucket(bucket, "us-east-1")


def delete(bucket: str) -> None:
    """Delete a bucket with all that is in it."""
    there = backend().get_bucket(bucket)
    for name in list(there.keys):
        there.keys.pop(name)
    for upload in list(there.multiparts):
        del there.multiparts[upload]
    backend().delete_bucket(bucket)


def put(bucket: str, key: str, data: bytes) -> None:
    backend().put_object(bucket, key, data, disable_notification=True)


def fill(bucket: str, names: Iterable[str], data: bytes) -> int:
    """Put many small objects that are all alike; give how many."""
    count = 0
    for count, name in enumerate(names, start=1):  # noqa: B007 - it is returned
        put(bucket, name, data)
    return count


def objects(bucket: str, prefix: str) -> dict[str, bytes]:
    found = _items(backend().get_bucket(bucket).keys, prefix, "", "")
    return {key.name: key.value for key in found if isinstance(key, FakeKey)}
