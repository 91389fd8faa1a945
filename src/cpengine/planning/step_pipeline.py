"""The pipeline that a step has now: of its own file, or of a batch file."""

from cpengine.errors import InputError
from cpengine.inputs import batchfile, file_list, pipeline
from cpengine.inputs.batchfile import BatchFile
from cpengine.inputs.file_list import FileList
from cpengine.inputs.parsed_files import PARSED, sha256
from cpengine.planning.fingerprint import PipelineParts
from cpengine.planning.project import ResolvedProject
from cpengine.storage.entry import Entry
from cpengine.storage.store import Storage
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
        if text := read_text(workspace, key):
            return text, workspace.url(key)
    return None


def read_text(workspace: Storage, key: str) -> str | None:
    """The text of a pipeline; None if it is not there. Raises as `pipeline.decode`."""
    file = PARSED.file(workspace, key, local_entry(workspace, key), pipeline.decode)
    return file and file.parse()


def local_entry(storage: Storage, key: str) -> Entry | None:
    """What is seen of a local file; elsewhere to ask takes as long as to read it."""
    return storage.entry(key) if storage.is_local(key) else None


def read_sha256(workspace: Storage, key: str) -> str:
    """The SHA-256 of a pipeline or batch file. Raises InputError if there is none."""
    seen = PARSED.content(workspace.url(key), local_entry(workspace, key))
    return seen or sha256(workspace.read(key))


def read_batch_file(project: ResolvedProject, key: str) -> BatchFile:
    """A `Batch_data.h5` of the workspace.

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    workspace = project.places.workspace
    if workspace.is_local(key):
        entry = workspace.entry(key)
        return batchfile.read_once(workspace.path(key), workspace.url(key), entry)
    with scratch.folder(project.scratch, "batch") as folder:
        copy = folder / "Batch_data.h5"
        project.cache.fetch(workspace, key, copy)
        return batchfile.read_once(copy, workspace.url(key))


def read_file_list(project: ResolvedProject, key: str) -> FileList:
    """A list of files of the workspace.

    Raises
    ------
    InputError
        It is missing, or as `file_list.parse`.
    """
    workspace = project.places.workspace
    file = PARSED.file(workspace, key, local_entry(workspace, key), file_list.parse)
    if file is None:
        raise InputError(f"{workspace.url(key)}: is not there: put it there")
    return file.parse()
