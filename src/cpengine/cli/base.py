"""What all commands share: options, the part that they name, and what they print."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cpengine.cli import completion, project_folder
from cpengine.cli.command_group import Command as Command
from cpengine.cli.command_group import Group as Group
from cpengine.cli.exit_codes import BAD_INPUT as BAD_INPUT
from cpengine.cli.exit_codes import OK as OK
from cpengine.cli.exit_codes import SOME_FAILED as SOME_FAILED
from cpengine.cli.printing import err as err
from cpengine.cli.printing import out as out
from cpengine.cli.printing import print_err as print_err
from cpengine.cli.printing import print_json as print_json
from cpengine.cli.printing import print_out as print_out
from cpengine.config.forms import MOST_WORKERS
from cpengine.errors import ConfigError
from cpengine.plates import Part
from cpengine.system.early_signals import ending_at_once

if TYPE_CHECKING:
    from rich.table import Table

    from cpengine.project import Project
    from cpengine.text_table import TextTable

Folder = Annotated[
    Path,
    typer.Option(
        "-C",
        "--project",
        callback=project_folder.of_option,
        help="The project's folder, or its file. Default: this folder, or the nearest "
        "above with a cpengine.toml.",
        show_default=False,
    ),
]
Plates = Annotated[
    list[str] | None,
    typer.Option(
        "--plate",
        autocompletion=completion.plates,
        help="Take these plates (a,b or again).",
    ),
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


def rich_table(table: "TextTable") -> "Table":
    """A table as a terminal shows it, without the lines below it."""
    from rich.table import Table  # slow to import

    shown = Table(title=table.title or None)
    for number, name in enumerate(table.columns):
        shown.add_column(name, justify="left" if number < table.words else "right")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def print_table(table: "TextTable") -> None:
    """Print a table, and the lines below it."""
    out.print(rich_table(table))
    for line in table.lines:
        print_out(line)


def part_of(
    plates: list[str] | None,
    wells: list[str] | None,
    sites: list[str] | None,
    flagged: "Project | None" = None,
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


def load_project(folder: Path) -> "Project":
    """The project; its modules take long to import, and completion does without."""
    with ending_at_once():
        from cpengine.project import Project
    return Project.load(folder)
