"""What all commands share: options, consoles, and errors as lines with an exit code."""

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from cpengine.cli import stopped
from cpengine.config.forms import MOST_WORKERS
from cpengine.errors import ConfigError, CpengineError
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.run.progress.terminal import Terminal
from cpengine.text_table import TextTable

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_MOST_LINES = 10
_COMMAND = f"{__name__}.command"
_MORE_MEMORY = "free some, take fewer plates or wells, or use a machine with more"


out = Terminal(soft_wrap=True)
err = Terminal(stderr=True)

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
ExcludeFlagged = Annotated[
    bool,
    typer.Option(
        "--exclude-flagged", help="Leave out sites that `cpengine qc` has flagged."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_WORKERS,
        help="Jobs at a time. Default: from cores and memory.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before it costs.")]
Every = Annotated[
    float,
    typer.Option(min=1, max=86_400, help="Seconds between two looks."),
]


class _Warnings(logging.Handler):
    """Prints what the library warns of: each line once, and of many the first."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line not in self._lines:
            self._lines.add(line)
            if len(self._lines) <= _MOST_LINES:
                print_err(f"warning: {line}")

    def close(self) -> None:
        super().close()
        if len(self._lines) > _MOST_LINES:
            print_err(f"warning: and {len(self._lines) - _MOST_LINES} more")


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """While a command runs, what the library warns of is printed."""
    logger, handler = logging.getLogger("cpengine"), _Warnings()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class Group(TyperGroup):
    """Keeps the words of the command that is called, where all groups see them."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        ctx.meta[_COMMAND] = f"{ctx.meta.get(_COMMAND, '')} {name}".strip()
        return name, command, rest


class Commands(Group):
    """Turns what a user can mend into lines and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with _warnings():
                return super().invoke(ctx)
        except CpengineError as error:
            _complain(str(error).split("\n"))
            raise typer.Exit(BAD_INPUT) from error
        except MemoryError as error:
            what = f"there is not enough memory{_in_brackets(error)}"
            print_err(f"error: {what}: {_MORE_MEMORY}")
            raise typer.Exit(BAD_INPUT) from error
        except (KeyboardInterrupt, RuntimeError) as error:
            if not _by_interrupt(error):
                raise
            print_err(stopped.line(ctx.meta.get(_COMMAND, "")))
            raise typer.Exit(INTERRUPTED) from error


def _in_brackets(error: BaseException) -> str:
    """What an error says, in brackets; empty if that is nothing."""
    return f" ({error})" if str(error) else ""


def _by_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind it; out of an import it may come as another exception.

    Python before 3.12 makes one of all that is raised while a class is made.
    """
    return isinstance(error, KeyboardInterrupt) or isinstance(
        error.__cause__, KeyboardInterrupt
    )


def _complain(lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        print_err(f"error: {line}")
    if len(lines) > _MOST_LINES:
        print_err(f"error: and {len(lines) - _MOST_LINES} more")


def is_full(error: OSError) -> bool:
    """Whether the output or a disk takes no more; it is said in a line."""
    lost = error.filename is None and _is_lost(sys.stdout)
    if not lost and error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return False
    place = "standard output" if lost else error.filename or "a disk"
    reason = error.strerror or error
    try:
        print_err(f"error: {place}: cannot be written ({reason}): free space there")
    except OSError:  # it is stderr, or that too
        _drop(sys.stderr)
    return True


def _is_lost(stream: IO[str]) -> bool:
    """Whether a stream takes not even the end of a line; it is dropped then."""
    try:
        stream.write("\n")
        stream.flush()
    except OSError:
        _drop(stream)
        return True
    return False


def _drop(stream: IO[str]) -> None:
    """Lead what is still to be written nowhere: Python would try again at its end."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def print_err(line: str) -> None:
    """Say something on stderr, as it stands."""
    err.print(line, soft_wrap=True)


def print_out(line: str) -> None:
    """Print a result, as it stands."""
    out.print(line)


def rich_table(table: TextTable) -> Table:
    """A table as a terminal shows it, without the lines below it."""
    shown = Table(title=table.title or None)
    for number, name in enumerate(table.columns):
        shown.add_column(name, justify="left" if number < table.words else "right")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def print_table(table: TextTable) -> None:
    """Print a table, and the lines below it."""
    out.print(rich_table(table))
    for line in table.lines:
        print_out(line)


def print_json(data: object) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(data, indent=1, default=str))


def part_of(
    plates: list[str] | None,
    wells: list[str] | None,
    sites: list[str] | None,
    flagged: Project | None = None,
) -> Part:
    """The part that the options name.

    Parameters
    ----------
    flagged
        A project whose flagged sites are left out.
    """
    plate, well, site = (frozenset(_split(given)) for given in (plates, wells, sites))
    if flagged is None:
        return Part(plate, well, site)
    from cpengine.results import qc  # it has much to import

    return Part(plate, well, site, frozenset(qc.flagged(flagged)))


def _split(values: Iterable[str] | None) -> list[str]:
    found = [v for text in values or () for v in text.split(",") if v]
    if values and not found:
        raise ConfigError("--plate, --well or --site is empty: name one, or leave it")
    return found


def agree(what: str, yes: bool) -> None:
    """Ask before something costs.

    Raises
    ------
    ConfigError
        Nobody agrees; without a terminal only `--yes` does.
    """
    if yes:
        print_err(what)
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{what}: not started: say --yes to start it")
    print_err(what)
    if not typer.confirm("Start it?"):
        raise ConfigError("not started")
