"""Image sets of a pipeline that finds its images itself, as CellProfiler makes them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

from cpengine.cellprofiler.command import error_of, not_loaded, run_command
from cpengine.cellprofiler.container import Mount
from cpengine.cellprofiler.find import CellProfiler
from cpengine.config.steps import BATCH_FILE
from cpengine.errors import InputError
from cpengine.inputs import pipeline_text
from cpengine.system import scratch as scratch_folders
from cpengine.system.process import run


def create_batch_file(
    cellprofiler: CellProfiler,
    text: str,
    shown: str,
    images: Path,
    files: Iterable[str],
    scratch: Path,
) -> bytes:
    """A `Batch_data.h5` of a pipeline, by CreateBatchFiles of plain CellProfiler.

    Parameters
    ----------
    text, shown
        The pipeline's text, and its file as messages name it.
    images, files
        The folder of images, and the paths of the files that the pipeline is given.

    Raises
    ------
    InputError
        CellProfiler makes none of it.
    """
    with scratch_folders.folder(scratch, "batch") as folder:
        for name in ("output", "temp"):
            (folder / name).mkdir()
        (folder / "any.cppipe").write_text(pipeline_text.with_batch_file(text), "utf-8")
        (folder / "files.txt").write_text("".join(f"{f}\n" for f in files), "utf-8")
        log = _run(_with_mounts(cellprofiler, images, folder), images, folder)
        made = folder / "output" / BATCH_FILE
        if not_loaded(log) or not made.is_file():
            raise InputError(f"{shown}: {_refusal(log)}")
        return made.read_bytes()


def _run(cellprofiler: CellProfiler, images: Path, folder: Path) -> str:
    """Run what a folder has been given; its log."""
    temp, log = folder / "temp", folder / "log"
    command = run_command(
        cellprofiler.command,
        pipeline=folder / "any.cppipe",
        input=images,
        output=folder / "output",
        done_file=folder / "done",
        data_file=None,
        group={},
        temp=temp,
        file_list=folder / "files.txt",
    )
    program = cellprofiler.program(command, folder, temp)
    run(
        program.command,
        environment=program.environment,
        folder=folder,
        log=log,
        apart=program.apart,
        follow=lambda line: None,
        cancelled=Flag(),
    )
    return log.read_text("utf-8", "replace")


def _with_mounts(cellprofiler: CellProfiler, *folders: Path) -> CellProfiler:
    """A CellProfiler that sees the images and may write in the last of the folders."""
    if cellprofiler.container is None:
        return cellprofiler
    mounts = [Mount(folder, folder == folders[-1]) for folder in folders]
    mounted = replace(cellprofiler.container, mounts=tuple(mounts))
    return replace(cellprofiler, container=mounted)


def _refusal(log: str) -> str:
    _, error = error_of(log)
    cause = f" ({error})" if error else ""
    return (
        f"CellProfiler makes no image sets of these files{cause}: open both in its "
        "window, and mend Metadata and NamesAndTypes there"
    )
