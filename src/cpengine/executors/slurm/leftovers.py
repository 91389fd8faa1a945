"""What is left of workers on a cluster whose driver was killed, and its removal."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cpengine.system import private


def remove_folder(folder: Path) -> Iterator[str]:
    """Remove a run's folder; one of another user stays, which is said in a line."""
    if private.is_own(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        yield f"{folder}: is another user's, and stays"


def cancel(jobs: str) -> Iterator[str]:
    """Cancel this user's jobs of a name; an operator could cancel others', too."""
    command = ["scancel", f"--name={jobs}", f"--user={os.geteuid()}"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        yield f"the run's SLURM jobs could not be cancelled: {error}"
