"""What happens to files: power cuts, full disks, other versions, people."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Kind = Callable[[bytes], bytes]


def _wrong(value: Any) -> Any:
    """A value of another type."""
    return {"x": 1} if isinstance(value, str | list) else "no such thing"


def _in_json(change: Callable[[dict[str, Any]], Any]) -> Kind:
    return lambda data: json.dumps(change(json.loads(data))).encode()


def _inside(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    """Change what the objects of an object hold."""
    return lambda found: {
        key: {k: change(v) for k, v in value.items()}
        if isinstance(value, dict)
        else value
        for key, value in found.items()
    }


def _middle(put: bytes) -> Kind:
    return lambda data: data[: len(data) // 2] + put + data[len(data) // 2 :]


def _endless(value: Any) -> Any:
    return float("inf") if isinstance(value, int | float) else value


ANY: Mapping[str, Kind] = {
    "empty": lambda data: b"",
    "a byte": lambda data: data[:1],
    "cut in half": lambda data: data[: len(data) // 2],
    "the last bytes gone": lambda data: data[:-7],
    "zeros": lambda data: bytes(len(data)),
    "zeros at the end": lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
    "no UTF-8": _middle(b"\xff\xe4"),
    "noise": lambda data: bytes(i * 89 % 251 for i in range(len(data))),
    "another text": lambda data: b"no such thing\n",
}
"""Damage that any file may have."""
JSON: Mapping[str, Kind] = {
    "null": lambda data: b"null",
    "a number": lambda data: b"5",
    "a list": lambda data: b"[]",
    "no keys": lambda data: b"{}",
    "deep": lambda data: b'{"a":' * 100_000,
    "deep lists": lambda data: b"[" * 100_000,
    "a long number": lambda data: b"9" * 10_000,
    "wrong types": _in_json(lambda found: {k: _wrong(v) for k, v in found.items()}),
    "wrong types inside": _in_json(_inside(_wrong)),
    "endless numbers": _in_json(
        lambda found: {k: _endless(v) for k, v in found.items()}
    ),
    "half a character": lambda data: data.replace(b'": "', b'": "\\ud800', 1),
}
"""Damage that is JSON all the same, or nearly."""
NEWER: Mapping[str, Kind] = {
    "more keys": _in_json(lambda found: found | {"brand_new": {"a": [1]}}),
    "more keys inside": _in_json(
        lambda found: {
            k: v | {"brand_new": 1} if k == "job" else v for k, v in found.items()
        }
    ),
}
"""What other versions write, which is no damage."""
