"""The command that says what a run will take: `estimate`."""

from pathlib import Path
from typing import Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.base import (
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    Workers,
    part_of,
)
from cpengine.config.forms import MOST_WORKERS
from cpengine.errors import ConfigError
from cpengine.system.early_signals import ending_at_once


def estimate(
    steps: Annotated[
        list[str],
        typer.Argument(autocompletion=completion.steps, help="Steps, in order."),
    ],
    folder: Folder = Path(),
    on: Annotated[
        str,
        typer.Option(
            autocompletion=completion.executors,
            help="Executor: local, slurm, pbs, lsf, sge, aws...",
        ),
    ] = "local",
    workers: Workers = None,
    pilot: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_WORKERS,
            help="Run so many jobs of each step here first, to measure them; they "
            "count as done.",
        ),
    ] = None,
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    force: Annotated[
        bool, typer.Option("--force", help="As if what is done ran again, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what steps will take: jobs, hours, memory and, on AWS, dollars."""
    if pilot and force:
        raise ConfigError("--pilot and --force: a pilot runs what is left: drop one")
    with ending_at_once():
        from cpengine.cli import estimating
    part = part_of(plate, well, site)
    todo = estimating.steps_of(folder, steps, part, force=force, piloted=bool(pilot))
    raise typer.Exit(estimating.estimate(todo, on, workers, pilot, as_json))
