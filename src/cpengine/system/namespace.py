"""Where a process number means a process: within one boot and one PID namespace.

Two containers may have one host name, one scratch folder and processes of the same
number, which are none of each other's. See pid_namespaces(7) and random(4).
"""

import contextlib
import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cpengine.system.cgroups import lines
from cpengine.system.usage import PROC, is_later_process, lives

_OUTERMOST = f"{0xEFFFFFFC:x}"
"""The number of the namespace that a machine starts with: outside of containers."""
_UNKNOWN = "0"
"""Of a system that is not Linux."""


class PidNamespace(NamedTuple):
    """The processes that have their numbers of one count."""

    host: str
    boot: str
    number: str

    def __str__(self) -> str:
        return "-".join(self)

    @classmethod
    def parse(cls, text: str) -> "PidNamespace | None":
        """Read what `str` gave; None for anything else."""
        parts = text.split("-")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    def shares_numbers(self, other: "PidNamespace") -> bool:
        """Whether a process number of one means the same process in the other."""
        if _UNKNOWN in (self.boot, self.number):
            return self == other
        return self[1:] == other[1:]

    def is_earlier_boot(self, other: "PidNamespace") -> bool:
        """Whether this may be a machine before its last start, of which other is now.

        Never of a container: another one of that host name may be anywhere.
        """
        outside = self.number == other.number == _OUTERMOST
        return outside and self.host == other.host and self.boot != other.boot


@cache
def own(proc: Path = PROC) -> PidNamespace:
    """That of this process."""
    boot = next(iter(lines(proc / "sys/kernel/random/boot_id")), "")
    number = ""
    with contextlib.suppress(OSError):
        number = os.readlink(proc / "self/ns/pid").strip("pid:[]")
    return PidNamespace(
        host=_short(socket.gethostname()),
        boot=_short(boot) if boot else _UNKNOWN,
        number=f"{int(number):x}" if number.isdigit() else _UNKNOWN,
    )


def has_died(pid: int, space: str, began: str = "") -> bool:
    """Whether a process has ended; False where that cannot be seen from here.

    Parameters
    ----------
    space
        The text of the namespace in which it has its number.
    began
        See `usage.process_began`; empty if that is not known.
    """
    theirs = PidNamespace.parse(space)
    seen = theirs is not None and theirs.shares_numbers(own())
    return seen and (not lives(pid) or is_later_process(began, pid))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
