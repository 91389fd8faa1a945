"""What can go wrong, as one tree.

CpengineError            anything cpengine says in one line and stops for
├── ConfigError          the project file or an option is wrong
├── InputError           a CSV, pipeline, image or batch file is wrong
├── CellProfilerError    CellProfiler cannot be found, installed or started
├── StorageError         a file or folder cannot be read or written
│   └── PlaceRefusedError  and it is of no use to try again
└── ExecutorError        the place where jobs run cannot be used

A job that fails is not an error of cpengine: it is an `Outcome` (see `model`).
"""

import contextlib
from collections.abc import Iterator
from typing import ClassVar

from cpengine import rules
from cpengine.rules import Finding, Rule


class CpengineError(Exception):
    """An error the user can mend.

    Its text says what, where and what to do next; a line for each finding.
    """

    rule: ClassVar[Rule] = rules.OTHER
    """The rule that is broken where no finding names another."""

    def __init__(self, *found: Finding | str) -> None:
        super().__init__("\n".join(map(str, found)))
        self._found = found

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, one a line."""
        lines = (
            [problem]
            if isinstance(problem, Finding)
            else map(self.rule.parse, problem.splitlines())
            for problem in self._found
        )
        return tuple(finding for some in lines for finding in some)


class ConfigError(CpengineError, ValueError):
    """A setting is unknown, missing or has a value that is not allowed."""

    rule = rules.SETTING


class InputError(CpengineError, ValueError):
    """An input file does not hold what its step needs."""


class CellProfilerError(CpengineError, RuntimeError):
    """CellProfiler is missing, cannot be installed or does not start."""

    rule = rules.CELLPROFILER


class StorageError(CpengineError, OSError):
    """A place cannot be read or written."""

    rule = rules.STORAGE


class PlaceRefusedError(StorageError):
    """A place cannot be used until somebody changes it: to wait does not help."""


@contextlib.contextmanager
def writing(place: object) -> Iterator[None]:
    """Say in one line what the system does not let us write below a local folder.

    Raises
    ------
    StorageError
        It has no room or no such folder, gives no right, or takes no such name.
    """
    try:
        yield
    except CpengineError:
        raise
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"{place}: cannot be written ({reason}): name another folder, or change "
            "its rights"
        ) from error


class ExecutorError(CpengineError, RuntimeError):
    """An executor is unknown, or cannot be used on this machine."""

    rule = rules.EXECUTOR
