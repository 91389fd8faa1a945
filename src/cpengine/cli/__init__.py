"""The command line: reads options, calls the library, prints; no logic of its own."""

import signal
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.command_group import ImportedCommands
from cpengine.cli.exit_codes import BAD_INPUT, INTERRUPTED, OK, SOME_FAILED

__all__ = ["BAD_INPUT", "INTERRUPTED", "OK", "SOME_FAILED", "app", "main"]

COMMANDS = {
    "init.init": (
        "Start a project: cpengine.toml, and all else that a folder of images needs."
    ),
    "loaddata.loaddata": (
        "Write the LoadData tables of a folder of images: one for each plate there."
    ),
    "check.check": (
        "Look for all that would fail jobs, or spoil results unseen; start nothing."
    ),
    "explain.explain": (
        "Say what a rule of the check means: what one would see, and what to do."
    ),
    "plan.plan": "Show a step's jobs: counts a plate and the first of them.",
    "estimate.estimate": (
        "Say what steps will take: jobs, hours, memory and, on AWS, dollars."
    ),
    "run.run": "Run steps in sequence; what is done already is not done again.",
    "follow.attach": "Follow a run until it ends, from anywhere that sees the outputs.",
    "follow.cancel": (
        "Stop a run, wherever it is: what is done is recorded, the rest is left."
    ),
    "status.status": "Show what is done, failed, stale and left, by the ledger.",
    "logs.logs": "Print CellProfiler's log of a job's last attempt.",
    "report.report": (
        "Make a page a step: plates, times, memory, failures, from the ledger."
    ),
    "qc.qc": (
        "Flag blurred, saturated and other bad images, and write tables and a page."
    ),
    "montage.montage": "Stitch a picture of each plate, and a page to zoom into it.",
    "collect.collect": (
        "Turn the CSVs of done jobs into Parquet tables, a plate at a time."
    ),
    "run.demo": "Make a synthetic Cell Painting plate and run it through CellProfiler.",
    "worker.worker": (
        "Run the jobs of an SQS queue; told all by its environment. For containers."
    ),
    "exec_job.exec_job": "",
    "gallery.app": "Hold a project against the structure of the Cell Painting Gallery.",
    "cellprofiler.app": "Find or install CellProfiler.",
    "aws.app": (
        "Distributed-CellProfiler's phases on AWS, one by one. `run --on aws` does "
        "them all."
    ),
}
"""Where commands are below `cpengine.cli`, and the first line of their help; those
without are for programs."""


class _CpengineCommands(ImportedCommands):
    places = COMMANDS


app = typer.Typer(
    cls=_CpengineCommands,
    help="Run CellProfiler on whole plates: one plan, any machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; SIGTERM stops it as Ctrl-C does."""
    completion.silence()
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, TextIOWrapper):  # stderr is so already
        sys.stdout.reconfigure(errors="backslashreplace")  # a plate named é, and ASCII
    try:
        app()
    except OSError as error:
        from cpengine.cli.user_errors import is_full  # rich is slow to import

        if not is_full(error):
            raise
        sys.exit(BAD_INPUT)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        from cpengine import __version__
        from cpengine.cli.printing import print_out  # rich is slow to import

        print_out(f"cpengine {__version__}")
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
