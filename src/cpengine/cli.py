"""The command line: reads options, calls the library, prints; no logic of its own."""

import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from cpengine import __version__, config, template
from cpengine.cellprofiler.find import CellProfiler, candidates, find
from cpengine.cellprofiler.install import install as install_cellprofiler
from cpengine.errors import CellProfilerError, ConfigError, CpengineError
from cpengine.executors import registry
from cpengine.layout import Style
from cpengine.ledger import State
from cpengine.model import Job
from cpengine.plan import Part, plate_of
from cpengine.progress import counted, views
from cpengine.project import Project
from cpengine.runner import sweep
from cpengine.sequence import StepResult, Steps, Todo

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_MOST_LINES = 10

out = Console(soft_wrap=True, highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


class _Group(TyperGroup):
    """Turns what a user can mend into lines and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CpengineError as error:
            _complain(str(error).splitlines())
            raise typer.Exit(BAD_INPUT) from error
        except KeyboardInterrupt as error:
            _print_err("stopped: what is done is recorded; run again for the rest")
            raise typer.Exit(INTERRUPTED) from error


def _complain(lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        _print_err(f"error: {line}")
    if len(lines) > _MOST_LINES:
        _print_err(f"error: and {len(lines) - _MOST_LINES} more")


def _print_err(line: str) -> None:
    err.print(line, markup=False, soft_wrap=True)


app = typer.Typer(
    cls=_Group,
    help="Run CellProfiler on whole plates: one plan, any machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cellprofiler_app = typer.Typer(
    help="Find or install CellProfiler.", no_args_is_help=True
)
app.add_typer(cellprofiler_app, name="cellprofiler")

Folder = Annotated[
    Path, typer.Option("-C", "--project", help="The project's folder, or its file.")
]
Plates = Annotated[
    list[str] | None, typer.Option("--plate", help="Take these plates (a,b or again).")
]
Wells = Annotated[
    list[str] | None, typer.Option("--well", help="Take these wells (a,b or again).")
]
Sites = Annotated[
    list[str] | None, typer.Option("--site", help="Take these sites (a,b or again).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Jobs at a time. Default: from cores and memory."),
]


def main() -> None:
    """Run the command line; SIGTERM stops it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    app()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"cpengine {__version__}")
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


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(),
    name: Annotated[
        str, typer.Option(help="The project's folder name.")
    ] = "my_project",
    batch: Annotated[str, typer.Option(help="The batch's name.")] = "2026_01_01_Batch1",
    root: Annotated[str, typer.Option(help="Stands for the bucket.")] = ".",
    layout: Annotated[Style, typer.Option(help="The path style.")] = "default",
    source: Annotated[str, typer.Option(help="For layout cpg: source_4.")] = "",
) -> None:
    """Write a commented cpengine.toml."""
    path = folder / config.FILE_NAME
    if path.exists():
        raise ConfigError(f"{path}: is there already: change it, or remove it first")
    text = template.project_file(
        name=name, batch=batch, root=root, layout=layout, source=source
    )
    _check_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    out.print(f"wrote {path}")


def _check_text(text: str) -> None:
    """Refuse options that would make a project file that cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / config.FILE_NAME
        path.write_text(text, encoding="utf-8")
        try:
            config.load(path)
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"{path}: ", "")) from error


@app.command()
def plan(
    step: Annotated[str, typer.Argument(help="The step.")],
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    first: Annotated[int, typer.Option(min=0, help="How many jobs to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Show a step's jobs: counts a plate and the first of them."""
    project = Project.load(folder)
    version = _version_or_none(project)
    steps = Steps(project, [step], _part(plate, well, site), version)
    todo = steps.plan(step)
    if as_json:
        jobs = [job.to_json() | {"state": state} for job, state in todo.states]
        _print_json({"step": step, "notes": todo.plan.notes, "jobs": jobs})
        return
    _show_plan(todo)
    _show_jobs(todo.states[:first])


def _version_or_none(project: Project) -> str:
    try:
        return project.cellprofiler().version
    except CellProfilerError:
        return ""


