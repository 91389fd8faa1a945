"""The command that turns a step's CSVs into Parquet: `collect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Table

from cpengine.cli.base import (
    SOME_FAILED,
    Folder,
    Json,
    Plates,
    err,
    out,
    part_of,
    print_err,
    print_json,
    version_or_none,
)
from cpengine.errors import InputError, StorageError
from cpengine.extras import extra
from cpengine.project import Project
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.results.collect.collector import Collector
    from cpengine.results.collect.plate_csvs import Collected, PlateCsvs


def collect(
    steps: Annotated[list[str], typer.Argument(help="Steps whose CSVs to take.")],
    folder: Folder = Path(),
    plate: Plates = None,
    float32: Annotated[
        bool, typer.Option("--float32", help="Halve the files: 7 digits a number.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make files again that are there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn the CSVs of done jobs into Parquet tables, a plate at a time."""
    with extra("collect"):
        from cpengine.results.collect import done_jobs
        from cpengine.results.collect.collector import Collector
    project = Project.load(folder)
    part, version = part_of(plate, None, None), version_or_none(project)
    plates = [
        p for name in steps for p in done_jobs.plates(project, name, part, version)
    ]
    collector = Collector(project.places.outputs, project.scratch, float32, force)
    found, wrong = [], []
    for plate_csvs in plates:
        try:
            found.append(_followed(collector, plate_csvs))
        except (InputError, StorageError) as error:
            wrong.append(f"{plate_csvs.step}: plate {plate_csvs.name}: {error}")
    if as_json:
        print_json(
            {"plates": [collected.to_json() for collected in found], "errors": wrong}
        )
    elif found:
        out.print(_picture(found))
    for line in wrong:
        print_err(f"error: {line}")
    if wrong or any(collected.plate.left_out for collected in found):
        raise typer.Exit(SOME_FAILED)


def _followed(collector: "Collector", plate: "PlateCsvs") -> "Collected":
    """Collect a plate; show how far it is on a terminal, else a line a plate."""
    name = f"{plate.step}: plate {plate.name}"
    jobs = len(plate.jobs)
    if not err.is_terminal:
        print_err(f"{name}: {counted(jobs, 'job')}")
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        MofNCompleteColumn(),
        Elapsed(),
    )
    shown = err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=not shown) as progress:
        task = progress.add_task(name, total=jobs)
        found = collector.collect(plate, lambda read: progress.advance(task, read))
    for note in found.notes:
        print_err(f"note: {name}: {note}")
    if not found.made:
        print_err(f"{name}: made before from the same results (--force makes it again)")
    return found


def _picture(found: list["Collected"]) -> Table:
    table = Table("step", "plate")
    for name in ("jobs", "images", "cells", "columns", "size", "seconds"):
        table.add_column(name, justify="right")
    for collected in found:
        images, joined = collected.files.get("Image"), collected.files.get("")
        table.add_row(
            collected.plate.step,
            collected.plate.name,
            str(len(collected.plate.jobs)),
            str(images.rows) if images else "-",
            str(joined.rows) if joined else "-",
            str(joined.columns) if joined else "-",
            decimal(collected.bytes),
            f"{collected.wall_s:.1f}" if collected.made else "-",
        )
    return table
