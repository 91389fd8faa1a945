"""The command that says where jobs stand: `status`."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cpengine.cli import completion
from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    Every,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    err,
    load_project,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
    rich_table,
)
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.project.status import Status, StatusPoll, StepStatus


def status(
    steps: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.steps,
            help="Steps. Default: those that have run.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the failed jobs and why.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Check that folders and files of done jobs are there and whole.",
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again until nothing is left to do.")
    ] = False,
    every: Every = 10,
    as_json: Json = False,
) -> None:
    """Show what is done, failed, stale and left, by the ledger."""
    project = load_project(folder)
    poll = project.poll_status(
        *(steps or ()), part=part_of(plate, well, site), failed=failed, verify=verify
    )
    found = _watched(poll, every) if watch else poll()
    if as_json:
        print_json(found.to_json())
    elif not watch or not err.is_terminal:
        _show(found)
    raise typer.Exit(SOME_FAILED if found.damaged else OK)


def _watched(poll: "StatusPoll", every: float) -> "Status":
    """Poll again and again, until nothing is left or Ctrl-C.

    A live table on a terminal, else a line a step.
    """
    found = poll()
    with (
        Live(console=err, auto_refresh=False) as live,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while True:
            if err.is_terminal:
                live.update(_picture(found), refresh=True)
            else:
                for step in found.steps:
                    print_err(_line(step))
            if not any(step.left for step in found.steps):
                break
            time.sleep(every)
            found = poll()
    return found


def _line(status: "StepStatus") -> str:
    from cpengine.ledger.standing import JobState  # there already, with the project

    counts = ", ".join(
        f"{count} {state}"
        for state, count in status.counts.items()
        if status.verified or state != JobState.MISSING
    )
    return f"{status.step}: {counted(len(status.todo.standings), 'job')}: {counts}"


def _picture(found: "Status") -> RenderableType:
    runs = [Text(line) for step in found.steps for line in step.runs()]
    return Group(rich_table(found.counts()), *runs)


def _show(found: "Status") -> None:
    out.print(rich_table(found.counts()))
    for step in found.steps:
        for note in step.notes:
            print_err(f"note: {note}")
        for line in step.lines():
            print_out(line)
        for line in step.warnings():
            print_err(f"warning: {line}")
