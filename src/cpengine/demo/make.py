"""The demo project: its plate, its file, and what CellProfiler found in it."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tifffile

from cpengine import config
from cpengine.config import template
from cpengine.demo.synthetic_plate import wells_of, write_plate
from cpengine.errors import ConfigError, InputError, writing
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
    StorageError
        It cannot be written.
    """
    with writing(folder):
        _check_folder(folder, size)
        _write_file(folder / config.FILE_NAME)  # first: a killed demo goes on by it
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


def _write_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        text = template.project_file(name=NAME, batch=BATCH, root=".")
        path.write_text(text, encoding="utf-8")


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
    """The pixels and planes of a demo's images, if it has any.

    Those that are damaged are removed, so that they are made again: whole ones are all
    of one size.
    """
    found = (folder / "projects" / NAME / BATCH / "images").rglob("*.tiff")
    sizes = {image: image.stat().st_size for image in found}
    ((usual, _),) = Counter(sizes.values()).most_common(1) or [(0, 0)]
    images = [image for image, size in sizes.items() if size == usual]
    for image in sizes.keys() - images:
        image.unlink()
    pixels = None
    while images and (pixels := _pixels(images[0])) is None:
        images.pop(0).unlink()
    if pixels is None:
        return None
    planes = {part for p in images for part in p.stem.split("_") if part[0] == "z"}
    return pixels, len(planes) or 1


def _pixels(image: Path) -> int | None:
    """Those along a side; None if it cannot be read."""
    try:
        with tifffile.TiffFile(image) as file:
            return int(file.asarray().shape[0])
    except Exception:  # what a decoder raises depends on where the damage is
        return None


def cells_per_well(project: ResolvedProject) -> dict[tuple[str, str], int]:
    """Cells that the analysis step counted, by (plate, well)."""
    cells: dict[tuple[str, str], int] = {}
    for job in plan_step(project, "analysis").jobs:
        key = f"{job.destination}/Image.csv"
        outputs = project.places.outputs
        try:
            for row in csv.DictReader(io.StringIO(outputs.read_text(key))):
                well = (row[PLATE], row[WELL])
                count = int(float(row["Count_Cells"]))
                cells[well] = cells.get(well, 0) + count
        except (LookupError, TypeError, ValueError, OverflowError, csv.Error) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{outputs.url(key)}: is damaged: run analysis again with --force"
            ) from error
    return cells
