"""The commands that run steps, `run` and `demo`: their options.

The rest is imported when they run: a shell that completes a word waits for this file.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cpengine.cli import completion
from cpengine.cli.base import (
    SOME_FAILED,
    ExcludeFlagged,
    Folder,
    Json,
    Plates,
    Sites,
    Wells,
    Workers,
    Yes,
    err,
    part_of,
)
from cpengine.config.forms import EXACT_CHECK, MOST_FAILURES
from cpengine.plates import Part
from cpengine.system.early_signals import ending_at_once

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
    with ending_at_once():
        from cpengine.cli import running

    project = running.Project.load(folder)
    choice = running.JobChoice(
        force, keep_stale, only, max_failures, unchecked, exact_check
    )
    part = part_of(plate, well, site, project if exclude_flagged else None)
    todo = choice.steps(project, steps, part)
    if dry_run:
        running.dry_run(todo, on, workers, as_json)
        return
    webhook = running.agreed(todo, on, notify, yes)
    if detach:
        running.start_driver(todo, on, webhook)
        return
    raise typer.Exit(running.start(todo, on, workers, webhook, quiet=as_json))


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
    with ending_at_once():
        from cpengine.cli import running
        from cpengine.demo import make as demo_plate

    cellprofiler = running.find()
    with err.status("making images") as status:
        demo_plate.make(
            folder,
            demo_plate.Size(plates, wells, sites, size, 3 if all_steps else 1),
            lambda done, total: status.update(f"making images: {done} of {total}"),
        )
    project = running.Project.load(folder)
    names = ["zproj", "qc", "illum", "assaydev", "analysis"]
    steps = names if all_steps else ["illum", "analysis"]
    version = cellprofiler.version
    todo = running.Steps(project, steps, Part(), version, program=cellprofiler)
    results = running.run_steps(todo, "local", workers)
    if any(result.failed for result in results):
        raise typer.Exit(SOME_FAILED)
    running.show_cells(demo_plate.cells_per_well(project))
    running.show_demo(folder, results)
