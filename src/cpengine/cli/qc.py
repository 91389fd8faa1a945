"""The command that judges images: `qc`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.table import Table

from cpengine.cli.base import (
    Folder,
    Json,
    Plates,
    out,
    part_of,
    print_err,
    print_json,
    print_out,
    version_or_none,
)
from cpengine.project import Project
from cpengine.results import qc as quality
from cpengine.results.qc import Assessment, Written
from cpengine.results.qc.assess import ALL_WELLS

_MOST_SHOWN = 10
_HEADLINES = ("Count_", "ImageQuality_MeanIntensity_", "")
"""Of these kinds of measure the first that is there tells how controls vary."""


def qc(
    step: Annotated[
        str | None,
        typer.Argument(
            help="The step that measured. Default: qc or qc_persite.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path(),
    plate: Plates = None,
    as_json: Json = False,
) -> None:
    """Flag blurred, saturated and other bad images, and write tables and a page."""
    project = Project.load(folder)
    name = step or quality.default_step(project)
    part = part_of(plate, None, None)
    version = version_or_none(project)
    found = quality.judge(project, name, part, cellprofiler=version)
    written = quality.write(project, found)
    plates = [plate for plate in found.plates if plate in found.judged]
    for note in found.notes:
        print_err(f"note: {note}")
    if as_json:
        print_json(found.to_json(plates) | {"written": asdict(written)})
        return
    _show(found, plates)
    _tell(found, plates, written)


def _show(found: Assessment, plates: Sequence[str]) -> None:
    controls = list(dict.fromkeys(cv.control for cv in found.cvs))
    controls.sort(key=lambda control: control == ALL_WELLS)
    kind = _headline(found)
    table = Table("plate", title=f"image quality by {found.step}")
    table.add_column("sites", justify="right")
    table.add_column("flagged", justify="right")
    table.add_column("why")
    for control in controls:
        table.add_column(f"CV {control}", justify="right")
    for plate in plates:
        reasons = [f"{n} {reason}" for reason, n in found.reasons(plate).most_common()]
        unscored = [found.unscored[plate]] if plate in found.unscored else []
        table.add_row(
            plate,
            str(found.count(plate)),
            str(len(found.flagged(plate))),
            ", ".join([*reasons, *unscored]),
            *(_percent(found, plate, control, kind) for control in controls),
        )
    out.print(table)
    if controls:
        print_out(f"CV: median over {kind}*; all of them are in cv.csv")


def _headline(found: Assessment) -> str:
    names = found.sites.measures
    return next(k for k in _HEADLINES if any(n.startswith(k) for n in names))


def _percent(found: Assessment, plate: str, control: str, kind: str) -> str:
    values = [
        percent
        for cv in found.cvs
        if (cv.plate, cv.control) == (plate, control) and cv.measure.startswith(kind)
        if (percent := cv.variation.cv_percent) is not None
    ]
    return f"{median(values):.1f} %" if values else ""


def _tell(found: Assessment, plates: Sequence[str], written: Written) -> None:
    for line in _worst(found, plates):
        print_out(line)
    print_out(f"flagged sites: {written.flagged}")
    print_out(f"variation:     {written.cv}")
    print_out(f"page:          {written.page}")


def _worst(found: Assessment, plates: Sequence[str]) -> Iterator[str]:
    mine = [(key, f) for key, f in found.by_site.items() if key.plate in plates]
    for key, flags in mine[:_MOST_SHOWN]:
        more = f" (and {len(flags) - 1} more)" if len(flags) > 1 else ""
        yield f"{'-'.join(key)}  {flags[0].why}{more}"
    if len(mine) > _MOST_SHOWN:
        yield f"and {len(mine) - _MOST_SHOWN} more flagged sites"
