"""The command that makes pages of what the ledger knows: `report`."""

import webbrowser
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
    load_project,
    part_of,
    print_err,
    print_json,
    print_out,
)
from cpengine.errors import ConfigError


def report(
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
    to: Annotated[
        Path | None,
        typer.Option(help="Write the page to this file. Default: beside the outputs."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a page a step: plates, times, memory, failures, from the ledger."""
    project = load_project(folder)
    if show and to is None and not project.places.outputs.is_local():
        raise ConfigError(
            f"--open: the page would be at {project.places.outputs.root}: add --to FILE"
        )
    found = project.report(*(steps or ()), part=part_of(plate, well, site), to=to)
    for note in found.notes:
        print_err(f"note: {note}")
    if as_json:
        print_json(found.to_json())
        return
    for page in found.write():
        print_out(page)
        if show:
            webbrowser.open(Path(page).absolute().as_uri())
