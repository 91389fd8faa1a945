"""`cpengine plan`: a step's jobs."""

from pathlib import Path
from typing import Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.base import (
    ExcludeFlagged,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    load_project,
    part_of,
)
from cpengine.system.early_signals import ending_at_once


def plan(
    step: Annotated[
        str, typer.Argument(autocompletion=completion.steps, help="The step.")
    ],
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    exclude_flagged: ExcludeFlagged = False,
    first: Annotated[
        int, typer.Option(min=0, max=10**9, help="How many jobs to show.")
    ] = 5,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say of every job why it would run or not."),
    ] = False,
    as_json: Json = False,
    dcp_job: Annotated[
        str,
        typer.Option(
            help="Write the jobs to this job file for Distributed-CellProfiler, "
            "instead; one a plate."
        ),
    ] = "",
) -> None:
    """Show a step's jobs: counts a plate and the first of them."""
    with ending_at_once():
        from cpengine.cli import planning
    project = load_project(folder)
    part = part_of(plate, well, site, project if exclude_flagged else None)
    todo = planning.todo_of(project, step, part)
    if dcp_job:
        planning.write_jobs(Path(dcp_job), todo.plan)
    elif as_json:
        planning.print_jobs(todo)
    else:
        planning.show(todo, first, explain=explain)
