"""What a worker elsewhere is told to make the project's machine, as text."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from cpengine.capacity import MemoryLeft, lately
from cpengine.config import ClusterSection, DaskSection, ProjectFile
from cpengine.errors import CellProfilerError, ConfigError
from cpengine.measure import GB, sample
from cpengine.project import Project
from cpengine.runner import Machine
from cpengine.scratch import sweep
from cpengine.slots import MemoryRule, Slots

MAKE = f"{__name__}:project_machine"
_LEAST_ROOM = GB


def tell(
    project: Project, cellprofiler: str, settings: ClusterSection | DaskSection
) -> str:
    """What a worker must know of a project and of what it may use.

    Parameters
    ----------
    cellprofiler
        The version of the driver's, which must be the worker's, too.
    """
    return json.dumps(
        {
            "file": project.file.model_dump(mode="json", exclude_unset=True),
            "folder": str(project.folder.resolve()),
            "cellprofiler": cellprofiler,
            "scratch": settings.scratch,
            "memory": settings.memory_gb and int(settings.memory_gb * GB),
            "job_memory": int(settings.job_memory_gb * GB),
        }
    )


def project_machine(told: str, slots: int) -> Machine:
    """Make the machine of a worker; refuse one that cannot run the project's jobs.

    Raises
    ------
    ConfigError, CellProfilerError, StorageError
        CellProfiler is missing or another one, the scratch folder has no room, or a
        root cannot be reached.
    """
    data = json.loads(told)
    scratch = node_scratch(data["scratch"])
    data["file"].setdefault("executors", {}).setdefault("local", {})["scratch"] = (
        scratch
    )
    project = Project(ProjectFile.model_validate(data["file"]), Path(data["folder"]))
    project.places.outputs.sizes(project.layout.load_data)  # can it be reached?
    cellprofiler = project.cellprofiler()
    if cellprofiler.version != data["cellprofiler"]:
        raise CellProfilerError(
            f"CellProfiler {cellprofiler.version} is here, but "
            f"{data['cellprofiler']} where the run was started: use one for both"
        )
    sweep(Path(scratch))
    rule = memory_rule(data["memory"], data["job_memory"])
    return project.machine(cellprofiler, slots=Slots(slots, rule))


def memory_rule(allowed: int | None, expected: int) -> MemoryRule:
    """How memory bounds the jobs of a worker; sizes in bytes.

    Parameters
    ----------
    allowed
        What the worker may use with all its children. Schedulers that cannot see all of
        these would let it take more, to the harm of the node's others.
    expected
        What a job is expected to need until some have ended.
    """
    here = MemoryLeft.here()

    def left() -> int:
        if allowed is None:
            return here()
        return min(here(), allowed - sample(os.getpid()).memory)

    return MemoryRule.of(lately(left), expected, admits=True)


def node_scratch(setting: str | None) -> str:
    """The folder for work in progress on this node.

    Raises
    ------
    ConfigError
        It names a variable that is not set, cannot be written, or has no room.
    """
    wanted = setting or os.environ.get("SLURM_TMPDIR") or tempfile.gettempdir()
    folder = os.path.expanduser(os.path.expandvars(wanted))
    if "$" in folder:
        raise ConfigError(f"scratch: {wanted}: the variable is not set on the node")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"scratch: {folder} is no folder that can be written")
    if shutil.disk_usage(folder).free < _LEAST_ROOM:
        raise ConfigError(f"scratch: {folder} is full: less than 1 GB is free")
    return folder
