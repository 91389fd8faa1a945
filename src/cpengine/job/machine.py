"""This machine, made for a project: its CellProfiler, folders and kept processes."""

import os
from dataclasses import replace
from pathlib import Path

from cpengine.cellprofiler import build_kernels, container, host_accelerations
from cpengine.cellprofiler.container import Mount
from cpengine.cellprofiler.find import CellProfiler, Wanted, find
from cpengine.cellprofiler.pool import Hosts, Recycling
from cpengine.errors import ConfigError
from cpengine.job.admission import Slots
from cpengine.job.run_job import Machine
from cpengine.planning.project import ResolvedProject
from cpengine.storage import filesystems
from cpengine.wording import GB


def wanted_cellprofiler(project: ResolvedProject) -> Wanted:
    """The CellProfiler that the project file names, if it does."""
    named = project.file.cellprofiler
    path = str(project.beside(named.path)) if named.path else None
    image = named.image
    if image and container.is_file(image):
        image = str(project.beside(image))
    return Wanted(path, image, named.runtime)


def find_cellprofiler(project: ResolvedProject) -> CellProfiler:
    """The CellProfiler that the project uses.

    Raises
    ------
    CellProfilerError
        There is none, or the project file's is none.
    """
    return find(wanted_cellprofiler(project))


def make_machine(
    project: ResolvedProject,
    cellprofiler: CellProfiler | None = None,
    slots: Slots | None = None,
) -> Machine:
    """This machine, to run the project's jobs.

    Parameters
    ----------
    slots
        How many CellProfilers may run at a time. No limit if None.

    Raises
    ------
    CellProfilerError
        None is given, and there is none or the project file's is none.
    ConfigError
        The scratch folder cannot be written.
    """
    used, scratch = cellprofiler or find_cellprofiler(project), project.scratch
    if used.container:
        with_mounts = replace(used.container, mounts=_mounts(project))
        used = replace(used, container=with_mounts)
    used = used.with_blas_kernel(project.file.cellprofiler.blas_kernel)
    hosts = _hosts(project, used)
    exact = host_accelerations.wanted(project.file.cellprofiler.exact)
    machine = Machine(
        project.places, used, scratch, project.cache, hosts=hosts, exact=exact
    )
    return replace(machine, slots=slots) if slots else machine


def _hosts(project: ResolvedProject, used: CellProfiler) -> Hosts | None:
    settings = project.file.cellprofiler
    if settings.jobs_per_process <= 1:
        return None
    memory = int(settings.process_memory_gb * GB)
    recycling = Recycling(settings.jobs_per_process, memory)
    return Hosts(used, project.scratch, recycling)


def _mounts(project: ResolvedProject) -> tuple[Mount, ...]:
    """The folders that CellProfiler needs; only the scratch folder to write in."""
    places, named = project.places, project.file.cellprofiler.mounts
    roots = (places.images, places.workspace, places.outputs)
    folders = [Path(storage.root) for storage in roots if storage.is_local()]
    mapped = (Path(real) for _, real in places.map if filesystems.is_local(real))
    folders += [path for path in mapped if os.path.isdir(path)]
    folders += [project.beside(path) for path in named]
    for path in folders:
        if not os.path.isdir(path):
            raise ConfigError(f"cellprofiler.mounts: {path} is no folder: name another")
    if (kernels := build_kernels.built()) is not None:
        folders.append(kernels.path.parent)
    read = [Mount(path) for path in folders]
    return (*read, Mount(project.scratch, writable=True))
