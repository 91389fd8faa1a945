"""What `run` and `demo` do, once their options are read: much to import."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from rich.table import Table

from cpengine import config
from cpengine.cellprofiler.find import find as find
from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    agree,
    err,
    out,
    print_err,
    print_json,
    print_out,
)
from cpengine.executors import detach, registry
from cpengine.ledger.run_record import hidden
from cpengine.ledger.standing import FOLDER_GONE
from cpengine.project import Project as Project
from cpengine.project.whole_run import JobChoice as JobChoice
from cpengine.project.whole_run import Run, price_of
from cpengine.results import estimate
from cpengine.results.page_keys import project_key
from cpengine.run import notify as notifying
from cpengine.run.progress import views
from cpengine.run.session import StepResult, Todo
from cpengine.run.session import Steps as Steps
from cpengine.wording import counted


def agreed(todo: Steps, on: str, notify: str | None, yes: bool) -> str | None:
    """Ask before machines cost, if any would be started; give the webhook's address."""
    webhook = notifying.wanted(notify, os.environ, todo.project.file.run.notify)
    if price := price_of(todo, on):
        agree(price, yes)
    return webhook


def start(
    todo: Steps, on: str, workers: int | None, webhook: str | None, *, quiet: bool
) -> int:
    """Run steps here; give the exit code. With `quiet` results are printed as JSON."""
    results = run_steps(todo, on, workers, webhook, quiet=quiet)
    if quiet:
        print_json([result.to_json() for result in results])
    return SOME_FAILED if any(result.failed for result in results) else OK


def start_driver(todo: Steps, on: str, webhook: str | None) -> None:
    """Start a driver that goes on by itself with the same command."""
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


def dry_run(todo: Steps, on: str, workers: int | None, as_json: bool) -> None:
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


def run_steps(
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
    if not quiet:
        outputs = todo.project.places.outputs
        print_err(f"the project's page: {outputs.url(project_key(todo.project))}")
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
        hint = "" if why == FOLDER_GONE.why else " (--keep-stale keeps the results)"
        jobs = f"{counted(count, 'job')} of {len(planned.jobs)}"
        yield f"{jobs} {are} run again: {why}{hint}"


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
            command = shlex.join(["cpengine", "logs", result.step, cause.first.job.id])
            print_err(f"  its log: {command}")


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


def show_cells(per_well: Mapping[tuple[str, str], int]) -> None:
    table = Table(title="cells found")
    table.add_column("plate")
    table.add_column("well")
    table.add_column("cells", justify="right")
    for (plate, well), cells in per_well.items():
        table.add_row(plate, well, str(cells))
    out.print(table)


def show_demo(folder: Path, results: list[StepResult]) -> None:
    if all(result.done == 0 for result in results):
        out.print("everything was done already; nothing was run again")
    else:
        seconds = sum(result.wall_s for result in results)
        done = sum(result.done for result in results)
        out.print(f"{counted(done, 'job')} in {seconds:.0f} s")
    print_out(f"project file:  {folder / config.FILE_NAME}")
    for result in results:
        print_out(f"{result.step + ':':<14} {result.output}")
