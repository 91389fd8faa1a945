"""The command that says what a run will take: `estimate`."""

from pathlib import Path
from typing import Annotated

import typer

from cpengine.cellprofiler.find import CellProfiler
from cpengine.cli import completion
from cpengine.cli.base import (
    BAD_INPUT,
    OK,
    SOME_FAILED,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    Workers,
    err,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
    rich_table,
)
from cpengine.config.forms import MOST_WORKERS
from cpengine.errors import ConfigError, InputError
from cpengine.executors import registry
from cpengine.project import Project
from cpengine.results.estimate import Estimate, Where, text
from cpengine.results.estimate import estimate as estimate_steps
from cpengine.results.estimate.pilot import Piloted
from cpengine.results.estimate.pilot import run as run_pilot
from cpengine.run.progress import views
from cpengine.run.session import Steps
from cpengine.wording import counted


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
    project = Project.load(folder)
    cellprofiler = project.cellprofiler() if pilot else None
    version = cellprofiler.version if cellprofiler else project.cellprofiler_version()
    part = part_of(plate, well, site)
    todo = Steps(project, steps, part, version, force, program=cellprofiler)
    where = Where(on, workers)
    pilots = _pilots(todo, where, pilot, cellprofiler) if pilot and cellprofiler else []
    measured = {piloted.result.step: piloted.outcomes for piloted in pilots}
    found = estimate_steps(todo, where, measured)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    failed = any(piloted.result.failed for piloted in pilots)
    nothing = found.unknown and not found.known
    raise typer.Exit(BAD_INPUT if nothing else SOME_FAILED if failed else OK)


def _pilots(
    todo: Steps, where: Where, count: int, cellprofiler: CellProfiler
) -> list[Piloted]:
    """Run a few jobs of each step that can run; say why others cannot yet.

    Raises
    ------
    InputError
        `cpengine run` would refuse the steps, too.
    """
    todo.plans()
    workers = where.workers if registry.entry(where.on).on_this_machine else None
    done = []
    for name in todo.names:
        try:
            planned = todo.plan(name)
            if not planned.jobs:
                continue
            piloted = run_pilot(todo, planned, count, cellprofiler, workers, views(err))
        except InputError as error:
            print_err(f"{name}: no pilot: {str(error).splitlines()[0]}")
            continue
        done.append(piloted)
        _show_pilot(piloted)
    return done


def _show_pilot(piloted: Piloted) -> None:
    for key in piloted.result.derived:
        print_err(f"{piloted.result.step}: made {key}")
    for cause in piloted.result.causes:
        print_err(f"pilot: {counted(cause.times, 'job')} failed: {cause}")
        print_err(f"  what to do: {cause.cure}")


def _show(found: Estimate) -> None:
    table = found.table()
    out.print(rich_table(table))
    for step in found.steps:
        for line in text.describe(step):
            print_out(line)
    for step in found.unknown:
        print_err(text.why(step))