def _part(
    plates: list[str] | None, wells: list[str] | None, sites: list[str] | None
) -> Part:
    return Part(*(frozenset(_split(values)) for values in (plates, wells, sites)))


def _split(values: Iterable[str] | None) -> list[str]:
    found = [v for text in values or () for v in text.split(",") if v]
    if values and not found:
        raise ConfigError("--plate, --well or --site is empty: name one, or leave it")
    return found


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=1, default=str))


def _show_plan(todo: Todo) -> None:
    plan = todo.plan
    for note in plan.notes:
        _print_err(f"note: {note}")
    done = Counter(plate_of(job) for job, state in todo.states if state is State.DONE)
    table = Table("plate", title=f"{plan.step.name}: {counted(len(plan.jobs), 'job')}")
    for column in ("jobs", "image sets", "done", "left"):
        table.add_column(column, justify="right")
    for plate, (jobs, image_sets) in plan.per_plate().items():
        left = jobs - done[plate]
        table.add_row(plate, *map(str, (jobs, image_sets, done[plate], left)))
    out.print(table)


def _show_jobs(states: Iterable[tuple[Job, State]]) -> None:
    for job, state in states:
        out.print(f"{job.id}  {state}\n  group   {job.metadata}", markup=False)
        out.print(f"  data    {job.data_file}", markup=False)
        out.print(f"  output  {job.destination}", markup=False)


