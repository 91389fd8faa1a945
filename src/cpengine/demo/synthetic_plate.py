"""Write a synthetic plate to disk, laid out as the profiling handbook has it."""

import csv
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tifffile

from cpengine.demo.images import CHANNELS, Images, site_images
from cpengine.errors import ConfigError
from cpengine.plates import SHAPES, well_name
from cpengine.storage.roots import BUCKET

ROWS, COLUMNS = SHAPES[96]
PIPELINES = Path(__file__).parent / "pipelines"


@dataclass(frozen=True)
class _BatchFolders:
    """Where the files of one batch are."""

    root: Path
    project: str
    batch: str

    @property
    def home(self) -> Path:
        return self.root.resolve() / "projects" / self.project

    @property
    def pipelines(self) -> Path:
        return self.home / "workspace" / "pipelines" / self.batch

    def images(self, plate: str) -> Path:
        return self.home / self.batch / "images" / plate

    def load_data(self, plate: str, planes: int) -> Path:
        folder = self.home / "workspace" / "load_data_csv" / self.batch / plate
        # A stack is projected first; load_data.csv is then derived for the projection.
        return folder / f"load_data{'_unprojected' if planes > 1 else ''}.csv"


@dataclass(frozen=True)
class _Site:
    plate: str
    well: str
    number: int

    def file_name(self, channel: str, plane: int, planes: int) -> str:
        z = f"_z{plane}" if planes > 1 else ""
        return f"{self.well}_s{self.number}{z}_{channel}.tiff"


def wells_of(n: int) -> list[str]:
    """`n` wells of a 96-well plate, row by row in a block of the plate's shape."""
    if not 1 <= n <= ROWS * COLUMNS:
        raise ConfigError(f"a 96-well plate has 1 to 96 wells, not {n}")
    columns = math.ceil(math.sqrt(n * COLUMNS / ROWS))
    return [well_name(divmod(i, columns)) for i in range(n)]


def write_plate(
    root: Path,
    *,
    project: str,
    batch: str,
    plates: Sequence[str],
    wells: Sequence[str],
    sites: int,
    size: int,
    planes: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Images, LoadData CSVs and pipelines; images and pipelines already there stay.

    `progress` is called after each site with the number of sites done and of all.
    """
    layout = _BatchFolders(root, project, batch)
    all_sites = [
        _Site(p, w, s + 1) for p in plates for w in wells for s in range(sites)
    ]
    for done, site in enumerate(all_sites, 1):
        _write_images(layout.images(site.plate), site, size, planes)
        if progress is not None:
            progress(done, len(all_sites))
    for plate in plates:
        of_plate = [site for site in all_sites if site.plate == plate]
        _write_load_data(layout, plate, of_plate, planes)
    _copy_pipelines(layout.pipelines, planes)


def _copy_pipelines(folder: Path, planes: int) -> None:
    """Pipelines that are there already may have been edited: they stay."""
    for pipeline in sorted(PIPELINES.glob("*.cppipe")):
        if pipeline.name == "Zproj.cppipe" and planes == 1:
            continue  # there is nothing to project
        if not _is_written(folder / pipeline.name):
            _write(folder / pipeline.name, pipeline.read_bytes())


def _write_images(folder: Path, site: _Site, size: int, planes: int) -> None:
    missing = [
        (channel, plane, path)
        for plane in range(1, planes + 1)
        for channel in CHANNELS
        if not _is_written(path := folder / site.file_name(channel, plane, planes))
    ]
    if not missing:
        return
    stacks = site_images(site.plate, site.well, site.number, size=size, planes=planes)
    for channel, plane, path in missing:
        _write(path, _tiff(stacks[channel][plane - 1]))


def _tiff(image: Images) -> bytes:
    """A 16-bit grey TIFF; no date and no program name, so that bytes are the same."""
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, image, photometric="minisblack", metadata=None, software=False
    )
    return buffer.getvalue()


def _write_load_data(
    layout: _BatchFolders, plate: str, sites: Sequence[_Site], planes: int
) -> None:
    images = layout.images(plate).relative_to(layout.root.resolve())
    rows = list(_rows(f"{BUCKET}/{images.as_posix()}", sites, planes))
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    _write(layout.load_data(plate, planes), text.getvalue().encode())


def _rows(
    folder: str, sites: Sequence[_Site], planes: int
) -> Iterator[dict[str, str | int]]:
    """One row a site, or one a plane where there are several."""
    for site in sites:
        for plane in range(1, planes + 1):
            row: dict[str, str | int] = {}
            for channel in CHANNELS:
                row[f"FileName_Orig{channel}"] = site.file_name(channel, plane, planes)
                row[f"PathName_Orig{channel}"] = folder
            row["Metadata_Plate"] = site.plate
            row["Metadata_Well"] = site.well
            row["Metadata_Site"] = site.number
            if planes > 1:
                row["Metadata_PlaneID"] = plane
            yield row


def _is_written(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
