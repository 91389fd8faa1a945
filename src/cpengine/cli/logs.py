"""The command that prints a job's log: `logs`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.base import Folder
from cpengine.errors import InputError
from cpengine.wording import visible

if TYPE_CHECKING:
    from cpengine.ledger.ledger import Ledger


def logs(
    step: Annotated[
        str, typer.Argument(autocompletion=completion.steps, help="The step.")
    ],
    job: Annotated[
        str,
        typer.Argument(
            help="The job's id, such as P1-A01-1.", autocompletion=completion.jobs
        ),
    ],
    folder: Folder = Path(),
) -> None:
    """Print CellProfiler's log of a job's last attempt."""
    from cpengine.project import Project

    project = Project.load(folder)
    settled = project.step(step)
    step_ledger = project.ledger(settled)
    text = step_ledger.storage.read_if_there(f"{step_ledger.folder}/logs/{job}.log")
    if text is None:
        raise InputError(_no_log(step_ledger, step, job))
    typer.echo(visible(text.decode(errors="replace")), nl=False)


def _no_log(step_ledger: "Ledger", step: str, job: str) -> str:
    from cpengine.planning.plan import suggestion

    known = [
        name[: -len(".log")]
        for name in step_ledger.storage.sizes(f"{step_ledger.folder}/logs")
    ]
    if not known:
        return f"{step}: has no logs yet: run it first"
    return f"{step}: has no log of {job}{suggestion(job, known)}"
