"""The commands about the Cell Painting Gallery: `gallery check`."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cpengine import gallery
from cpengine.cli.base import (
    BAD_INPUT,
    OK,
    Command,
    Folder,
    Group,
    Json,
    load_project,
    out,
    print_json,
)
from cpengine.cli.finding_lines import name_explain, show_findings
from cpengine.errors import ConfigError
from cpengine.rules import Finding, Severity
from cpengine.storage.filesystems import Access, S3Options, is_local
from cpengine.storage.store import Storage
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.project import Project

app = typer.Typer(
    cls=Group,
    help="Hold a project against the structure of the Cell Painting Gallery.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    pass


@app.command(cls=Command)
def check(
    place: Annotated[
        str | None,
        typer.Argument(
            help="The folder or address of a project or of a source below it, such as "
            "s3://cellpainting-gallery/cpg0016-jump/source_4. Default: the project's.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path(),
    batch: Annotated[
        list[str] | None,
        typer.Option("--batch", help="Look at these batches (a,b or again)."),
    ] = None,
    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="Without credentials, for public buckets."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take warnings for errors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say where folders, names, files and tables are not as the Gallery has them.

    From listings, and a request for the first rows of each table.
    """
    project = None if place else load_project(folder)
    storage = _own(project) if project else _given(place or ".", anonymous)
    batches = [name for text in batch or () for name in text.split(",") if name]
    found = list(gallery.check(storage, batches=batches))
    findings = list(project.softened(found)) if project else found
    if as_json:
        report = [finding.to_json() for finding in findings]
        print_json({"place": storage.root, "findings": report})
    else:
        show_findings(findings)
        out.print(f"{storage.root}: {_counts(findings)}", markup=False)
        name_explain(findings)
    bad = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
    raise typer.Exit(BAD_INPUT if any(f.severity in bad for f in findings) else OK)


def _given(place: str, anonymous: bool) -> Storage:
    """The storage of a folder or address."""
    path = os.path.abspath(os.path.expanduser(place)) if is_local(place) else place
    return Storage(path, Access(S3Options(anonymous=anonymous)), "the folder")


def _own(project: "Project") -> Storage:
    """The storage of the project's folder. Raises ConfigError in the other layout."""
    if project.file.storage.layout != "cpg":
        raise ConfigError(
            "storage.layout: is not that of the Cell Painting Gallery: set it to "
            "'cpg', with storage.source, or name the folder to look at"
        )
    return project.places.outputs.below(project.layout.base)


def _counts(findings: list[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    found = ", ".join(counted(counts[s], s) for s in Severity if counts[s])
    return found or "nothing found"
