"""The pipeline that a step has now: of its own file, or of a batch file."""

from cpengine.errors import InputError
from cpengine.inputs import batchfile, file_list, pipeline
from cpengine.inputs.batchfile import BatchFile
from cpengine.inputs.file_list import FileList
from cpengine.planning.fingerprint import PipelineParts
from cpengine.planning.project import ResolvedProject
from cpengine.system import scratch


def pipeline_parts(project: ResolvedProject, name: str) -> PipelineParts | None:
    """What a step's pipeline is in fingerprints; None if it cannot be read.

    It is read, and no folder is listed.
    """
    try:
        found = _text(project, name)
        return found and PipelineParts.of(pipeline.parse(*found), found[0])
    except InputError:  # told when that step is checked
        return None


def _text(project: ResolvedProject, name: str) -> tuple[str, str] | None:
    """The text of a step's pipeline, and how messages name its file."""
    section = project.file.steps.get(name)
    if section and section.groups == "batch":
        file = read_batch_file(project, project.step(name).data_file)
        return file.pipeline, file.table.path
    workspace = project.places.workspace
    for key in project.pipeline_keys(name):
        if data := workspace.read_if_there(key):
            url = workspace.url(key)
            return pipeline.decode(data, url), url
    return None


def read_batch_file(project: ResolvedProject, key: str) -> BatchFile:
    """A `Batch_data.h5` of the workspace.

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    workspace = project.places.workspace
    if workspace.is_local(key):
        return batchfile.read(workspace.path(key))
    with scratch.folder(project.scratch, "batch") as folder:
        copy = folder / "Batch_data.h5"
        project.cache.fetch(workspace, key, copy)
        return batchfile.read(copy, workspace.url(key))


def read_file_list(project: ResolvedProject, key: str) -> FileList:
    """A list of files of the workspace.

    Raises
    ------
    InputError
        It is missing, or as `file_list.parse`.
    """
    workspace = project.places.workspace
    return file_list.parse(workspace.read(key), workspace.url(key))
