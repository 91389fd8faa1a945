"""Names of columns that CellProfiler orders by sets are the same in every process."""

import re
import subprocess
from pathlib import Path

import pytest

from cpengine.cellprofiler.command import run_environment
from cpengine.cellprofiler.find import CellProfiler
from cpengine.project import Project
from tests import build
from tests.plain_runs import Cpengine, local_csv, plain, small_plate
from tests.real.compare import image_row

pytestmark = pytest.mark.cellprofiler

OLD = """MeasureColocalization:[module_num:2|svn_version:'Unknown'|\
variable_revision_number:3|show_window:False|notes:[]|\
batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]
    Hidden:5
    Hidden:1
    Select an image to measure:OrigDNA
    Select an image to measure:OrigER
    Select an image to measure:OrigRNA
    Select an image to measure:OrigAGP
    Select an image to measure:OrigMito
    Set threshold as percentage of maximum intensity for the images:15.0
    Select where to measure correlation:Across entire image
    Select an object to measure:None
    Run all metrics?:No
    Calculate correlation and slope metrics?:Yes
    Calculate the Manders coefficients?:No
    Calculate the Rank Weighted Colocalization coefficients?:No
    Calculate the Overlap coefficients?:No
    Calculate the Manders coefficients using Costes auto threshold?:No

"""
"""As CellProfiler 3 saved it; newer ones put its images into a set and list that."""
ASK = """
import os, sys
from cellprofiler_core import preferences
preferences.set_headless()
from cellprofiler_core.pipeline import Pipeline
pipeline = Pipeline()
pipeline.load(sys.argv[1])
print(pipeline.modules()[1].images_list.value_text)
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture
def old(tmp_path: Path) -> Project:
    """A plate of four sites whose qc is one module of CellProfiler 3."""
    project = small_plate(tmp_path / "plate", wells=4, sites=1)
    pipeline = _pipeline(project)
    text = re.sub(
        r"MeasureImageQuality:.*?\n\n",
        lambda _: OLD,
        pipeline.read_text(),
        flags=re.DOTALL,
    )
    pipeline.write_text(text)
    build.change(
        project.folder / "cpengine.toml",
        "[cellprofiler]\n",
        "[cellprofiler]\njobs_per_process = 1\n",
    )
    return Project.load(project.folder)


def _pipeline(project: Project) -> Path:
    return project.places.workspace.path(project.step("qc").pipeline)


def _images(cellprofiler: CellProfiler, pipeline: Path, seed: str) -> str:
    """The module's images as a CellProfiler with that seed lists them."""
    asked = subprocess.run(
        [str(cellprofiler.python), "-c", ASK, str(pipeline)],
        env=run_environment(cellprofiler.env, pipeline.parent)
        | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.splitlines()[-1]


def test_sites_of_four_processes_have_one_header_and_it_is_that_of_a_plain_run(
    old: Project,
    cellprofiler: CellProfiler,
    cpengine: Cpengine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = {_images(cellprofiler, _pipeline(old), seed) for seed in ("0", "12345")}
    assert len(orders) == 2  # else this shows nothing
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    ran = cpengine("run", "qc", "-C", old.folder, "--workers", "2")
    assert ran.returncode == 0, ran.stderr
    jobs = old.plan("qc").jobs
    outputs = old.places.outputs
    rows = [image_row(outputs.read(f"{job.destination}/Image.csv")) for job in jobs]
    theirs = plain(
        cellprofiler,
        tmp_path / "plain",
        pipeline=_pipeline(old),
        data_file=local_csv(old, jobs[0], tmp_path),
        group=dict(jobs[0].group),
    )
    expected = image_row((theirs / "Image.csv").read_bytes())
    measured = {key for key in expected if key.startswith("Correlation_")}
    assert len(measured) == 2 * 10  # correlation and slope of each pair
    assert [list(row) for row in rows] == [list(expected)] * 4
    assert {key: rows[0][key] for key in measured} == {
        key: expected[key] for key in measured
    }
    ledger = old.ledger(old.step("qc"))
    names = [name for some in ledger.markers().values() for name in some]
    columns = [outcome.columns for outcome in ledger.outcomes(names)]
    assert [found["Image.csv"] for found in columns] == 4 * [columns[0]["Image.csv"]]
