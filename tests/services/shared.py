"""Services that start once a test process, however many folders have fixtures of them.

The `conftest.py` of a folder takes from `fixtures.py` of a service what its tests need,
so that nobody else imports a browser's driver or a cloud's client.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

T = TypeVar("T")

_RUNNING: dict[str, Any] = {}
_UNTIL_THE_END = ExitStack()


def running(name: str, start: Callable[[], AbstractContextManager[T]]) -> T:
    """The service of that name, started if it is the first time."""
    if name not in _RUNNING:
        _RUNNING[name] = _UNTIL_THE_END.enter_context(start())
    service: T = _RUNNING[name]
    return service


def stop_all() -> None:
    """Stop all that were started, the last one first."""
    _RUNNING.clear()
    _UNTIL_THE_END.close()
