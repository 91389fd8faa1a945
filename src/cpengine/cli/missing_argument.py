"""What there is to choose from, where a command is called without a step or a job."""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpengine.cli import project_folder
from cpengine.cli.base import err, print_err, rich_table
from cpengine.errors import InputError
from cpengine.ledger.ledger import Ledger
from cpengine.marker import Marker, MarkerState
from cpengine.project import Project
from cpengine.project.check_report import with_pipelines
from cpengine.text_table import TextTable
from cpengine.wording import on_one_line

_MOST_JOBS = 40


def show(missing: str, context: Any) -> None:
    """Show the project's steps, or the jobs of a step that have logs.

    Parameters
    ----------
    missing
        The argument that is not there: `step`, `steps` or `job`.
    context
        Typer's, with the arguments that are there.

    Raises
    ------
    CpengineError
        There is no project, or nothing to choose from.
    """
    named = context.params.get("folder")
    project = Project.load(named or project_folder.nearest(Path()))
    if missing == "job":
        _show_jobs(project, context.params["step"])
    else:
        _show_steps(project, context.command_path)


def _show_steps(project: Project, command: str) -> None:
    ready = with_pipelines(project)
    example = ready[0] if ready else "analysis"
    print_err(f"error: name a step, such as `{command} {example}`")
    if ready:
        err.print(rich_table(_steps_table(project, ready)))
    others = [name for name in project.step_names if name not in ready]
    if others:
        print_err(f"other steps: {', '.join(others)}")


def _steps_table(project: Project, names: list[str]) -> TextTable:
    places, layout = project.places, project.layout
    ran = places.outputs.folders(layout.ledger(""))
    columns = ("step", "pipeline", "a job for each", "has run")
    rows = []
    for name in names:
        step = project.step(name)
        group = ", ".join(key.removeprefix("Metadata_") for key in step.group)
        pipeline = posixpath.basename(step.pipeline)
        rows.append((name, pipeline, group, "yes" if name in ran else "no"))
    return TextTable(columns, rows, words=len(columns))


def _show_jobs(project: Project, step: str) -> None:
    ledger = project.ledger(project.step(step))
    jobs = list(_jobs_with_logs(ledger))
    if not jobs:
        raise InputError(f"{step}: has no logs yet: run it first")
    print_err(f"error: name a job; these of {step} have logs, the failed ones first:")
    for job in jobs[:_MOST_JOBS]:
        print_err(f"  {on_one_line(job)}")
    if len(jobs) > _MOST_JOBS:
        print_err(f"  and {len(jobs) - _MOST_JOBS} more")


def _jobs_with_logs(ledger: Ledger) -> Iterator[str]:
    """The ids of jobs that have a log; first those that have failed, with how."""
    logs = ledger.storage.sizes(f"{ledger.folder}/logs")
    jobs = sorted(name.removesuffix(".log") for name in logs if name.endswith(".log"))
    failures = {
        marker.job_id: marker.failure
        for names in ledger.markers().values()
        for name in names
        if (marker := Marker.parse(name)) and marker.state is MarkerState.FAILED
    }
    yield from (f"{job}  failed: {failures[job]}" for job in jobs if job in failures)
    yield from (job for job in jobs if job not in failures)
