"""Which kind of failure it is that an attempt ended by an exception. Pure."""

import errno
import traceback
from collections.abc import Iterator

from cpengine.errors import CpengineError, PlaceRefusedError, StorageError
from cpengine.model import AttemptError, Failure, FailureKind

_SHORT = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""No more processes, open files or memory: whatever was asked for, it was refused."""
_NO_THREAD = "can't start new thread"
"""What Python's RuntimeError says where the system refuses it a thread."""
_LONGEST = 300


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception is, in one line."""
    if isinstance(error, AttemptError):
        return Failure(error.kind, str(error), error.module)
    kind = _kind_of(error)
    known = isinstance(error, CpengineError | OSError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    line = " ".join(text.split())
    lasting = kind is FailureKind.STORAGE and isinstance(error, PlaceRefusedError)
    return Failure(kind, line if known else line[:_LONGEST], lasting=lasting)


def trace_of(error: BaseException) -> str:
    """An exception's traceback as text that any file takes."""
    text = "".join(traceback.format_exception(error))
    return text.encode(errors="backslashreplace").decode()


def _kind_of(error: BaseException) -> FailureKind:
    if any(map(_is_shortage, _causes(error))):
        return FailureKind.MACHINE
    if isinstance(error, StorageError):
        return FailureKind.STORAGE
    if isinstance(error, CpengineError):
        return FailureKind.BAD_INPUT
    return FailureKind.STORAGE if isinstance(error, OSError) else FailureKind.INTERNAL


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _SHORT
    return isinstance(error, MemoryError) or _NO_THREAD in str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it was made of."""
    while error is not None:
        yield error
        error = error.__cause__
