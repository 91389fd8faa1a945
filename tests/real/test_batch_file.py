"""A real Batch_data.h5, written by CreateBatchFiles, runs like the CSV it came from."""

import re
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.project import Project
from tests.plain_runs import Cpengine, plain

pytestmark = pytest.mark.cellprofiler

CREATE = """
CreateBatchFiles:[module_num:{number}|svn_version:'Unknown'|variable_revision_number:8|\
show_window:False|notes:[]|batch_state:array([], dtype=uint8)|enabled:True|\
wants_pause:False]
    Store batch files in default output folder?:Yes
    Output folder path:/tmp
    Are the cluster computers running Windows?:No
    Hidden- in batch mode:No
    Hidden- in distributed mode:No
    Hidden- default input folder at time of save:/tmp
    Hidden- revision number:0
    Hidden- from old matlab:No
    Local root path:/tmp
    Cluster root path:/tmp
"""


@pytest.fixture
def batch_file(plate: Project, cellprofiler: CellProfiler, tmp_path: Path) -> Path:
    """The analysis step's pipeline and image sets as CellProfiler keeps them.

    LoadData reads the CSV's header again at run time, from where the pipeline says.
    """
    (job, *_) = plate.plan("analysis").jobs
    text = plate.places.outputs.read_text(job.pipeline)
    modules = int(re.search(r"ModuleCount:(\d+)", text)[1])
    text = text.replace(f"ModuleCount:{modules}", f"ModuleCount:{modules + 1}")
    data_file = plate.places.outputs.path(job.data_file)
    text = text.replace(
        "data file location:Default Input Folder|",
        f"data file location:Elsewhere...|{data_file.parent}",
    )
    pipeline = tmp_path / "create.cppipe"
    pipeline.write_text(text.rstrip() + "\n" + CREATE.format(number=modules + 1))
    output = plain(
        cellprofiler,
        tmp_path / "create",
        pipeline=pipeline,
        data_file=data_file,
        group={},
    )
    return output / "Batch_data.h5"


def test_jobs_from_a_batch_file_give_the_results_of_the_csv(
    plate: Project, batch_file: Path, tmp_path: Path, cpengine: Cpengine
) -> None:
    (tmp_path / "cpengine.toml").write_text(
        f'[project]\nname = "demo"\nbatch = "b"\n[storage]\nimages = "{plate.folder}"\n'
        '[steps.analysis]\ngroups = "batch"\n'
        f'batch_path = "{batch_file.parent}"\nbatch_file = "{batch_file.name}"\n'
    )
    ran = cpengine("run", "analysis", "-C", tmp_path, "--well", "A02", "--site", "2")
    assert ran.returncode == 0, ran.stderr
    (other,) = [j for j in plate.plan("analysis").jobs if j.id.endswith("A02-2")]
    (job,) = [
        j for j in Project.load(tmp_path).plan("analysis").jobs if j.id == other.id
    ]
    for name in ("Cells.csv", "Nuclei.csv", "Cytoplasm.csv"):
        ours = tmp_path / job.destination / name
        theirs = plate.places.outputs.path(other.destination) / name
        assert ours.read_bytes() == theirs.read_bytes()
