"""The command that looks at a whole plate: `montage`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cpengine.cli import completion
from cpengine.cli.base import (
    OK,
    SOME_FAILED,
    Folder,
    Json,
    Plates,
    Wells,
    err,
    load_project,
    part_of,
    print_err,
    print_json,
    print_out,
)
from cpengine.extras import extra
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.project.results import Montages

_MOST_LINES = 10


Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        help="Published pictures of this kind or file name (* and ? stand for "
        "anything; again for more). Default: all.",
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel", help="An image of the step's CSV, such as OrigDNA (or again)."
    ),
]
Overlays = Annotated[
    list[str] | None,
    typer.Option(
        "--overlay", help="Channels in colours: OrigDNA=blue,OrigER=green (or again)."
    ),
]
Shown = Annotated[
    str, typer.Option("--sites", help="first, all, or the name of one site.")
]
SiteGrid = Annotated[
    str,
    typer.Option(
        help="How the sites of a well lie with --sites all: 3x3 (rows x columns), "
        "snake, or 3x3,snake. Default: nearly square, row by row."
    ),
]
TileSize = Annotated[
    int | None,
    typer.Option(
        min=8,
        max=4096,
        help="Pixels along a site's longer side. Default: what fits in 8000 pixels "
        "a plate.",
    ),
]
Contrast = Annotated[
    list[str] | None,
    typer.Option(
        help="Values to show as black and as full colour: OrigDNA=100,4000 (or "
        "again). Default: percentiles 0.5 and 99.8 of the plate."
    ),
]
To = Annotated[
    Path | None,
    typer.Option(
        help="A folder to write to. Default: montage/ in the project's workspace."
    ),
]


def montage(
    step: Annotated[
        str, typer.Argument(autocompletion=completion.steps, help="The step.")
    ],
    folder: Folder = Path(),
    plate: Plates = None,
    well: Wells = None,
    image: Images = None,
    channel: Channels = None,
    overlay: Overlays = None,
    sites: Shown = "first",
    site_grid: SiteGrid = "",
    tile_size: TileSize = None,
    contrast: Contrast = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Stitch a picture of each plate, and a page to zoom into it."""
    with extra("montage"):
        from cpengine.results import montage as montages
        from cpengine.results.montage import options as read

    options = montages.Options(
        images=tuple(image or ()),
        channels=tuple(channel or ()),
        overlays=tuple(map(read.overlay, overlay or ())),
        sites=sites,
        site_grid=site_grid,
        tile_size=tile_size,
        contrast=read.contrast(contrast or ()),
    )
    project = load_project(folder)
    with err.status("making montages") as status:

        def tell(line: str) -> None:
            status.update(escape(line))

        part = part_of(plate, well, None)
        found = project.montage(step, part=part, options=options, to=to, tell=tell)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    raise typer.Exit(SOME_FAILED if _warned(found.unreadable) else OK)


def _warned(wrong: Sequence[str]) -> bool:
    """Say which pictures cannot be read; whether there are any."""
    for why in wrong[:_MOST_LINES]:
        print_err(f"warning: {why}")
    if len(wrong) > _MOST_LINES:
        print_err(f"warning: and {len(wrong) - _MOST_LINES} pictures more")
    return bool(wrong)


def _show(found: "Montages") -> None:
    for made in found.plates:
        for kind in made.kinds:
            more = f", {kind.missing} missing" if kind.missing else ""
            if kind.unreadable:
                more += f", {len(kind.unreadable)} unreadable"
            pictures = counted(kind.shown, "picture")
            print_out(f"{made.plate} {kind.name}: {pictures}{more} -> {kind.picture}")
        print_out(f"{made.plate}: {made.page}")
