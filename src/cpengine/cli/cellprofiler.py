"""The commands that find and install CellProfiler."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cpengine import config
from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.find import CellProfiler, Wanted, candidates, find
from cpengine.cellprofiler.install import install as install_cellprofiler
from cpengine.cli.base import (
    Command,
    Folder,
    Group,
    Json,
    print_err,
    print_json,
    print_out,
)
from cpengine.errors import CellProfilerError
from cpengine.job.machine import wanted_cellprofiler
from cpengine.project import Project

app = typer.Typer(cls=Group, help="Find or install CellProfiler.", no_args_is_help=True)


@app.command(cls=Command)
def install(
    version: Annotated[str, typer.Option(help="Which CellProfiler.")] = "4.2.8.1",
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Only if none is found.")
    ] = False,
) -> None:
    """Make an environment with CellProfiler; needs a JDK and a C compiler.

    Compiles the kernels of accelerated modules, too, unless cpengine has them.
    """
    there = _found() if if_missing else None
    _show(there or install_cellprofiler(version, say=print_err))
    try:
        build_kernels.build()
    except CellProfilerError as error:
        print_err(f"warning: {error}: modules that need them are not accelerated")


def _found() -> CellProfiler | None:
    try:
        return find()
    except CellProfilerError:
        return None


@app.command(cls=Command)
def show(folder: Folder = Path(), as_json: Json = False) -> None:
    """Show which CellProfiler is used, and why."""
    wanted = _wanted(folder)
    if as_json:
        found = find(wanted)
        print_json(
            {
                "command": found.command,
                "version": found.version,
                "origin": found.origin,
                "env": dict(found.env),
                "image": found.container and found.container.image,
                "runtime": found.container and found.container.runtime,
            }
        )
        return
    for candidate in candidates(wanted, os.environ):
        mark = "found" if candidate.found else "-"
        where = "" if candidate.place in candidate.note else f"{candidate.place}, "
        print_out(f"{mark:<6} {candidate.origin}: {where}{candidate.note}")
    _show(find(wanted))


def _wanted(folder: Path) -> Wanted:
    """The project file's CellProfiler, if there is a file and it names one."""
    file = folder if folder.suffix == ".toml" else folder / config.FILE_NAME
    return (
        wanted_cellprofiler(Project.load(folder)) if os.path.exists(file) else Wanted()
    )


def _show(found: CellProfiler) -> None:
    where = " ".join(found.command)
    if found.container:
        how = "" if found.python else ", a new process for each job"
        where = f"{found.container.image} by {found.container.runtime}{how}"
    print_out(f"CellProfiler {found.version}: {where} ({found.origin})")
