"""The command that judges images: `qc`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.base import (
    Folder,
    Json,
    Plates,
    load_project,
    part_of,
    print_err,
    print_json,
    print_out,
    print_table,
)

if TYPE_CHECKING:
    from cpengine.results.qc import Assessment, Written

_MOST_SHOWN = 10


def qc(
    step: Annotated[
        str | None,
        typer.Argument(
            autocompletion=completion.steps,
            help="The step that measured. Default: qc or qc_persite.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path(),
    plate: Plates = None,
    as_json: Json = False,
) -> None:
    """Flag blurred, saturated and other bad images, and write tables and a page."""
    report = load_project(folder).qc(step, part=part_of(plate, None, None))
    for note in report.assessment.notes:
        print_err(f"note: {note}")
    if as_json:
        print_json(report.to_json())
        return
    print_table(report.table())
    _tell(report.assessment, report.plates, report.written)


def _tell(found: "Assessment", plates: Sequence[str], written: "Written") -> None:
    for line in _worst(found, plates):
        print_out(line)
    print_out(f"flagged sites: {written.flagged}")
    print_out(f"variation:     {written.cv}")
    print_out(f"page:          {written.page}")


def _worst(found: "Assessment", plates: Sequence[str]) -> Iterator[str]:
    mine = [(key, f) for key, f in found.by_site.items() if key.plate in plates]
    for key, flags in mine[:_MOST_SHOWN]:
        more = f" (and {len(flags) - 1} more)" if len(flags) > 1 else ""
        yield f"{'-'.join(key)}  {flags[0].why}{more}"
    if len(mine) > _MOST_SHOWN:
        yield f"and {len(mine) - _MOST_SHOWN} more flagged sites"
