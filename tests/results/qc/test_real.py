"""Quality on a plate that the real CellProfiler has measured, and FlagImage's rules."""

import csv
import io
import statistics
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from cpengine.demo.make import cells_per_well
from cpengine.project import Project
from cpengine.results import qc
from cpengine.results.qc.images import SiteKey
from tests import build
from tests.plain_runs import Cpengine, small_plate

pytestmark = pytest.mark.cellprofiler

PLATE = "DemoPlate1"
BLURRED = SiteKey(PLATE, "A02", "1")
SATURATED = SiteKey(PLATE, "A03", "2")
BLACK = SiteKey(PLATE, "B01", "3")
RULES = """\
IF (Image_ImageQuality_PercentMaximal_OrigDNA > 0.25, [1.0, 0.0], [0.0, 1.0])
"""
FLAG_IMAGE = """\
FlagImage:[module_num:3|svn_version:'Unknown'|variable_revision_number:5|show_window:False|notes:[]|batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]
    Hidden:1
    Hidden:1
    Name the flag's category:Metadata
    Name the flag:QCFlag
    How should measurements be linked?:Flag if any fail
    Skip image set if flagged?:Yes
    Flag is based on:Rules
    Select the object to be used for flagging:None
    Which measurement?:None
    Flag images based on low values?:Yes
    Minimum value:0
    Flag images based on high values?:Yes
    Maximum value:1
    Rules file location:Default Input Folder|
    Rules file name:rules.txt
    Class number:1
    Allow fuzzy feature matching?:No
    Ignore flag skips on last cycle?:No

"""  # noqa: E501 - a module of a pipeline has one line for its attributes


def image(project: Project, key: SiteKey, channel: str) -> Path:
    """The file of one image of the demo."""
    plate = project.folder / project.layout.base / project.layout.batch / "images"
    return plate / key.plate / f"{key.well}_s{key.site}_{channel}.tiff"


def blurred(pixels: NDArray[np.uint16], width: int = 9) -> NDArray[np.uint16]:
    """The image with each pixel the mean of those around it."""
    edge = width // 2
    wide = np.pad(pixels.astype(float), edge, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (width, width))
    return windows.mean(axis=(2, 3)).round().astype(pixels.dtype)


def saturated(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The image as a camera gives it that is full where one in fifty pixels is."""
    return np.minimum(pixels, np.percentile(pixels, 98)).astype(pixels.dtype)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory, cpengine: Cpengine) -> Project:
    """A plate of 24 sites, three of them with a bad image, after qc with rules."""
    project = small_plate(tmp_path_factory.mktemp("spoiled"), wells=6, sites=4)
    for key, channel, spoil in (
        (BLURRED, "DNA", blurred),
        (SATURATED, "DNA", saturated),
        (BLACK, "ER", np.zeros_like),
    ):
        path = image(project, key, channel)
        tifffile.imwrite(path, spoil(tifffile.imread(path)))
    _with_rules(project)
    ran = cpengine("run", "qc", "-C", project.folder, "--workers", "2")
    assert ran.returncode == 0, ran.stderr
    return project


def _with_rules(project: Project) -> None:
    """Put FlagImage after MeasureImageQuality, and its rules where the jobs look."""
    workspace, step = project.places.workspace, project.step("qc")
    pipeline = workspace.path(step.pipeline)
    build.change(pipeline, "ModuleCount:3", "ModuleCount:4")
    build.change(pipeline, "[module_num:3", "[module_num:4")
    build.change(pipeline, "ExportToSpreadsheet:", f"{FLAG_IMAGE}ExportToSpreadsheet:")
    workspace.write(f"{step.input}/rules.txt", RULES.encode())


def rows(project: Project, job: str) -> list[dict[str, str]]:
    key = f"{project.step('qc').output}/{job}/Image.csv"
    text = project.places.outputs.read_text(key)
    return list(csv.DictReader(io.StringIO(text)))


def test_bad_images_are_flagged_and_no_others(spoiled: Project) -> None:
    """Also those that FlagImage has skipped: their rows are in Image.csv, too."""
    found = qc.judge(spoiled, "qc")
    reasons = {key: {f.reason for f in flags} for key, flags in found.by_site.items()}
    assert reasons == {
        BLURRED: {"blurred"},
        SATURATED: {"saturated or blank", "flagged by the pipeline"},
        BLACK: {"saturated or blank"},
    }
    assert found.count(PLATE) == 24


def test_a_blurred_image_is_far_below_the_plates_slopes(spoiled: Project) -> None:
    (flag,) = qc.judge(spoiled, "qc").by_site[BLURRED]
    assert flag.measure == "ImageQuality_PowerLogLogSlope_OrigDNA"
    assert flag.score is not None
    assert flag.score < -8


def test_cell_counts_of_the_analysis_vary_as_they_do(plate: Project) -> None:
    found = qc.judge(plate, "analysis")
    cells = list(cells_per_well(plate).values())
    (cv,) = [cv for cv in found.cvs if cv.measure == "Count_Cells"]
    assert cv.variation.wells == len(cells) == 2
    percent = 100 * statistics.stdev(cells) / statistics.fmean(cells)
    assert cv.variation.cv_percent == pytest.approx(percent)
    assert "no measure has a threshold: nothing can be flagged" in found.notes


def test_rules_in_the_input_folder_reach_flagimage(spoiled: Project) -> None:
    flags = {
        (row["Metadata_Well"], row["Metadata_Site"]): row["Metadata_QCFlag"]
        for well in ("A02", "A03", "B01")
        for row in rows(spoiled, f"{PLATE}-{well}")
    }
    assert len(flags) == 12
    flagged = {key for key, value in flags.items() if float(value)}
    assert flagged == {(SATURATED.well, SATURATED.site)}
