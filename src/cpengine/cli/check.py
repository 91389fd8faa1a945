"""The command that looks before a run: `check`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from cpengine import rules
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cli.base import (
    BAD_INPUT,
    OK,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    err,
    out,
    part_of,
    print_err,
    print_json,
)
from cpengine.errors import CellProfilerError, CpengineError
from cpengine.executors import registry
from cpengine.project import Project
from cpengine.rules import Finding, Severity
from cpengine.run.plain_modules import plain_modules
from cpengine.run.session import Checked, Steps, once
from cpengine.wording import counted

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def check(
    steps: Annotated[
        list[str] | None,
        typer.Argument(
            help="Steps, in order. Default: those that have a pipeline.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path(),
    on: Annotated[
        str, typer.Option(help="Executor: look whether it can be used, too.")
    ] = "local",
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take warnings for errors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for all that would fail jobs, or spoil results unseen; start nothing."""
    project = Project.load(folder)
    cellprofiler, missing = _cellprofiler(project)
    version = cellprofiler.version if cellprofiler else ""
    names = steps or _with_pipelines(project)
    part = part_of(plate, well, site)
    todo = Steps(project, names, part, version, program=cellprofiler)
    missing += () if names else (_no_pipelines(project),)
    if not as_json:
        _show_findings(missing)
    found = _check_each(todo, shown=not as_json)
    place = _executor(project, on, found, version)
    notes = plain_modules(project, on, cellprofiler)
    place += tuple(project.softened(notes))
    if as_json:
        print_json(_json(found, (*missing, *place)))
    else:
        _show_findings(place)
        if any(checked.findings for checked in found):
            print_err("what each finding means: docs/how-to/troubleshooting.md")
    place = (*missing, *place)
    every = [*place, *(finding for checked in found for finding in checked.findings)]
    wrong = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
    bad = [finding for finding in every if finding.severity in wrong]
    raise typer.Exit(BAD_INPUT if bad else OK)


def _cellprofiler(
    project: Project,
) -> tuple[CellProfiler | None, tuple[Finding, ...]]:
    """The project's CellProfiler, or why there is none."""
    try:
        return project.cellprofiler(), ()
    except CellProfilerError as error:
        return None, error.findings


def _executor(
    project: Project, on: str, found: Sequence[Checked], version: str
) -> tuple[Finding, ...]:
    """What is wrong with the place where jobs would run."""
    jobs = {checked.step: len(checked.todo.jobs) for checked in found if checked.todo}
    try:
        registry.entry(on).check(project, jobs, version)
    except CpengineError as error:
        return error.findings
    return ()


def _with_pipelines(project: Project) -> list[str]:
    """The steps of the project whose pipelines are there."""
    workspace = project.places.workspace
    there = {
        name: project.step(name)
        for name in project.step_names
        if workspace.exists(project.step(name).pipeline)
    }
    return [
        name
        for name, step in there.items()
        if name in project.file.steps or not name.endswith("_persite")
    ]


def _no_pipelines(project: Project) -> Finding:
    """Where pipelines are expected, and how they are named."""
    workspace, folder = project.places.workspace, project.layout.pipelines
    keys = (project.step(name).pipeline for name in project.step_names)
    expected = dict.fromkeys(key.removeprefix(f"{folder}/") for key in keys)
    others = sorted(
        name
        for name in workspace.sizes(folder)
        if name.endswith((".cppipe", ".cpproj", ".cp", ".json"))
    )
    return rules.PIPELINE_MISSING.found(
        workspace.url(folder),
        f"has no pipeline of a step (it has {', '.join(others) or 'none at all'})",
        f"put those that you need there, named {', '.join(expected)}, or set "
        "steps.NAME.pipeline",
    )


def _json(found: Sequence[Checked], place: Sequence[Finding]) -> dict[str, object]:
    return {
        "place": [finding.to_json() for finding in place],
        "steps": [
            {
                "step": checked.step,
                "jobs": len(checked.todo.plan.jobs) if checked.todo else None,
                "left": len(checked.todo.jobs) if checked.todo else None,
                "image_sets": checked.todo.plan.image_sets if checked.todo else None,
                "writes": checked.writes,
                "findings": [finding.to_json() for finding in checked.findings],
            }
            for checked in found
        ],
    }


def _check_each(todo: Steps, *, shown: bool) -> list[Checked]:
    """Check each step; as they come, print them and how far it is, if that is shown."""
    found: list[Checked] = []
    bar = Progress(
        *(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
        ),
        Elapsed(),
        console=err,
        transient=True,
        redirect_stdout=False,
        disable=not (shown and err.is_terminal),
    )
    with bar:
        task = bar.add_task("looking", total=len(todo.names))
        for checked in todo.check_each():
            found.append(checked)
            if shown:
                bar.stop()  # else the two would be written into each other
                _show(checked, once(c.findings for c in found)[-1])
                bar.start()
            bar.advance(task)
    return found


def _show(checked: Checked, new: Sequence[Finding]) -> None:
    """Print what was found of a step, and in full what no step before it has."""
    counts = Counter(finding.severity for finding in checked.findings)
    summary = ", ".join(counted(counts[s], s) for s in Severity if counts[s])
    above = len(checked.findings) - len(new)
    summary += f", {above} of them above" if above else ""
    out.print(f"{checked.step}: {_jobs(checked)}: {summary or 'nothing found'}")
    if checked.writes:
        out.print(Text(f"  writes: {', '.join(checked.writes)}"))
    _show_findings(new)


def _jobs(checked: Checked) -> str:
    if checked.todo is None:
        return "no jobs can be made"
    plan, left = checked.todo.plan, len(checked.todo.jobs)
    jobs = f"{counted(len(plan.jobs), 'job')}, {counted(plan.image_sets, 'image set')}"
    return jobs if left == len(plan.jobs) else f"{jobs}, {left} of them left"


def _show_findings(findings: Sequence[Finding]) -> None:
    """Three short lines each: a place is long, and is what one copies."""
    for finding in findings:
        style = _STYLES[finding.severity]
        head = f" {finding.place} [{finding.rule.name}]"
        out.print(Text.assemble((f"  {finding.severity}", style), head))
        out.print(Text(f"    {finding.cause}"))
        if finding.cure:
            out.print(Text(f"    what to do: {finding.cure}"))