@app.command()
def run(
    steps: Annotated[list[str], typer.Argument(help="Steps, in order.")],
    folder: Folder = Path(),
    on: Annotated[str, typer.Option(help="Executor: local or inline.")] = "local",
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    workers: Workers = None,
    force: Annotated[bool, typer.Option(help="Run what is done, too.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Show what would run; start nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run steps in sequence; what is done already is not done again."""
    project = Project.load(folder)
    cellprofiler = project.cellprofiler()
    part = _part(plate, well, site)
    todo = Steps(project, steps, part, cellprofiler.version, force)
    if dry_run:
        _dry_run(todo, as_json)
        return
    results = _run(todo, cellprofiler, on, workers, quiet=as_json)
    if as_json:
        _print_json([result.to_json() for result in results])
    raise typer.Exit(SOME_FAILED if any(r.failed for r in results) else OK)


def _dry_run(todo: Steps, as_json: bool) -> None:
    plans = todo.plans()
    if as_json:
        _print_json(
            [
                {"step": p.plan.step.name, "jobs": [job.to_json() for job in p.jobs]}
                for p in plans
            ]
        )
        return
    for planned in plans:
        plan, jobs = planned.plan, planned.jobs
        sets = sum(job.image_sets for job in jobs)
        out.print(
            f"{plan.step.name}: would run {len(jobs)} of "
            f"{counted(len(plan.jobs), 'job')}, {counted(sets, 'image set')}"
        )
        for key in plan.derived:
            out.print(f"  would make {key}", markup=False)


def _run(
    todo: Steps,
    cellprofiler: CellProfiler,
    on: str,
    workers: int | None,
    *,
    quiet: bool = False,
) -> list[StepResult]:
    make = registry.maker(on)
    machine = todo.project.machine(cellprofiler)
    sweep(machine.scratch)
    results = []
    for result in todo.run(lambda: make(todo.project, machine, workers), views(err)):
        results.append(result)
        if not quiet:
            _show_result(result)
    for name in todo.names[len(results) :]:
        _print_err(f"{name}: not run, because {results[-1].step} has failed jobs")
    return results


def _show_result(result: StepResult) -> None:
    for note in result.notes:
        _print_err(f"note: {note}")
    for key in result.derived:
        out.print(f"{result.step}: made {key}", markup=False)
    ran = result.done + len(result.failed)
    if not ran:
        out.print(f"{result.step}: {counted(result.already, 'job')}, all done already")
        return
    before = f", {result.already} done before" if result.already else ""
    failed = f", {len(result.failed)} failed" if result.failed else ""
    out.print(
        f"{result.step}: {result.done} of {counted(ran, 'job')} done{failed}{before}, "
        f"{counted(result.image_sets, 'image set')}, {counted(result.files, 'file')} "
        f"in {result.wall_s:.0f} s -> {result.output}",
        markup=False,
    )


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to make it.")] = Path(
        "demo-plate"
    ),
    plates: Annotated[int, typer.Option(min=1, max=20, help="Plates.")] = 1,
    wells: Annotated[int, typer.Option(min=1, max=96, help="Wells a plate.")] = 4,
    sites: Annotated[int, typer.Option(min=1, max=36, help="Sites a well.")] = 2,
    size: Annotated[
        int, typer.Option(min=128, max=2160, help="Pixels along an image's side.")
    ] = 384,
    all_steps: Annotated[
        bool, typer.Option("--all-steps", help="All five steps, from a z-stack.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Make a synthetic Cell Painting plate and run it through CellProfiler."""
    from cpengine.demo import make as demo_plate  # numpy is slow to import

    cellprofiler = find()
    with err.status("making images") as status:
        project = demo_plate.make(
            folder,
            demo_plate.Size(plates, wells, sites, size, 3 if all_steps else 1),
            lambda done, total: status.update(f"making images: {done} of {total}"),
        )
    names = ["zproj", "qc", "illum", "assaydev", "analysis"]
    steps = names if all_steps else ["illum", "analysis"]
    results = _run(
        Steps(project, steps, Part(), cellprofiler.version),
        cellprofiler,
        "local",
        workers,
    )
    if any(result.failed for result in results):
        raise typer.Exit(SOME_FAILED)
    _show_cells(demo_plate.cells_per_well(project))
    _show_demo(folder, results)


def _show_cells(per_well: Mapping[tuple[str, str], int]) -> None:
    table = Table(title="cells found")
    table.add_column("plate")
    table.add_column("well")
    table.add_column("cells", justify="right")
    for (plate, well), cells in per_well.items():
        table.add_row(plate, well, str(cells))
    out.print(table)


def _show_demo(folder: Path, results: list[StepResult]) -> None:
    if all(result.done == 0 for result in results):
        out.print("everything was done already; nothing was run again")
    else:
        seconds = sum(result.wall_s for result in results)
        done = sum(result.done for result in results)
        out.print(f"{counted(done, 'job')} in {seconds:.0f} s")
    out.print(f"project file:  {folder / config.FILE_NAME}", markup=False)
    for result in results:
        out.print(f"{result.step + ':':<14} {result.output}", markup=False)


@cellprofiler_app.command("install")
def install(
    version: Annotated[str, typer.Option(help="Which CellProfiler.")] = "4.2.8.1",
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Only if none is found.")
    ] = False,
) -> None:
    """Make an environment with CellProfiler; needs a JDK and a C compiler."""
    if if_missing:
        try:
            _show_cellprofiler(find())
            return
        except CellProfilerError:
            pass
    _show_cellprofiler(install_cellprofiler(version, say=_print_err))


@cellprofiler_app.command("show")
def show(folder: Folder = Path(), as_json: Json = False) -> None:
    """Show which CellProfiler is used, and why."""
    configured = _configured(folder)
    if as_json:
        found = find(configured)
        _print_json(
            {
                "command": found.command,
                "version": found.version,
                "origin": found.origin,
                "env": dict(found.env),
            }
        )
        return
    for candidate in candidates(configured, os.environ):
        mark = "found" if candidate.found else "-"
        where = "" if candidate.place in candidate.note else f"{candidate.place}, "
        out.print(
            f"{mark:<6} {candidate.origin}: {where}{candidate.note}", markup=False
        )
    _show_cellprofiler(find(configured))


def _configured(folder: Path) -> str | None:
    """The project file's CellProfiler, if there is a file and it names one."""
    file = folder if folder.suffix == ".toml" else folder / config.FILE_NAME
    return Project.load(folder).configured_cellprofiler if file.exists() else None


def _show_cellprofiler(found: CellProfiler) -> None:
    command = " ".join(found.command)
    out.print(f"CellProfiler {found.version}: {command} ({found.origin})", markup=False)
