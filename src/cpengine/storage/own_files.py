"""JSON files that cpengine itself wrote: whole and of the right form, or damaged.

Power cuts, full disks, other versions and people leave what cannot be read. One such
file is told of in a line and passed over; it never stops what the others allow.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from cpengine import rules
from cpengine.errors import StorageError
from cpengine.rules import Finding
from cpengine.storage.parallel import each
from cpengine.storage.store import Storage

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_LONGEST = 120
_MOST = 64 * 2**20
"""Bytes; no file of cpengine comes near to that."""


@dataclass(frozen=True, slots=True)
class OwnFile(Generic[_T]):
    """One kind of file: how it is read, and what to do where it is damaged."""

    make: Callable[[Any], _T]
    """Makes what the file stands for of its JSON; any error means damage."""
    cure: str

    def parse(self, data: bytes, place: str) -> _T | Finding:
        """What a file holds, or that it is damaged."""
        try:
            content = from_json(data, allow_inf_nan=False)
            json.dumps(content, allow_nan=False)  # 1e999 is no number either
            return self.make(content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            cause = f"is damaged ({reason(error) if data else 'it is empty'})"
            return rules.STORAGE.found(place, cause, self.cure)

    def read(self, storage: Storage, key: str) -> _T | None:
        """What a file holds; None if it is not there, or damaged, which is told."""
        return unless_damaged(self.look_up(storage, key))

    def look_up(self, storage: Storage, key: str) -> _T | Finding | None:
        """What a file holds, or that it is damaged; None if it is not there.

        Raises
        ------
        StorageError
            The storage cannot be asked. Of a local file that is damage: others may be
            read all the same.
        """
        try:
            data = storage.read_if_there(key, _MOST)
        except StorageError as error:
            if not storage.is_local(key):
                raise
            (finding,) = error.findings
            return finding
        return None if data is None else self.parse(data, storage.url(key))

    def read_each(self, storage: Storage, keys: Iterable[str]) -> list[_T]:
        """What files hold; those that are gone or damaged are left out, and told."""
        found = each(lambda key: self.look_up(storage, key), keys)
        whole = [unless_damaged(entry) for entry in found]
        return [entry for entry in whole if entry is not None]


def unless_damaged(found: _T | Finding | None) -> _T | None:
    """What was read, if anything was; damage is told."""
    if isinstance(found, Finding):
        _LOG.warning("%s", found)
        return None
    return found


def of_form(kind: Any) -> Callable[[Any], Any]:
    """A check that JSON has the form of a dataclass: unknown keys are left out.

    Keys with a default may be missing, as other versions have others.
    """
    return TypeAdapter(kind).validate_python


def has_form(kind: Any) -> Callable[[Any], dict[str, Any]]:
    """A check as `of_form`, which gives the JSON as it stands."""
    form = of_form(kind)

    def check(data: Any) -> dict[str, Any]:
        form(data)
        found: dict[str, Any] = data
        return found

    return check


def reason(error: Exception) -> str:
    """Why JSON could not be read, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg'].lower()}"[:_LONGEST]
    lines = str(error).splitlines() or [type(error).__name__]
    if isinstance(error, LookupError):
        return f"{lines[0]} is missing"
    return lines[0][:_LONGEST]
