"""Packages that only some commands need, which are installed as extras."""

import contextlib
from collections.abc import Iterator

from cpengine.errors import ExecutorError


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Say how to get packages that are imported here.

    Raises
    ------
    ExecutorError
        One of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExecutorError(
            f"{error.name} is not installed: pip install 'cpengine[{name}]'"
        ) from error
