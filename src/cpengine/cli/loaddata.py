"""`cpengine loaddata`: LoadData tables of a folder of images."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cpengine.cli.base import (
    SOME_FAILED,
    Folder,
    Json,
    print_err,
    print_json,
    print_out,
)
from cpengine.errors import ConfigError
from cpengine.inputs.image_index import (
    ImagesOfPlates,
    Pages,
    TableState,
    check_replaceable,
    index_images,
    table_states,
    write_tables,
)
from cpengine.inputs.image_index.channel_names import parse_mapping
from cpengine.project import Project
from cpengine.storage.filesystems import is_local
from cpengine.storage.store import Storage
from cpengine.wording import counted

Pattern = Annotated[
    str | None,
    typer.Option(
        help="How files are named, where that is not known: "
        "'{well}_s{site}_w{channel}.tif', or a regular expression with named groups."
    ),
]
FilePages = Annotated[
    Pages | None,
    typer.Option("--pages", help="What the pages of files are that have several."),
]
Pipelines = Annotated[
    list[str] | None,
    typer.Option(
        "--pipeline",
        help="Write the batch file of this pipeline, which finds its images itself, "
        "anew: for the step that its name says (analysis.cppipe), or STEP=PATH.",
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        help="Call a channel so: ch1=OrigDNA; again for each. Others are not taken.",
    ),
]
PlateNames = Annotated[
    list[str] | None,
    typer.Option(
        "--plate",
        help="Call a plate so: OLD=NEW, again for each; or NEW if there is but one.",
    ),
]
AllowIncomplete = Annotated[
    bool,
    typer.Option(
        "--allow-incomplete",
        help="Write tables without the image sets that have a problem.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace tables that are there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def loaddata(
    images: Annotated[str, typer.Argument(help="The folder of images, or s3://...")],
    folder: Folder = Path(),
    pattern: Pattern = None,
    pages: FilePages = None,
    channel: Channels = None,
    plate: PlateNames = None,
    pipeline: Pipelines = None,
    allow_incomplete: AllowIncomplete = False,
    force: Force = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write the LoadData tables of a folder of images: one for each plate there."""
    project = Project.load(folder)
    if pipeline:
        from cpengine.cli import batch_files_anew  # it has much to import

        given = pattern or pages or channel or plate or allow_incomplete or as_json
        batch_files_anew.refuse_options(bool(given))
        top = place_of_images(images)
        batch_files_anew.write(project, top, pipeline, force, dry_run)
        return
    storage, key = project.places.workspace, project.layout.load_data
    found = index_images(
        project.places.images,
        place_of_images(images),
        pattern=pattern,
        pages=pages,
        channels=parse_mapping(channel or (), "--channel"),
        plates=plate_names(plate or ()),
    )
    states = table_states(storage, key, found.tables)
    if not as_json:
        show_images(found)
        for table, state in states.items():
            print_out(f"{state} table: {storage.url(table)}")
    refused = bool(found.faults) and not allow_incomplete
    replaces = not force and TableState.DIFFERENT in states.values()
    write = not (dry_run or refused or replaces) and (yes or as_json or is_agreed())
    if write:
        write_tables(storage, key, found.tables, states)
    _say_what_is_done(found, storage, states, write, as_json)
    if refused:
        print_err(f"error: {refusal(found)}")
        raise typer.Exit(SOME_FAILED)
    if replaces and not dry_run:
        check_replaceable(storage, states)


def _say_what_is_done(
    found: ImagesOfPlates,
    storage: Storage,
    states: Mapping[str, TableState],
    written: bool,
    as_json: bool,
) -> None:
    if as_json:
        tables = {storage.url(key): state for key, state in states.items()}
        print_json(found.to_json() | {"tables": tables, "written": written})
    elif written:
        changed = sum(state is not TableState.SAME for state in states.values())
        print_out(f"wrote {counted(changed, 'table')}")
    else:
        print_out("nothing is written")


def place_of_images(images: str) -> str:
    """The folder's whole path, or its address."""
    if not is_local(images):
        return images
    return os.path.abspath(os.path.expanduser(images.removeprefix("file://")))


def plate_names(entries: Sequence[str]) -> dict[str, str]:
    """New names of plates by the old; by "" the only one's."""
    alone = [entry for entry in entries if "=" not in entry]
    if alone and len(entries) > 1:
        raise ConfigError(f"--plate {alone[0]}: of several plates, write OLD=NEW")
    return {"": alone[0]} if alone else parse_mapping(entries, "--plate")


def is_agreed() -> bool:
    """Ask, where somebody is there to answer; nothing is lost without."""
    return not sys.stdin.isatty() or typer.confirm("Write this?", default=True)


def refusal(found: ImagesOfPlates) -> str:
    number = counted(len(found.faults), "problem")
    return (
        f"{found.top}: {number}: nothing is written: put right what is named above, or "
        "give --allow-incomplete to leave those image sets out"
    )


def show_images(found: ImagesOfPlates) -> None:
    """Say what was found: the plates, what is left out, what is wrong."""
    for line in (*_plate_lines(found), *_left_out(found)):
        print_out(line)
    for problem in found.problems:
        print_out(f"{'note' if problem.is_note else 'problem'}: {problem}")
    for note in found.notes:
        print_out(f"note: {note}")


def _plate_lines(found: ImagesOfPlates) -> Iterator[str]:
    """What there is of each plate, by which a wrong reading is seen."""
    nouns = ("well", "site", "timepoint", "plane")
    for plate in found.plates:
        counts = [counted(plate.count(part), noun) for part, noun in enumerate(nouns)]
        counts.append(counted(len(plate.sets), "image set"))
        yield f"{plate.plate}: {', '.join(plate.formats)}"
        yield f"  {', '.join(counts)}; channels {', '.join(plate.names)}"


def _left_out(found: ImagesOfPlates) -> Iterator[str]:
    """What is none of a plate's images, counted by why."""
    causes = Counter(entry.cause for entry in found.passed_over)
    yield from (f"left out: {counted(n, cause)}" for cause, n in causes.items())
    for plate in found.plates:
        for channel, number in plate.not_taken.items():
            what = f"of channel {channel.label}, which --channel does not name"
            yield f"left out: {plate.plate}: {counted(number, 'image')} {what}"
