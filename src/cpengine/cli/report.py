"""The command that makes pages of what the ledger knows: `report`."""

import os
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cpengine.cli.base import (
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    part_of,
    print_err,
    print_json,
    print_out,
    version_or_none,
)
from cpengine.cli.status import steps_that_ran
from cpengine.errors import ConfigError, InputError, StorageError
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results import report as reports
from cpengine.results.report import Report


def report(
    steps: Annotated[
        list[str] | None,
        typer.Argument(help="Steps. Default: those that have run.", show_default=False),
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
    project = Project.load(folder)
    names = steps or steps_that_ran(project)
    _check(project, names, to, show)
    made = list(_made(project, names, part_of(plate, well, site), to))
    for step_report in made:
        for some in step_report.facts.columns:
            print_err(f"note: {step_report.facts.step.name}: {some}")
    if as_json:
        print_json({"steps": [step_report.model for step_report in made]})
        return
    for step_report in made:
        page = step_report.write()
        print_out(page)
        if show:
            webbrowser.open(Path(page).absolute().as_uri())


def _made(
    project: Project, names: Sequence[str], part: Part, to: Path | None
) -> Iterator[Report]:
    """The reports of steps; of several, those with no job that has ended are told."""
    version = version_or_none(project)
    none = True
    for name in names:
        try:
            made = reports.make(project, name, part=part, cellprofiler=version, to=to)
        except (InputError, StorageError) as error:
            if len(names) == 1:
                raise
            print_err(f"note: no page: {error}")
        else:
            none = False
            yield made
    if none:
        raise InputError("no step has a job that has ended: run one, or look later")


def _check(project: Project, names: Sequence[str], to: Path | None, show: bool) -> None:
    """Refuse options that do not fit together."""
    if to is not None and len(names) > 1:
        raise ConfigError(f"--to: takes one step, not {', '.join(names)}: name one")
    if to is not None and os.path.isdir(to):
        raise ConfigError(
            f"--to: {to} is a folder: name a file, such as {to}/page.html"
        )
    if show and to is None and not project.places.outputs.is_local():
        raise ConfigError(
            f"--open: the page would be at {project.places.outputs.root}: add --to FILE"
        )
