"""Folders for work in progress, whose names say which process owns them."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from cpengine.errors import CpengineError, StorageError
from cpengine.system import namespace
from cpengine.system.namespace import PidNamespace
from cpengine.system.private import is_own
from cpengine.system.usage import lives

PREFIX = "cpengine-"
_OWNER = re.compile(PREFIX + r"(?P<pid>\d+)@(?P<namespace>\w+-\w+-\w+)-")


def fresh(parent: Path, what: str) -> Path:
    """Make a folder of this process for `what`; the owner removes it.

    Raises
    ------
    StorageError
        There is no room for it, or no right to make it.
    """
    with _writing(parent):
        return Path(tempfile.mkdtemp(prefix=f"{owned(os.getpid())}{what}-", dir=parent))


@contextlib.contextmanager
def folder(parent: Path, what: str) -> Iterator[Path]:
    """A fresh folder that is removed in the end; those of killed processes are, too.

    Raises
    ------
    StorageError
        It cannot be made, or the system did not let us write in it.
    """
    sweep(parent)
    made = fresh(parent, what)
    try:
        with _writing(parent):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Say in one line what the system does not let us write below a place."""
    try:
        yield
    except CpengineError:
        raise
    except OSError as error:
        raise StorageError(
            f"{place}: cannot be written ({error.strerror or error}): free space, "
            "or set executors.local.scratch or TMPDIR"
        ) from error


def owned(pid: int, space: PidNamespace | None = None) -> str:
    """How the folders of a process begin; of one of this namespace by default."""
    return f"{PREFIX}{pid}@{space or namespace.own()}-"


def sweep(parent: Path) -> None:
    """Remove this user's folders that killed processes of this machine left behind."""
    for folder in parent.glob(f"{PREFIX}*@*"):
        owner = _OWNER.match(folder.name)
        space = PidNamespace.parse(owner["namespace"]) if owner else None
        if owner and space and _is_left(folder, int(owner["pid"]), space):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path, pid: int, space: PidNamespace) -> bool:
    """Whether nobody works in a folder any more, as far as can be told from here."""
    ours = namespace.own()
    if not is_own(folder):
        return False
    if space.shares_numbers(ours):
        return not lives(pid)
    with contextlib.suppress(OSError):  # somebody else has just removed it
        old = folder.stat().st_mtime < psutil.boot_time()
        return old and space.is_earlier_boot(ours)
    return False
