"""From a folder as each instrument writes it to `Cells.csv`."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.door.pipelines import load_data, module, written
from tests.inputs.image_index.acquisition import Acquisition, Shot
from tests.inputs.image_index.harmony_writer import write_harmony
from tests.inputs.image_index.instruments import write_ome
from tests.inputs.image_index.test_formats import ALL, Write
from tests.plain_runs import Cpengine
from tests.services.s3.bucket_server import S3Server

pytestmark = pytest.mark.cellprofiler

SITE = "Plate,Well,Site"
BASE = "projects/scr/workspace"
CHANNELS = ("1=OrigDNA", "DAPI=OrigDNA", "2=OrigER", "ER=OrigER")
PROJECT = """\
[project]
name = "scr"
batch = "B1"

[steps.cells]
pipeline = "cells.cppipe"
group = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
output = "projects/scr/workspace/cells"
data_file = "load_data.csv"
"""


def brightest(shot: Shot) -> int:
    """The brightest grey level of an image, by which it is told from all others."""
    _, site, timepoint, plane, channel = shot
    return 20_000 + 5000 * channel + 1000 * site + 100 * plane + 10 * timepoint


@cache
def image(shot: Shot) -> bytes:
    """A dark image with four bright squares."""
    pixels = np.full((48, 48), 1000, np.uint16)
    for y, x in ((6, 6), (6, 30), (30, 6), (30, 30)):
        pixels[y : y + 10, x : x + 10] = brightest(shot)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels)
    return file.getvalue()


ACQUIRED = Acquisition(wells=("B03",), sites=1, channels=("DAPI", "ER"), content=image)


def cells() -> str:
    """A pipeline that finds the squares in one channel and measures both."""
    found = {
        "Select the input image": "OrigDNA",
        "Name the primary objects to be identified": "Cells",
    }
    measured = {"Select images to measure": "OrigDNA, OrigER"}
    return written(
        [
            load_data(SITE),
            module("IdentifyPrimaryObjects", 15, found),
            module("MeasureImageIntensity", 4, measured),
            module("ExportToSpreadsheet", 13),
        ]
    )


def project(folder: Path, more: str = "") -> Path:
    """A project with the pipeline, and no tables."""
    pipelines = folder / BASE / "pipelines/B1"
    pipelines.mkdir(parents=True)
    (folder / "cpengine.toml").write_text(PROJECT + more)
    (pipelines / "cells.cppipe").write_text(cells())
    return folder


def run(cpengine: Cpengine, folder: Path, *arguments: str) -> None:
    ran = cpengine(*arguments, "-C", folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def results(folder: Path, plate: str) -> Iterator[tuple[str, float]]:
    """The brightest pixel of each channel, of 65,535."""
    job = folder / BASE / "cells" / f"{plate}-B03-1"
    assert len(rows(job / "Cells.csv")) == 4
    (row,) = rows(job / "Image.csv")
    for name in ("OrigDNA", "OrigER"):
        yield name, float(row[f"Intensity_MaxIntensity_{name}"])


def write_all(folder: Path) -> dict[str, str]:
    """Write a plate in each format; give the plates by format."""
    plates = {name: name.replace(" ", "_") for name in ALL}
    for name, plate in plates.items():
        ALL[name](folder / plate, replace(ACQUIRED, plate=plate))
    return plates


@pytest.mark.parametrize("where", ["local", "S3"])
def test_each_format_goes_from_its_folder_to_cells(
    tmp_path: Path, cpengine: Cpengine, where: str, s3: S3Server, bucket: str
) -> None:
    plates = write_all(tmp_path / "images")
    images, more = str(tmp_path / "images"), ""
    if where == "S3":
        s3.upload(bucket, tmp_path / "images", "screen/")
        images = f"s3://{bucket}/screen"
        more = f'[storage]\nroot = "."\n[storage.s3]\nendpoint = "{s3.url}"\n'
    folder = project(tmp_path / "project", more)
    mapping = [word for entry in CHANNELS for word in ("--channel", entry)]
    run(cpengine, folder, "loaddata", images, *mapping)
    run(cpengine, folder, "run", "cells", "--workers", "2")
    for plate in plates.values():
        for channel, (_, level) in enumerate(results(folder, plate), 1):
            expected = brightest(Shot("B03", 1, 1, 1, channel)) / 65_535
            assert level == pytest.approx(expected, rel=1e-4), plate


def projections() -> str:
    """A pipeline that projects both channels and saves them under the planes' names."""
    text = written([load_data(SITE)])
    values = {
        "Select method for constructing file names": "From image filename",
        "Overwrite existing files without warning?": "No",
        "When to save": "Last cycle",
    }
    blocks = []
    for name in ("DNA", "ER"):
        saved = {
            "Select the image to save": f"Proj{name}",
            "Select image name for file prefix": f"Orig{name}",
        }
        made = written([module("SaveImages", 16, values | saved)])
        blocks += [_projection(name), made.split("\n\n", 1)[1]]
    text = "\n\n".join(block.rstrip() for block in (text, *blocks)) + "\n"
    return _renumbered(text)


def _projection(name: str) -> str:
    return (
        "MakeProjection:[module_num:2|svn_version:'Unknown'|variable_revision_number:2|"
        "show_window:False|notes:[]|batch_state:array([], dtype=uint8)|enabled:True|"
        f"wants_pause:False]\n    Select the input image:Orig{name}\n"
        f"    Type of projection:Maximum\n    Name the output image:Proj{name}\n"
        "    Frequency:6.0\n"
    )


def _renumbered(text: str) -> str:
    head, *blocks = text.split("\n\n")
    number = len(blocks)
    numbered = (
        block.replace("module_num:1|", f"module_num:{n}|").replace(
            "module_num:2|", f"module_num:{n}|"
        )
        for n, block in enumerate(blocks, 1)
    )
    return "\n\n".join(
        [head.replace("ModuleCount:1", f"ModuleCount:{number}"), *numbered]
    )


@pytest.mark.parametrize("write", [write_harmony, write_ome])
def test_planes_are_projected_on_their_way_to_cells(
    tmp_path: Path, cpengine: Cpengine, write: Write
) -> None:
    write(tmp_path / "images", replace(ACQUIRED, planes=3))
    folder = project(tmp_path / "project")
    (folder / BASE / "pipelines/B1/Zproj.cppipe").write_text(projections())
    mapping = [word for entry in CHANNELS[1::2] for word in ("--channel", entry)]
    run(cpengine, folder, "loaddata", str(tmp_path / "images"), *mapping)
    run(cpengine, folder, "run", "zproj", "cells", "--workers", "1")
    for channel, (_, level) in enumerate(results(folder, "P1"), 1):
        expected = brightest(Shot("B03", 1, 1, 3, channel)) / 65_535
        assert level == pytest.approx(expected, rel=1e-4)
