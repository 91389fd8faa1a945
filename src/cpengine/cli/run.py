"""The commands that run steps: `run` and `demo`."""

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from cpengine import config
from cpengine.cellprofiler.find import find
from cpengine.cli import completion
from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    ExcludeFlagged,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    Workers,
    Yes,
    agree,
    err,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
)
from cpengine.config.forms import MOST_FAILURES
from cpengine.executors import detach, registry
from cpengine.ledger.run_record import hidden
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.project.whole_run import JobChoice, Run, price_of
from cpengine.results import estimate
from cpengine.run import notify as notifying
from cpengine.run.progress import views
from cpengine.run.session import EXACT_CHECK, StepResult, Steps, Todo
from cpengine.wording import counted

Unchecked = Annotated[
    bool,
    typer.Option(
        "--unchecked", help="Run although the check says that jobs would fail."
    ),
]
Notify = Annotated[
    str | None,
    typer.Option(
        help="Webhook, or address of apprise, to tell of ends, many failures and "
        "standstill. Default: "
        "CPENGINE_NOTIFY, then run.notify."
    ),
]
On = Annotated[
    str,
    typer.Option(
        autocompletion=completion.executors,
        help="Executor: local, slurm, pbs, lsf, sge, htcondor, dask...",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run what is done, too.")]
KeepStale = Annotated[
    bool,
    typer.Option(
        "--keep-stale", help="Keep results of earlier input; do not run them again."
    ),
]
Only = Annotated[
    Literal["failed", "stale", "missing", "left"] | None,
    typer.Option(help="Run only jobs that stand so."),
]
MaxFailures = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_FAILURES,
        help="Stop a step when so many jobs have failed. "
        "Default: when the first ten have all failed.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would run; start nothing.")
]
ExactCheck = Annotated[
    int,
    typer.Option(
        min=0,
        max=MOST_FAILURES,
        help="Run so many first jobs of a step with plain modules, too, and compare; "
        "0: none.",
    ),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Go on by itself; see `cpengine attach`, `cancel`."),
]


