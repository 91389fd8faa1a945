"""Start a run's driver so that it outlives the login session."""

import secrets
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cpengine.errors import writing

FOLDER = ".cpengine"
"""Beside the project file: what drivers and workers say."""


def log_in(folder: Path) -> Path:
    """A file for what a driver says, of a name that is not there yet."""
    name = f"driver-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}.log"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve() / name


def as_process(arguments: Sequence[str], log: Path) -> str:
    """Start cpengine in the background of this machine; say what it is.

    It goes on when the session that started it ends, where the site lets it.
    """
    with writing(log):
        output = log.open("xb")  # never one that somebody else put there
    with output:
        process = subprocess.Popen(
            program(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process.returncode = 0  # nobody waits for it: it is on its own
    return f"process {process.pid}"


def program(arguments: Sequence[str]) -> list[str]:
    """This cpengine, with arguments."""
    # -P: not with the modules of the folder where it is, which others may write to.
    return [sys.executable, "-P", "-m", "cpengine", *arguments]
