"""What a user can mend, as lines on stderr with an exit code; never a traceback."""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import IO

import typer

from cpengine.cli import stopped
from cpengine.cli.exit_codes import BAD_INPUT, INTERRUPTED
from cpengine.cli.printing import print_err
from cpengine.errors import CpengineError

_MOST_LINES = 10
_MORE_MEMORY = "free some, take fewer plates or wells, or use a machine with more"


class _Warnings(logging.Handler):
    """Prints what the library warns of: each line once, and of many the first."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line not in self._lines:
            self._lines.add(line)
            if len(self._lines) <= _MOST_LINES:
                print_err(f"warning: {line}")

    def close(self) -> None:
        super().close()
        if len(self._lines) > _MOST_LINES:
            print_err(f"warning: and {len(self._lines) - _MOST_LINES} more")


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """While a command runs, what the library warns of is printed."""
    logger, handler = logging.getLogger("cpengine"), _Warnings()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def in_lines(command: Callable[[], str]) -> Iterator[None]:
    """Turn what a user can mend into lines and an exit code.

    Parameters
    ----------
    command
        Gives the words of the command that is called; empty if none is yet.
    """
    try:
        with _warnings():
            yield
    except CpengineError as error:
        _complain(str(error).split("\n"))
        raise typer.Exit(BAD_INPUT) from error
    except MemoryError as error:
        what = f"there is not enough memory{_in_brackets(error)}"
        print_err(f"error: {what}: {_MORE_MEMORY}")
        raise typer.Exit(BAD_INPUT) from error
    except (KeyboardInterrupt, RuntimeError) as error:
        if not _by_interrupt(error):
            raise
        print_err(stopped.line(command()))
        raise typer.Exit(INTERRUPTED) from error


def _in_brackets(error: BaseException) -> str:
    """What an error says, in brackets; empty if that is nothing."""
    return f" ({error})" if str(error) else ""


def _by_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind it; out of an import it may come as another exception.

    Python before 3.12 makes one of all that is raised while a class is made.
    """
    return isinstance(error, KeyboardInterrupt) or isinstance(
        error.__cause__, KeyboardInterrupt
    )


def _complain(lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        print_err(f"error: {line}")
    if len(lines) > _MOST_LINES:
        print_err(f"error: and {len(lines) - _MOST_LINES} more")


def is_full(error: OSError) -> bool:
    """Whether the output or a disk takes no more; it is said in a line."""
    lost = error.filename is None and _is_lost(sys.stdout)
    if not lost and error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return False
    place = "standard output" if lost else error.filename or "a disk"
    reason = error.strerror or error
    try:
        print_err(f"error: {place}: cannot be written ({reason}): free space there")
    except OSError:  # it is stderr, or that too
        _drop(sys.stderr)
    return True


def _is_lost(stream: IO[str]) -> bool:
    """Whether a stream takes not even the end of a line; it is dropped then."""
    try:
        stream.write("\n")
        stream.flush()
    except OSError:
        _drop(stream)
        return True
    return False


def _drop(stream: IO[str]) -> None:
    """Lead what is still to be written nowhere: Python would try again at its end."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
