"""Plates whose pictures tell by their colour which well and site they are of."""

import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

import cpengine
from cpengine.cli.command_group import Commands
from cpengine.cli.montage import montage
from cpengine.project import Project
from tests import build
from tests.build import Built

Rgb = tuple[int, int, int]
STEP = "assaydev"
PIPELINE = Path(cpengine.__file__).parent / "demo/pipelines/assaydev.cppipe"
OUTPUT = "projects/proj/workspace/assaydev/B1"
MONTAGE = f"projects/proj/workspace/montage/B1/{STEP}/P1"
CHANNELS = ("DNA", "ER", "RNA", "AGP")


def colour(well: str, site: str = "1") -> Rgb:
    """The colour of the picture of a well's site; no two are alike."""
    row, column = ord(well[0]) - ord("A"), int(well[1:])
    return 40 + row * 13, 30 + column * 9, 60 + int(site) * 20


def png(pixels: Rgb, size: tuple[int, int] = (60, 40)) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, pixels).save(file, "PNG")
    return file.getvalue()


def tiff(values: NDArray[Any], **more: Any) -> bytes:
    """A TIFF as microscopes write them."""
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", **more)
    return file.getvalue()


def named(well: str, site: str) -> str:
    """What the demo's pipeline calls a picture: `\\g<Well>_s\\g<Site>--outlines`."""
    return f"{well}_s{site}--outlines.png"


def project(
    root: Path, wells: Sequence[str], sites: Sequence[str] = ("1", "2"), toml: str = ""
) -> Built:
    """A project with the demo's assaydev pipeline; its images are not pictures yet."""
    built = build.project(
        root, pipeline=PIPELINE.name, wells=wells, sites=sites, toml=toml
    )
    shutil.copyfile(PIPELINE, built.pipeline)
    rows = build.image_sets(
        "P1", f"{build.MOUNT}/{build.IMAGES['default']}", wells, sites
    )
    for row in rows:
        for kind, ending in (("Orig", ".tif"), ("Illum", ".npy")):
            stem = row[f"FileName_{kind}DNA"].removesuffix(ending)
            for channel in CHANNELS:
                row[f"FileName_{kind}{channel}"] = f"{stem}_{channel}{ending}"
                row[f"PathName_{kind}{channel}"] = row[f"PathName_{kind}DNA"]
    build.write(built.csv, build.csv_text(rows))
    return built


def publish(
    built: Built,
    wells: Sequence[str],
    sites: Sequence[str] = ("1", "2"),
    name: Callable[[str, str], str] = named,
    size: tuple[int, int] = (60, 40),
) -> None:
    """Publish a picture of each site, as the jobs of assaydev do: one job a well."""
    for well in wells:
        for site in sites:
            write(picture(built, well, name(well, site)), png(colour(well, site), size))


def picture(built: Built, well: str, name: str) -> Path:
    """Where the job of a well publishes a file."""
    return built.root / OUTPUT / f"P1-{well}" / name


def raw(built: Built, well: str, site: str, channel: str) -> Path:
    """Where the image of a channel is."""
    return built.images / f"{well}_{site}_{channel}.tif"


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def call(
    built: Built | Project | Path, *options: str | Path, step: str = STEP
) -> Result:
    """Run `cpengine montage`."""
    app = typer.Typer(cls=Commands)
    app.command()(montage)
    app.callback()(lambda: None)
    root = built if isinstance(built, Path) else built.root
    arguments = ["montage", step, "-C", root, *options]
    return CliRunner().invoke(app, list(map(str, arguments)))


def made(built: Built, *options: str | Path) -> "Montage":
    """Run `cpengine montage` and give what it made of the one kind that it showed."""
    result = call(built, *options, "--json")
    assert result.exit_code == 0, result.stderr
    ((kind,),) = (plate["kinds"] for plate in json.loads(result.stdout)["plates"])
    return Montage.at(Path(kind["picture"]).parent)


@dataclass(frozen=True)
class Montage:
    """A montage as it was written."""

    folder: Path
    facts: Mapping[str, Any]
    whole: NDArray[np.uint8]
    """All tiles of the last level, put together."""

    @classmethod
    def at(cls, folder: Path) -> "Montage":
        facts = json.loads((folder / "montage.json").read_text())
        return cls(folder, facts, together(folder, facts))

    def sites(self, well: str) -> dict[str, Mapping[str, Any]]:
        """What it says of each site of a well."""
        return {s["site"]: s for s in self.facts["sites"] if s["well"] == well}

    def middle(self, well: str, site: str = "1") -> Rgb:
        """The colour in the middle of a site's tile."""
        x, y = self.sites(well)[site]["at"]
        across, down = self.facts["tile"]
        red, green, blue = self.whole[y + down // 2, x + across // 2]
        return int(red), int(green), int(blue)

    def tile(self, well: str, site: str = "1") -> NDArray[np.uint8]:
        """The pixels of a site."""
        x, y = self.sites(well)[site]["at"]
        across, down = self.facts["tile"]
        return self.whole[y : y + down, x : x + across]


def together(
    folder: Path, facts: Mapping[str, Any], level: int = -1
) -> NDArray[np.uint8]:
    """A level of a montage from its tiles."""
    numbers = range(len(facts["levels"]))
    across, down = facts["levels"][level]
    side = facts["side"]
    whole = np.zeros((down, across, 3), np.uint8)
    for file in (folder / "tiles" / str(numbers[level])).iterdir():
        x, y = (side * int(part) for part in file.stem.split("_"))
        with Image.open(file) as image:
            whole[y : y + image.height, x : x + image.width] = np.asarray(image)
    return whole


def near(first: Rgb, second: Rgb) -> bool:
    """Whether two colours are the same but for JPEG."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) <= 3
