"""What is left of an executor whose driver was killed, and how it is removed.

A driver's last sign may have been written by anybody who can write to the ledger. So it
gives an id alone: places and commands are made of that here, and what is not this
user's stays.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping

from cpengine.executors import registry
from cpengine.planning.project import ResolvedProject
from cpengine.system import private

_NAME = re.compile(r"cpengine-([0-9a-f]{6})")


def clear(project: ResolvedProject, traces: Mapping[str, str]) -> Iterator[str]:
    """Cancel a run's worker jobs and remove its folder; give a line for what stays.

    Parameters
    ----------
    traces
        What the driver said of its executor; see `Executor.traces`.
    """
    kind, jobs = str(traces.get("scheduler")), str(traces.get("jobs"))
    name = _NAME.fullmatch(jobs)
    if kind not in registry.CLUSTERS or not name:
        return
    if kind == "slurm":
        yield from _cancel(jobs)
    folder = registry.run_folder(project, kind, name[1])
    if private.is_own(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        yield f"{folder}: is another user's, and stays"


def _cancel(jobs: str) -> Iterator[str]:
    """Cancel this user's jobs of a name; an operator could cancel others', too."""
    command = ["scancel", f"--name={jobs}", f"--user={os.geteuid()}"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        yield f"the run's SLURM jobs could not be cancelled: {error}"
