"""From a folder of images to `Cells.csv` with the example pipelines."""

import csv
import io
from functools import cache
from pathlib import Path

import pytest
import tifffile

from cpengine.demo.images import CHANNELS, site_images
from tests.inputs.image_index.acquisition import Acquisition, Shot
from tests.inputs.image_index.harmony_writer import write_harmony
from tests.inputs.image_index.instruments import write_imagexpress_names
from tests.inputs.image_index.test_formats import Write
from tests.plain_runs import Cpengine

pytestmark = pytest.mark.cellprofiler


@cache
def image(shot: Shot) -> bytes:
    """A channel of the demo's images."""
    stacks = site_images("P1", shot.well, shot.site, size=256)
    file = io.BytesIO()
    tifffile.imwrite(file, stacks[CHANNELS[shot.channel - 1]][0])
    return file.getvalue()


def ran(cpengine: Cpengine, *arguments: str | Path) -> str:
    done = cpengine(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("write", "channels", "names"),
    [
        (write_harmony, ("HOECHST 33342", "Alexa 488"), ()),
        (write_imagexpress_names, CHANNELS, CHANNELS),
    ],
    ids=["Harmony, two channels", "ImageXpress names, five"],
)
def test_a_folder_goes_to_cells_with_the_example_pipelines(
    tmp_path: Path,
    cpengine: Cpengine,
    write: Write,
    channels: tuple[str, ...],
    names: tuple[str, ...],
) -> None:
    acquired = Acquisition(wells=("A01",), sites=2, channels=channels, content=image)
    write(tmp_path / "images/P1", acquired)
    mapping = [
        word
        for number, name in enumerate(names, 1)
        for word in ("--channel", f"ch{number}=Orig{name}")
    ]
    project = tmp_path / "screen"
    options = ("--images", tmp_path / "images", "--example-pipelines", *mapping)
    ran(cpengine, "init", project, "--name", "scr", "--batch", "B1", *options)
    ran(cpengine, "run", "illum", "analysis", "-C", project, "--workers", "1")
    results = project / "projects/scr/workspace/analysis/B1/P1/analysis"
    for site in (1, 2):
        text = (results / f"P1-A01-{site}/Cells.csv").read_text()
        cells = list(csv.DictReader(text.splitlines()))
        assert len(cells) > 1
        measured = [name for name in cells[0] if "Intensity_MeanIntensity_" in name]
        assert len(measured) == len(channels)
