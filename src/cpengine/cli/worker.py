"""The command that containers on AWS run."""

import os
from typing import Annotated

import typer

from cpengine.cli.base import OK, SOME_FAILED


def worker(
    health: Annotated[
        bool, typer.Option("--health", help="Say whether the worker here turns.")
    ] = False,
) -> None:
    """Run the jobs of an SQS queue; told all by its environment. For containers."""
    from cpengine.worker import health as own_health

    if health:
        raise typer.Exit(OK if own_health.is_well() else SOME_FAILED)
    from cpengine.worker import main  # boto3 is an extra

    main.work(os.environ)
