"""The command that goes on with a run, made again of what the run's record says.

Whoever can write to the ledger can write records. So of a record's command only options
of this list come back, for the project that is asked about: nothing is run in a folder,
or with a program, that a record names.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import typer

from cpengine.cli.run import run
from cpengine.errors import InputError

SAME = (
    *("on", "plate", "well", "site", "exclude_flagged", "workers", "force"),
    *("keep_stale", "only", "max_failures", "unchecked"),
)
"""Options of `run` that hold for who goes on, too: they choose jobs and executor."""
_APP = typer.Typer(add_completion=False)
_APP.command()(run)


def arguments_of(command: str, folder: Path) -> list[str]:
    """The arguments of cpengine that go on with a run.

    Parameters
    ----------
    command
        How cpengine was called for it, as its record says.
    folder
        The project's, as it is called here.

    Raises
    ------
    InputError
        It is no `cpengine run`.
    """
    try:
        _, name, *words = shlex.split(str(command))  # None would be standard input
        if name != "run" or "--help" in words:
            raise ValueError(name)
        words = ["-C", str(folder), *words]  # else it is looked for
        given = typer.main.get_command(_APP).make_context(name, words, color=False)
    except Exception as error:  # typer gives no name to what it raises
        raise InputError(
            f"its record has no `cpengine run`, but {command!r}: run its steps again "
            "yourself"
        ) from error
    options = [word for key in SAME for word in _option(key, given.params[key])]
    return ["run", "-C", str(folder), *options, "--", *given.params["steps"]]


def _option(key: str, value: object) -> Iterator[str]:
    name = f"--{key.replace('_', '-')}"
    if value is True:
        yield name
    elif value:
        for each in value if isinstance(value, list | tuple) else [value]:
            yield f"{name}={each}"
