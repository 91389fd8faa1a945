"""Settings of workers that are small enough for the cluster of the tests."""

import json
from typing import Any

from cpengine.config import FILE_NAME, SlurmSection
from cpengine.project import Project


def settings(**changes: Any) -> SlurmSection:
    """Two workers of one core on the loopback network, but for what is changed."""
    small: dict[str, Any] = {
        "cores": 1,
        "memory_gb": 1.0,
        "job_memory_gb": 0.5,
        "workers": 2,
        "walltime": "00:10:00",
        "interface": "lo",
    }
    return SlurmSection(**small | changes)


def section(**changes: Any) -> str:
    """The same settings as a section of a project file."""
    chosen = settings(**changes).model_dump(exclude_unset=True)
    lines = [f"{key} = {json.dumps(value)}" for key, value in chosen.items()]
    return "\n".join(["[executors.slurm]", *lines, ""])


def on_slurm(project: Project, **changes: Any) -> Project:
    """A demo project whose file has these settings."""
    path = project.folder / FILE_NAME
    path.write_text(path.read_text().replace("[executors.slurm]\n", section(**changes)))
    return Project.load(project.folder)