def run(
    steps: Annotated[
        list[str],
        typer.Argument(autocompletion=completion.steps, help="Steps, in order."),
    ],
    folder: Folder = Path(),
    on: On = "local",
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    exclude_flagged: ExcludeFlagged = False,
    workers: Workers = None,
    force: Force = False,
    keep_stale: KeepStale = False,
    only: Only = None,
    max_failures: MaxFailures = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    unchecked: Unchecked = False,
    exact_check: ExactCheck = EXACT_CHECK,
    notify: Notify = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run steps in sequence; what is done already is not done again."""
    project = Project.load(folder)
    choice = JobChoice(force, keep_stale, only, max_failures, unchecked, exact_check)
    part = part_of(plate, well, site, project if exclude_flagged else None)
    todo = choice.steps(project, steps, part)
    if dry_run:
        _dry_run(todo, on, workers, as_json)
        return
    webhook = notifying.wanted(notify, os.environ, project.file.run.notify)
    _agree(todo, on, yes)
    if detach:
        _detach(todo, on, webhook)
        return
    results = _run(todo, on, workers, webhook, quiet=as_json)
    if as_json:
        print_json([result.to_json() for result in results])
    raise typer.Exit(SOME_FAILED if any(r.failed for r in results) else OK)


def _agree(todo: Steps, on: str, yes: bool) -> None:
    """Ask before machines cost, if any would be started."""
    if price := price_of(todo, on):
        agree(price, yes)


def _detach(todo: Steps, on: str, webhook: str | None) -> None:
    # What is wrong is said at once, not in a log.
    todo.refuse_shared(todo.plans(), on, _note)
    project, executor = todo.project, registry.entry(on)
    arguments = [
        argument for argument in hidden(sys.argv[1:]) if argument != "--detach"
    ]
    if webhook:  # where other users do not see it
        os.environ[notifying.ENVIRON] = webhook
    if executor.is_paid and "--yes" not in arguments:
        arguments.append("--yes")  # it has been said here
    log = detach.log_in(executor.folder(project))
    started = executor.start_driver(project, arguments, log)
    print_out(f"{started} drives the run; it says how it goes in {log}")
    print_out("follow it with `cpengine attach`, end it with `cpengine cancel`")


def _dry_run(todo: Steps, on: str, workers: int | None, as_json: bool) -> None:
    plans = todo.plans()
    script = registry.entry(on).job_script(todo.project)
    if as_json:
        print_json(
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
        for line in _again(planned):
            print_out(f"  {line}")
        for key in plan.derived:
            print_out(f"  would make {key}")
    for line in estimate.describe(todo, plans, on, workers):
        print_out(line)
    if script:
        print_out(f"job script of each worker:\n{script}")


def _run(
    todo: Steps,
    on: str,
    workers: int | None,
    webhook: str | None = None,
    *,
    quiet: bool = False,
) -> list[StepResult]:
    running = Run(
        todo,
        on,
        workers,
        watch=partial(views, err),
        webhook=webhook,
        announce=_announce,
        ended=_ignore if quiet else _show_result,
        say=print_err,
    )
    results = running.wait()
    for name in todo.names[len(results) :]:
        print_err(f"{name}: not run, because {results[-1].step} has failed jobs")
    return results


def _ignore(result: StepResult) -> None:
    """Print nothing of a step's result."""


def _note(line: str) -> None:
    print_err(f"note: {line}")


def _announce(planned: Todo) -> None:
    for line in _again(planned):
        print_err(f"{planned.plan.step.name}: {line}")


def _again(planned: Todo) -> Iterator[str]:
    """Say how many jobs are run again, and why."""
    for why, count in planned.again.items():
        are = "is" if count == 1 else "are"
        yield (
            f"{counted(count, 'job')} of {len(planned.jobs)} {are} run again: {why} "
            "(--keep-stale keeps the results)"
        )


def _show_result(result: StepResult) -> None:
    for note in result.notes:
        print_err(f"note: {note}")
    for key in result.derived:
        print_out(f"{result.step}: made {key}")
    ran = result.done + result.failed
    if not ran:
        print_out(_nothing_ran(result))
        return
    before = f", {result.already} done before" if result.already else ""
    failed = f", {result.failed} failed" if result.failed else ""
    not_run = f", {result.not_run} not run" if result.not_run else ""
    print_out(
        f"{result.step}: {result.done} of {counted(ran + result.not_run, 'job')} done"
        f"{failed}{not_run}{before}, {counted(result.image_sets, 'image set')}, "
        f"{counted(result.files, 'file')} in {result.wall_s:.0f} s -> {result.output}"
    )
    _show_accelerations(result)
    for cause in result.causes:
        print_err(f"{counted(cause.times, 'job')} failed: {cause}")
        print_err(f"  what to do: {cause.cure}")
        if cause.has_log:
            print_err(f"  its log: cpengine logs {result.step} {cause.first.job.id}")


def _show_accelerations(result: StepResult) -> None:
    use = result.accelerations
    for line in use.lines():
        print_err(f"note: {result.step}: {line}")
    for line in use.warnings(result.blas_kernel):
        print_err(f"warning: {result.step}: {line}")


def _nothing_ran(result: StepResult) -> str:
    if result.already == result.jobs:
        return f"{result.step}: {counted(result.jobs, 'job')}, all done already"
    return f"{result.step}: no job stands so; see cpengine status {result.step}"


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
        demo_plate.make(
            folder,
            demo_plate.Size(plates, wells, sites, size, 3 if all_steps else 1),
            lambda done, total: status.update(f"making images: {done} of {total}"),
        )
    project = Project.load(folder)
    names = ["zproj", "qc", "illum", "assaydev", "analysis"]
    steps = names if all_steps else ["illum", "analysis"]
    version = cellprofiler.version
    todo = Steps(project, steps, Part(), version, program=cellprofiler)
    results = _run(todo, "local", workers)
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
    print_out(f"project file:  {folder / config.FILE_NAME}")
    for result in results:
        print_out(f"{result.step + ':':<14} {result.output}")
