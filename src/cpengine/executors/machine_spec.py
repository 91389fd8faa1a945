"""What a worker elsewhere is told to make the project's machine, as text."""

import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cpengine.config import (
    CellProfilerSection,
    ProjectFile,
    S3Section,
    StorageSection,
)
from cpengine.errors import CellProfilerError, ConfigError
from cpengine.job.admission import MemoryRule, Slots
from cpengine.job.machine import find_cellprofiler, make_machine
from cpengine.job.run_job import Machine
from cpengine.planning.project import ResolvedProject
from cpengine.storage.own_files import reason
from cpengine.system.capacity import MemoryLeft, lately
from cpengine.system.scratch import sweep
from cpengine.system.usage import sample
from cpengine.wording import GB

MAKE = f"{__name__}:project_machine"
Fields = dict[str, Any]
"""Fields of a section by name, True for all of one; see pydantic's `include`."""
_SITE_FIELDS: Fields = {
    "project": {"name", "batch"},
    "storage": True,
    "steps": {"__all__": {"output"}},  # what is below them was made by jobs
    "cellprofiler": True,
}
"""What a worker is told of the project file. A section that is not here, or is new, is
not its business: `run` has the address of a webhook, which is a secret."""
_ANYWHERE = set(S3Section.model_fields) - {"profile"}
_REMOTE_FIELDS: Fields = _SITE_FIELDS | {
    "storage": dict.fromkeys(StorageSection.model_fields, True)
    | {"s3": _ANYWHERE, "buckets": {"__all__": _ANYWHERE}},
    "cellprofiler": set(CellProfilerSection.model_fields)
    - {"path", "image", "runtime", "mounts"},
}
"""The same of a worker whose credentials and CellProfiler are its own."""
_LEAST_ROOM = GB
EXPECTED_GB = 2.0
"""What a job is expected to need until some have ended."""


def site_spec(
    project: ResolvedProject,
    cellprofiler: str,
    *,
    scratch: str | None = None,
    memory_gb: float | None = None,
    job_memory_gb: float = EXPECTED_GB,
) -> str:
    """What a worker of the same site must know of a project and of what it may use.

    Parameters
    ----------
    cellprofiler
        The version of the driver's, which must be the worker's, too.
    scratch
        Its folder for work in progress; as `node_scratch` says if None.
    memory_gb
        What it may use with all its jobs; what is left on its machine if None.
    job_memory_gb
        What a job is expected to need until some have ended.
    """
    return _text(
        _selected(project.file, _SITE_FIELDS),
        cellprofiler,
        scratch,
        memory_gb,
        job_memory_gb,
        project.folder.resolve(),
    )


def bucket_spec(
    file: ProjectFile, cellprofiler: str = "", memory_gb: float | None = None
) -> str:
    """What a worker must know that shares nothing with the driver but buckets.

    Its CellProfiler and its credentials are its own.

    Parameters
    ----------
    cellprofiler
        The version that it must have; any if empty.
    memory_gb
        What it may use with all its jobs.
    """
    fields = _selected(file, _REMOTE_FIELDS)
    return _text(fields, cellprofiler, None, memory_gb, EXPECTED_GB, Path("/"))


def _selected(file: ProjectFile, fields: Fields) -> dict[str, Any]:
    return file.model_dump(mode="json", exclude_unset=True, include=fields)


def _text(
    file: dict[str, Any],
    cellprofiler: str,
    scratch: str | None,
    memory_gb: float | None,
    job_memory_gb: float,
    folder: Path,
) -> str:
    return json.dumps(
        {
            "file": file,
            "folder": str(folder),
            "cellprofiler": cellprofiler,
            "scratch": scratch,
            "memory": memory_gb and int(memory_gb * GB),
            "job_memory": int(job_memory_gb * GB),
        }
    )


def machine_of(make: str, spec: str, slots: int) -> Machine:
    """Make a machine by the function of that name, `module:function`."""
    module, _, name = make.partition(":")
    function: Callable[[str, int], Machine] = getattr(
        importlib.import_module(module), name
    )
    return function(spec, slots)


def project_machine(spec: str, slots: int) -> Machine:
    """Make the machine of a worker; refuse one that cannot run the project's jobs.

    Raises
    ------
    ConfigError, CellProfilerError, StorageError
        CellProfiler is missing or another one, the scratch folder has no room, or a
        root cannot be reached.
    """
    data = json.loads(spec)
    scratch, project = _selected_project(data)
    project.places.outputs.sizes(project.layout.load_data)  # can it be reached?
    cellprofiler = find_cellprofiler(project)
    if data["cellprofiler"] not in ("", cellprofiler.version):
        raise CellProfilerError(
            f"CellProfiler {cellprofiler.version} is here, but "
            f"{data['cellprofiler']} where the run was started: use one for both"
        )
    sweep(Path(scratch))
    rule = memory_rule(data["memory"], data["job_memory"])
    return make_machine(project, cellprofiler, slots=Slots(slots, rule))


def _selected_project(data: dict[str, Any]) -> tuple[str, ResolvedProject]:
    """The scratch folder and the project of a spec, which may be another version's."""
    try:
        folder, section = Path(data["folder"]), data["file"]
        scratch = node_scratch(data["scratch"])
        file = ProjectFile.model_validate(
            section | {"executors": {"local": {"scratch": scratch}}}
        )
    except (LookupError, TypeError, ValidationError) as error:
        raise ConfigError(
            f"what the driver tells of the project cannot be read ({reason(error)}): "
            "use one version of cpengine on both"
        ) from error
    return scratch, ResolvedProject(file, folder)


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
    memory_left = MemoryLeft.of_this_process()

    def left() -> int:
        if allowed is None:
            return memory_left()
        return min(memory_left(), allowed - sample(os.getpid()).memory)

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
