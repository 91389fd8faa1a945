"""`cpengine plan`: a step's jobs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.base import (
    ExcludeFlagged,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    load_project,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
    rich_table,
)
from cpengine.dcp import jobfile
from cpengine.ledger.standing import JobState, Standing
from cpengine.ledger.standing import to_json as standing_json
from cpengine.planning.plan import Plan, plate_of
from cpengine.run.session import Steps, Todo
from cpengine.wording import counted


def plan(
    step: Annotated[
        str, typer.Argument(autocompletion=completion.steps, help="The step.")
    ],
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    exclude_flagged: ExcludeFlagged = False,
    first: Annotated[
        int, typer.Option(min=0, max=10**9, help="How many jobs to show.")
    ] = 5,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say of every job why it would run or not."),
    ] = False,
    as_json: Json = False,
    dcp_job: Annotated[
        str,
        typer.Option(
            help="Write the jobs to this job file for Distributed-CellProfiler, "
            "instead; one a plate."
        ),
    ] = "",
) -> None:
    """Show a step's jobs: counts a plate and the first of them."""
    project = load_project(folder)
    version = project.cellprofiler_version()
    part = part_of(plate, well, site, project if exclude_flagged else None)
    steps = Steps(project, [step], part, version)
    todo = steps.plan(step)
    if dcp_job:
        _write_jobs(Path(dcp_job), todo.plan)
        return
    if as_json:
        jobs = [standing_json(standing) for standing in todo.standings]
        print_json({"step": step, "notes": todo.plan.notes, "jobs": jobs})
        return
    _show_plan(todo)
    if explain:
        _explain(todo.standings)
    else:
        _show_jobs(todo.standings[:first])


def _write_jobs(path: Path, plan: Plan) -> None:
    _show_notes(plan)
    written = jobfile.write(path, plan.jobs)
    for key in plan.derived:
        print_err(f"note: {key}: is to be made: cpengine does so in a run, DCP not")
    jobs = Counter(job.data_file for job in plan.jobs)
    for file, data_file in written.items():
        print_out(f"wrote {file}: {counted(jobs[data_file], 'job')}")


def _show_notes(plan: Plan) -> None:
    for note in plan.notes:
        print_err(f"note: {note}")


def _show_plan(todo: Todo) -> None:
    plan = todo.plan
    _show_notes(plan)
    done = Counter(
        plate_of(standing.job)
        for standing in todo.standings
        if standing.state is JobState.DONE
    )
    table = plan.table()
    rows = [
        (plate, jobs, image_sets, str(done[plate]), str(int(jobs) - done[plate]))
        for plate, jobs, image_sets in table.rows
    ]
    columns = (*table.columns, "done", "left")
    out.print(rich_table(replace(table, columns=columns, rows=rows)))


def _explain(standings: Sequence[Standing]) -> None:
    """One line a job, and how many jobs there are for each reason."""
    reasons: defaultdict[str, int] = defaultdict(int)
    for standing in standings:
        line = (
            f"{'no' if standing.state is JobState.DONE else 'runs'}, {reason(standing)}"
        )
        reasons[line] += 1
        print_out(f"{standing.job.id}  {line}")
    for line, count in reasons.items():
        print_out(f"{counted(count, 'job')}: {line}")


def reason(standing: Standing) -> str:
    """A standing in one line."""
    kind = f" ({standing.failure})" if standing.failure else ""
    return f"{standing.state}{kind}: {standing.why}"


def _show_jobs(standings: Iterable[Standing]) -> None:
    for standing in standings:
        job = standing.job
        print_out(f"{job.id}  {standing.state}\n  group   {job.metadata}")
        print_out(f"  data    {job.data_file}")
        print_out(f"  output  {job.destination}")
