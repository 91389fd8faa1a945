"""A case: one real-life input, in the project of a plain user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from tests.door.pipelines import measure, written

if TYPE_CHECKING:
    from tests.door.running import Plain

WORKSPACE = "projects/proj/workspace"
PIPELINES = f"{WORKSPACE}/pipelines/B1"
TABLES = f"{WORKSPACE}/load_data_csv/B1"
BATCH_FILE = f"{WORKSPACE}/batchfiles/B1/Batch_data.h5"
SIDE = 64
CHANNELS = {"": 0, "_ER": 10, "_RNA": 20}
HEAD = "Metadata_Plate,Metadata_Well,FileName_DNA,PathName_DNA"


def rows(head: str, *lines: str) -> str:
    """A CSV's text; IMAGES in it stands for the folder of the images."""
    return "\n".join((head, *lines, ""))


def two(head: str, line: str) -> str:
    """A CSV's text with two rows: a line with 1 and with 2 for each `#`."""
    return rows(head, *(line.replace("#", number) for number in "12"))


def wells(*extra: str, head: str = "") -> str:
    """The usual table, two wells of a site, with more columns for each of them."""
    extra = extra or ("", "")
    lines = (f"P1,A0{n},{n}.tif,IMAGES{more}" for n, more in enumerate(extra, 1))
    return rows(HEAD + head, *lines)


@dataclass(frozen=True, slots=True)
class Case:
    """One input.

    IMAGES in texts, but not in bytes, stands for the folder of the images, and PROJECT
    for the project's.
    """

    name: str
    """What is special about it."""
    table: str | bytes = field(default_factory=wells)
    pipeline: str | bytes = field(default_factory=lambda: written(measure()))
    g: str = "Metadata_Plate=P1,Metadata_Well=A02"
    """The `-g` of the plain run; empty for none."""
    group: str | None = "Plate,Well"
    """The tags of the step's `group`; None: the step has none."""
    plate: str = "P1"
    """The folder of the table; empty: it is beside the plates' folders."""
    pipeline_name: str = "measure.cppipe"
    input: str = ""
    """The step's input folder, which plain gets as `-i`."""
    arguments: tuple[str, ...] = ()
    """More arguments of `check`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """More files of the project, by their place."""
    batch: Callable[["Built", "Plain"], Path] | None = None
    """Makes the batch file that stands for pipeline and table, and gives it."""
    says: tuple[str, ...] = ()
    """What an error about it must say, where it is refused."""

    def __str__(self) -> str:
        return self.name

    def build(self, folder: Path, images: Path, plain: "Plain") -> "Built":
        """Write the project."""
        built = Built(self, folder, images)
        built.write("cpengine.toml", self._project())
        built.write(f"{PIPELINES}/{self.pipeline_name}", self.pipeline)
        built.write(built.table_place, self.table)
        for place, text in self.files.items():
            built.write(place, text)
        if self.batch:
            built.write(BATCH_FILE, self.batch(built, plain).read_bytes())
        return built

    def _project(self) -> str:
        tags = [tag for tag in (self.group or "").split(",") if tag]
        keys = ", ".join(f'"Metadata_{tag}"' for tag in tags)
        group = (
            "" if self.group is None else f'group = [{keys}]\noutput_structure = ""\n'
        )
        source = 'groups = "batch"\n' if self.batch else ""
        given = f'input = "{self.input}"\n' if self.input else ""
        return (
            '[project]\nname = "proj"\nbatch = "B1"\n\n[steps.analysis]\n'
            f'pipeline = "{self.pipeline_name}"\ndata_file = "load_data.csv"\n'
            f"{group}{source}{given}"
        )


@dataclass(frozen=True, slots=True)
class Built:
    """A case's project on the disk."""

    case: Case
    folder: Path
    images: Path

    def write(self, place: str, content: str | bytes) -> None:
        """Write a file of the project."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            return
        data = content.encode()
        for word, real in ((b"IMAGES", self.images), (b"PROJECT", self.folder)):
            data = data.replace(word, str(real).encode())
        path.write_bytes(data)

    @property
    def table_place(self) -> str:
        """Where in the project the table is."""
        return "/".join(filter(None, (TABLES, self.case.plate, "load_data.csv")))

    @property
    def pipeline(self) -> Path:
        """The pipeline's file."""
        return self.folder / PIPELINES / self.case.pipeline_name

    @property
    def inputs(self) -> list[str]:
        """What plain CellProfiler gets beside `-g`."""
        if self.case.batch:
            return ["-p", str(self.folder / BATCH_FILE)]
        table = self.folder / self.table_place
        return ["-p", str(self.pipeline), f"--data-file={table}"]

    @property
    def input(self) -> Path | None:
        """The input folder that plain gets."""
        place = self.case.input.replace("IMAGES", str(self.images))
        return self.folder / place if place else None


def blobs(seed: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint16]]":
    """A dark image with a few bright discs, other ones for each seed."""
    random = np.random.default_rng(seed)
    image = random.integers(400, 600, (SIDE, SIDE)).astype(np.uint16)
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(5):
        row, column = random.integers(8, SIDE - 8, 2)
        radius = random.integers(3, 6)
        disc = (y - row) ** 2 + (x - column) ** 2 < radius**2
        image[disc] = random.integers(20000, 50000)
    return image


def write_images(folder: Path) -> None:
    """Write the images that tables name.

    - `1.tif`, `1_ER.tif`, `1_RNA.tif` and so on: three channels of four sites
    - `TimePoint_1/1.tif`, `my day 1/x 1.tif`: other images, in other places
    - `stack.tif`: the pages are `1.tif` to `4.tif`; `labels.tif`: two objects
    - `named/P1_A01_s1_d.tif` and so on: two plates of two wells, channels d and e
    """
    numbers = (1, 2, 3, 4)
    seeds = {f"{n}{name}": seed + n for n in numbers for name, seed in CHANNELS.items()}
    for number in numbers:
        seeds[f"TimePoint_1/{number}"] = 30 + number
        seeds[f"my day 1/x {number}"] = 60 + number
    for place, plate in enumerate(("P1", "P2")):
        for well in ("A01", "A02"):
            seed = 40 + 10 * place + int(well[1:])
            seeds |= {f"named/{plate}_{well}_s1_{c}": seed + ord(c) for c in "de"}
    for name, seed in seeds.items():
        path = folder / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, blobs(seed))
    pages = np.stack([blobs(n) for n in numbers])
    tifffile.imwrite(folder / "stack.tif", pages, photometric="minisblack")
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[5:20, 5:20], labels[30:40, 30:50] = 1, 2
    tifffile.imwrite(folder / "labels.tif", labels)
    np.save(folder / "IllumDNA.npy", np.linspace(1, 2, SIDE**2).reshape(SIDE, SIDE))
