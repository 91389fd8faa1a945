"""The command by which a backend has one job run: `exec-job`."""

from pathlib import Path
from typing import Annotated

import typer

from cpengine.cli.exit_codes import OK, SOME_FAILED


def exec_job(
    job: Annotated[Path, typer.Argument(help="The job, as JSON.")],
    machine: Annotated[
        Path, typer.Option(help="What the machine is told of the project, as JSON.")
    ],
    outcome: Annotated[
        Path | None,
        typer.Option(help="Where the outcome goes, as JSON. Default: it is printed."),
    ] = None,
) -> None:
    """Run one job on this machine, for an executor: see `cpengine.backend`."""
    from cpengine.executors import exec_job as process  # no other command needs it

    found = process.exec_job(job, machine, outcome)
    raise typer.Exit(OK if found.done else SOME_FAILED)
