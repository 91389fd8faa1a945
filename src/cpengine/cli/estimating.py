"""What `cpengine estimate` does, apart from its options, which completion reads."""

from collections.abc import Sequence
from pathlib import Path

from cpengine.cellprofiler.find import CellProfiler
from cpengine.cli.base import (
    BAD_INPUT,
    OK,
    SOME_FAILED,
    err,
    load_project,
    out,
    print_err,
    print_json,
    print_out,
    rich_table,
)
from cpengine.errors import InputError
from cpengine.executors import registry
from cpengine.plates import Part
from cpengine.results.estimate import Estimate, Where, text
from cpengine.results.estimate import estimate as estimate_steps
from cpengine.results.estimate.pilot import Piloted
from cpengine.results.estimate.pilot import run as run_pilot
from cpengine.run.progress import views
from cpengine.run.session import Steps
from cpengine.wording import counted


def steps_of(
    folder: Path, names: Sequence[str], part: Part, *, force: bool, piloted: bool
) -> Steps:
    """The steps to estimate; a pilot needs the program that runs them."""
    project = load_project(folder)
    program = project.cellprofiler() if piloted else None
    version = program.version if program else project.cellprofiler_version()
    return Steps(project, names, part, version, force, program=program)


def estimate(
    todo: Steps, on: str, workers: int | None, pilot: int | None, as_json: bool
) -> int:
    """Estimate steps, after a pilot of so many jobs; give the exit code."""
    where, program = Where(on, workers), todo.program
    pilots = _pilots(todo, where, pilot, program) if pilot and program else []
    measured = {piloted.result.step: piloted.outcomes for piloted in pilots}
    found = estimate_steps(todo, where, measured)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    failed = any(piloted.result.failed for piloted in pilots)
    nothing = found.unknown and not found.known
    return BAD_INPUT if nothing else SOME_FAILED if failed else OK


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
