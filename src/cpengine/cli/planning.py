"""What `cpengine plan` does, apart from its options, which completion reads."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cpengine.cli.base import out, print_err, print_json, print_out, rich_table
from cpengine.dcp import jobfile
from cpengine.ledger.standing import JobState, Standing
from cpengine.ledger.standing import to_json as standing_json
from cpengine.planning.plan import Plan, plate_of
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.session import Steps, Todo
from cpengine.wording import counted


def todo_of(project: Project, step: str, part: Part) -> Todo:
    """The step's plan and what is left of it."""
    return Steps(project, [step], part, project.cellprofiler_version()).plan(step)


def print_jobs(todo: Todo) -> None:
    """Print all jobs as JSON."""
    jobs = [standing_json(standing) for standing in todo.standings]
    plan = todo.plan
    print_json({"step": plan.step.name, "notes": plan.notes, "jobs": jobs})


def show(todo: Todo, first: int, *, explain: bool) -> None:
    """Print counts a plate, and the first jobs, or why each would run or not."""
    _show_plan(todo)
    if explain:
        _explain(todo.standings)
    else:
        _show_jobs(todo.standings[:first])


def write_jobs(path: Path, plan: Plan) -> None:
    """Write a job file for Distributed-CellProfiler, one a plate."""
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
