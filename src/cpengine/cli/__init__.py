"""The command line: reads options, calls the library, prints; no logic of its own."""

import signal
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from cpengine import __version__
from cpengine.cli import (
    aws,
    cellprofiler,
    check,
    collect,
    estimate,
    exec_job,
    follow,
    montage,
    plan,
    qc,
    report,
    run,
    status,
    worker,
)
from cpengine.cli.base import (
    BAD_INPUT,
    INTERRUPTED,
    OK,
    SOME_FAILED,
    Commands,
    is_full,
    out,
)

__all__ = ["BAD_INPUT", "INTERRUPTED", "OK", "SOME_FAILED", "app", "main"]

app = typer.Typer(
    cls=Commands,
    help="Run CellProfiler on whole plates: one plan, any machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    plan.init,
    check.check,
    plan.plan,
    estimate.estimate,
    run.run,
    follow.attach,
    follow.cancel,
    status.status,
    status.logs,
    report.report,
    qc.qc,
    montage.montage,
    collect.collect,
    run.demo,
    worker.worker,
)
for command in COMMANDS:
    app.command()(command)
app.command(name="exec-job", hidden=True)(exec_job.exec_job)
app.add_typer(cellprofiler.app, name="cellprofiler")
app.add_typer(aws.app, name="aws")


def main() -> None:
    """Run the command line; SIGTERM stops it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, TextIOWrapper):  # stderr is so already
        sys.stdout.reconfigure(errors="backslashreplace")  # a plate named é, and ASCII
    try:
        app()
    except OSError as error:
        if not is_full(error):
            raise
        sys.exit(BAD_INPUT)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"cpengine {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass
