"""The command that turns a step's CSVs into Parquet: `collect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from cpengine.cli import completion
from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    Folder,
    Json,
    Plates,
    err,
    load_project,
    out,
    part_of,
    print_err,
    print_json,
    rich_table,
)
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.results.collect.collector import Collector
    from cpengine.results.collect.plate_csvs import Collected, PlateCsvs


def collect(
    steps: Annotated[
        list[str],
        typer.Argument(
            autocompletion=completion.steps, help="Steps whose CSVs to take."
        ),
    ],
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
    from cpengine.project import results

    project, part = load_project(folder), part_of(plate, None, None)
    found = results.collect(
        project, steps, part, _followed, float32=float32, force=force
    )
    if as_json:
        print_json(found.to_json())
    elif found.plates:
        out.print(rich_table(found.table()))
    for line in found.errors:
        print_err(f"error: {line}")
    raise typer.Exit(OK if found.whole else SOME_FAILED)


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
