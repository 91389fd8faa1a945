"""The phases of a run on AWS, each as a command: `cpengine aws ...`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cpengine.cli import completion
from cpengine.cli.base import (
    SOME_FAILED,
    Command,
    Folder,
    Group,
    Json,
    Plates,
    Sites,
    Wells,
    Yes,
    agree,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
)
from cpengine.config.forms import MOST_WORKERS
from cpengine.errors import ExecutorError, InputError, StorageError
from cpengine.events import Event, Noted
from cpengine.executors.aws.entry import apps_of, fleet_file
from cpengine.marker import Marker, MarkerState
from cpengine.project import Project
from cpengine.run.session import Steps, numbered
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.executors.aws.app import App
    from cpengine.executors.aws.project_apps import ProjectApps

app = typer.Typer(
    cls=Group,
    help="Distributed-CellProfiler's phases on AWS, one by one. `run --on aws` does "
    "them all.",
    no_args_is_help=True,
)

Step = Annotated[str, typer.Argument(help="The step.", autocompletion=completion.steps)]


@app.command(cls=Command)
def setup(step: Step, folder: Folder = Path()) -> None:
    """Make queues, log groups, cluster, task definition and service; or change them."""
    from cpengine.executors.aws import setup as phase

    project = Project.load(folder)
    apps = apps_of(project, project.cellprofiler().version)
    apps.check(step)
    step_app = apps.app(step)
    queue = phase.setup(step_app)
    print_out(
        f"{step_app.name}: ready: queue {queue.name}, "
        f"service {step_app.settings.service}"
    )


@app.command(cls=Command)
def submit(
    step: Step,
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    site: Sites = None,
    force: Annotated[
        bool, typer.Option("--force", help="Send what is done, too.")
    ] = False,
) -> None:
    """Send the jobs that are left; those that the queue has already are not sent."""
    from cpengine.executors.aws import submit as phase

    project = Project.load(folder)
    version = project.cellprofiler().version
    apps = apps_of(project, version)
    steps = Steps(project, [step], part_of(plate, well, site), version, force)
    todo = steps.plan(step)
    steps.refuse_shared([todo], "aws", lambda line: print_err(f"note: {line}"))
    project.check_images(todo.plan, todo.jobs)
    project.write_derived(todo.plan)
    step_app = apps.app(step)
    ledger = project.ledger(todo.plan.step)
    jobs = numbered(todo.jobs, ledger) if todo.jobs else ()
    new = phase.submit(step_app, ledger, [(job, 1) for job in jobs], step_app.queue())
    there = len(todo.jobs) - len(new)
    already = f"; {there} are in the queue already" if there else ""
    print_out(f"{step_app.name}: sent {len(new)} of {len(todo.jobs)} jobs{already}")


@app.command(name="import", cls=Command)
def import_(
    step: Step,
    file: Annotated[
        Path, typer.Argument(help="A job file of Distributed-CellProfiler.")
    ],
    folder: Folder = Path(),
) -> None:
    """Send the jobs of a DCP job file to a step's queue."""
    from cpengine.dcp import jobfile
    from cpengine.executors.aws import submit as phase

    project = Project.load(folder)
    jobs = jobfile.read(file)
    version = project.cellprofiler().version
    step_app = apps_of(project, version).app(step)
    sent = phase.send_foreign(step_app, jobs, project.plan(step, cellprofiler=version))
    print_out(
        f"{step_app.name}: sent {counted(len(jobs), 'job')}, {sent} of them as the "
        "step's own, which its ledger follows"
    )


@app.command(cls=Command)
def start(
    step: Step,
    folder: Folder = Path(),
    machines: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_WORKERS, help="Machines. Default: as the messages need."
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Ask for spot machines and have them run containers. From here on it costs."""
    from cpengine.executors.aws import launch as phase

    project = Project.load(folder)
    apps = _apps_of(project)
    step_app = apps.app(step)
    jobs = step_app.queue().counts().total
    if not jobs and machines is None:
        raise ExecutorError(
            f"{step_app.name}: its queue is empty: run `cpengine aws submit {step}` "
            "first"
        )
    wanted = machines or step_app.settings.machines_for(jobs)
    apps.check(step, wanted)
    agree(phase.estimate(step_app, wanted), yes)
    file = fleet_file(project)
    fleet = phase.start_machines(step_app, wanted, file)
    what = f"asked for {wanted} machines: fleet {fleet.id}"
    if fleet.asked_by:
        what = f"fleet {fleet.id} is there, asked for by {fleet.asked_by}"
    print_out(f"{step_app.name}: {what}")
    path = phase.write_monitor_file(step_app, fleet, project.folder)
    print_out(f"{step_app.name}: wrote {path}")


@app.command(cls=Command)
def monitor(
    step: Step,
    folder: Folder = Path(),
    cheapest: Annotated[
        bool,
        typer.Option(
            "--cheapest", help="Replace no lost machine but one after 15 minutes."
        ),
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="One look, then end.")] = False,
    redrive: Annotated[
        bool, typer.Option("--redrive", help="Put dead letters back into the queue.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Follow a run: queue, machines, cost, dead letters; take it down at its end."""
    from cpengine.executors.aws import dead_letters
    from cpengine.executors.aws.monitor import RunOverError

    project = Project.load(folder)
    with _watching(step):
        step_app = _apps_of(project).app(step, to_end=True)
        moved = dead_letters.redrive(step_app) if redrive else 0
    if redrive:
        print_out(f"{step_app.name}: put {moved} messages back")
    if once:
        _show_state(project, step, step_app, as_json)
        return
    try:
        _follow(step_app, step, cheapest)
    except RunOverError as over:
        _take_down(step_app, step, f"{over}; ")
        raise
    try:
        _show_state(project, step, step_app, as_json)
    finally:
        _take_down(step_app, step)


def _follow(step_app: "App", step: str, cheapest: bool) -> None:
    """Look after a run to its end."""
    from cpengine.executors.aws import fleet
    from cpengine.executors.aws.monitor import Monitor

    with _watching(step):
        watch = Monitor(step_app, step_app.queue(), _say, cheapest)
        something = watch.queue.counts().total or fleet.of_app(step_app)
        if something:
            watch.follow()
    if not something:
        raise ExecutorError(
            f"{step_app.name}: its queue is empty and no machine runs: run `cpengine "
            f"aws submit {step}` and `start` first"
        )


@contextlib.contextmanager
def _watching(step: str) -> Iterator[None]:
    """Where looking comes to an end too early, say what goes on."""
    from cpengine.executors.aws.client import AwsError
    from cpengine.executors.aws.monitor import RunOverError

    try:
        yield
    except RunOverError:
        raise
    except (AwsError, StorageError) as error:
        raise AwsError(
            f"{error}; machines that run go on, and cost: run `cpengine aws monitor "
            f"{step}` again, or `cpengine aws down {step}`"
        ) from error


_MOST_FAILED = 20
_MOST_READ = 2000
"""So many markers tell enough of a step."""


@app.command(cls=Command)
def suggest(step: Step, folder: Folder = Path(), as_json: Json = False) -> None:
    """Suggest machines for a step, by what its jobs took in earlier runs anywhere."""
    from cpengine.executors.aws import suggest as phase

    project = Project.load(folder)
    ledger = project.ledger(project.step(step))
    markers = [name for names in ledger.markers().values() for name in names]
    some = sorted(markers)[:: max(1, len(markers) // _MOST_READ)]
    found = phase.suggest(ledger.outcomes(some))
    if found is None:
        raise InputError(
            f"{step}: nothing was measured yet: run some jobs first, here or there: "
            f"cpengine run {step} --well A01"
        )
    if as_json:
        print_json(vars_of(found) | {"memory_mb": found.memory_mb})
        return
    print_out(f"{step} {found}")
    print_out(f"[executors.aws.steps.{step}]")
    print_out(f'machine_types = ["{found.machine_type}"]')
    print_out(f"cores = {found.slots}")
    print_out(f"memory_mb = {found.memory_mb}")


@app.command(cls=Command)
def down(step: Step, folder: Folder = Path()) -> None:
    """Take down all that a step's run has made; again, until nothing is left."""
    _take_down(_apps(folder).app(step, to_end=True), step)


@app.command(cls=Command)
def audit(
    folder: Folder = Path(),
    everything: Annotated[
        bool, typer.Option("--all", help="What other projects have made, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List all that cpengine has made in the account and that is there.

    In the region that is set, and in those where the project's steps have something.
    """
    from cpengine.executors.aws import audit as phase

    apps = _apps(folder)
    found = [left for aws in apps.places() for left in phase.audit(aws, apps.names())]
    mine = [left for left in found if everything or left.app in ("", *apps.names())]
    if as_json:
        print_json([vars_of(left) for left in mine])
    else:
        for left in mine:
            print_out(str(left))
        if not mine:
            print_out("nothing is left")
    if any(left.bills for left in mine):
        raise typer.Exit(SOME_FAILED)


def vars_of(value: Any) -> dict[str, Any]:
    """The fields of a value with slots."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _show_state(project: Project, step: str, step_app: "App", as_json: bool) -> None:
    """Say how a run stands: its queue and machines, and what the ledger has."""
    from cpengine.executors.aws import dead_letters, fleet
    from cpengine.executors.aws.queue import MessageCounts, Queue

    queue = Queue.find(step_app.aws, step_app.settings.queue)
    counts = queue.counts() if queue else MessageCounts(0, 0, 0)
    machines = sum(len(each.machines()) for each in fleet.of_app(step_app))
    dead = Queue.find(step_app.aws, step_app.settings.dead_letters)
    given_up = dead_letters.peek(dead) if dead else []
    markers = project.ledger(project.step(step)).markers().values()
    parsed = [m for names in markers for m in map(Marker.parse, names) if m]
    done = sum(marker.state is MarkerState.DONE for marker in parsed)
    failed = {m.job_id: m.failure for m in parsed if m.state is MarkerState.FAILED}
    if as_json:
        print_json(
            {
                "app": step_app.name,
                "machines": machines,
                "done": done,
                "failed": failed,
                "messages": vars_of(counts),
                "dead_letters": given_up,
            }
        )
        return
    table = Table(title=step_app.name)
    waiting = counts.waiting + counts.later
    numbers = {
        "machines": machines,
        "waiting": waiting,
        "in flight": counts.in_flight,
        "done": done,
        "failed": len(failed),
        "dead letters": len(given_up),
    }
    for name in numbers:
        table.add_column(name, justify="right")
    table.add_row(*map(str, numbers.values()))
    out.print(table)
    for job_id, kind in sorted(failed.items())[:_MOST_FAILED]:
        print_out(f"failed: {job_id}: {kind}; see `cpengine logs {step} {job_id}`")
    for letter in given_up:
        print_out(f"{letter['reason'] or 'came to no end'}: {letter['body'][:200]}")


def _say(event: Event) -> None:
    if isinstance(event, Noted):
        print_err(event.what)


def _take_down(step_app: "App", step: str, why: str = "") -> None:
    from cpengine.executors.aws import down as phase
    from cpengine.executors.aws.client import AwsError

    try:
        remaining = phase.down(step_app)
    except (AwsError, StorageError) as error:
        raise AwsError(
            f"{why}{step_app.name}: not all is taken down, and may cost: run `cpengine "
            f"aws down {step}`, and `cpengine aws audit`: {error}"
        ) from error
    for line in remaining:
        print_err(f"note: {line}")
    print_out(f"{step_app.name}: all is taken down")


def _apps(folder: Path) -> "ProjectApps":
    return _apps_of(Project.load(folder))


def _apps_of(project: Project) -> "ProjectApps":
    """For phases that send no jobs: CellProfiler need not be on this machine."""
    return apps_of(project, project.cellprofiler_version())
