"""The demo project: its plate, its file, and what CellProfiler found in it."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tifffile

from cpengine import config
from cpengine.config import template
from cpengine.demo.synthetic_plate import wells_of, write_plate
from cpengine.errors import ConfigError
from cpengine.planning.planner import plan_step
from cpengine.planning.project import ResolvedProject
from cpengine.plates import PLATE, WELL

NAME, BATCH = "demo", "2026_01_01_Batch1"


@dataclass(frozen=True, slots=True)
class Size:
    """How large a demo is."""

    plates: int
    wells: int
    sites: int
    pixels: int
    planes: int


def make(folder: Path, size: Size, progress: Callable[[int, int], None]) -> None:
    """Write the demo's images, CSVs, pipelines and project file.

    Raises
    ------
    ConfigError
        The folder holds something else.
    """
    _check_folder(folder, size)
    file = folder / config.FILE_NAME
    write_plate(
        folder.resolve(),
        project=NAME,
        batch=BATCH,
        plates=[f"DemoPlate{i + 1}" for i in range(size.plates)],
        wells=wells_of(size.wells),
        sites=size.sites,
        size=size.pixels,
        planes=size.planes,
        progress=progress,
    )
    if not file.exists():
        text = template.project_file(name=NAME, batch=BATCH, root=".")
        file.write_text(text, encoding="utf-8")


def _check_folder(folder: Path, size: Size) -> None:
    """Refuse a folder with other things, or with a demo whose images differ."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / config.FILE_NAME).exists():
        raise ConfigError(f"{folder}: is not empty and no demo: name a new folder")
    made = _made_with(folder)
    if made is not None and made != (size.pixels, size.planes):
        raise ConfigError(
            f"{folder}: holds a demo with other images ({made[0]} pixels, {made[1]} "
            "plane(s) a site): name a new folder"
        )


def _made_with(folder: Path) -> tuple[int, int] | None:
    """The pixels and planes of a demo's images, if it has any."""
    images = list((folder / "projects" / NAME / BATCH / "images").rglob("*.tiff"))
    if not images:
        return None
    with tifffile.TiffFile(images[0]) as first:
        pixels = first.pages[0].shape[0]
    planes = {part for p in images for part in p.stem.split("_") if part[0] == "z"}
    return pixels, len(planes) or 1


def cells_per_well(project: ResolvedProject) -> dict[tuple[str, str], int]:
    """Cells that the analysis step counted, by (plate, well)."""
    cells: dict[tuple[str, str], int] = {}
    for job in plan_step(project, "analysis").jobs:
        text = project.places.outputs.read_text(f"{job.destination}/Image.csv")
        for row in csv.DictReader(io.StringIO(text)):
            well = (row[PLATE], row[WELL])
            count = int(float(row["Count_Cells"]))
            cells[well] = cells.get(well, 0) + count
    return cells
