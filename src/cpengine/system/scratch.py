"""Folders for work in progress, whose names say which process owns them."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from cpengine.system.private import is_own
from cpengine.system.usage import lives

PREFIX = "cpengine-"


def fresh(parent: Path, what: str) -> Path:
    """Make a folder of this process for `what`; the owner removes it."""
    prefix = f"{PREFIX}{os.getpid()}@{socket.gethostname()}-{what}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def sweep(parent: Path) -> None:
    """Remove this user's folders that killed processes of this machine left behind."""
    for folder in parent.glob(f"{PREFIX}*@{socket.gethostname()}-*"):
        owner = folder.name.removeprefix(PREFIX).partition("@")[0]
        if owner.isdigit() and not lives(int(owner)) and is_own(folder):
            shutil.rmtree(folder, ignore_errors=True)
