"""Tables name saved images where they are published, and are plain's otherwise."""

import re
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.model import Job
from cpengine.project import Project
from cpengine.storage.roots import BUCKET
from tests import build
from tests.plain_runs import Cpengine, local_csv, plain, small_plate
from tests.real.compare import TIMES, image_row, moved, without
from tests.services.s3.bucket_server import S3Server

pytestmark = pytest.mark.cellprofiler

SAVE = """SaveImages:[module_num:{number}|svn_version:'Unknown'|\
variable_revision_number:16|show_window:False|notes:[]|\
batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]
    Select the type of image to save:Image
    Select the image to save:OrigDNA
    Select method for constructing file names:Single name
    Select image name for file prefix:None
    Enter single file name:\\g<Well>_s\\g<Site>
    Number of digits:4
    Append a suffix to the image file name?:No
    Text to append to the image name:
    Saved file format:png
    Output file location:Default Output Folder sub-folder|sa ved/\\g<Well>
    Image bit depth:8-bit integer
    Overwrite existing files without warning?:No
    When to save:Every cycle
    Record the file and path information to the saved image?:Yes
    Create subfolders in the output folder?:No
    Base image folder:Default Output Folder|
    How to save the series:T (Time)
    Save with lossless compression?:Yes

"""
NUCLEI = """    Data to export:Nuclei
    Combine these object measurements with those of the previous object?:No
    File name:DATA.csv
    Use the object name for the file name?:Yes
"""
PICTURE = "sa ved/A01/A01_s1.png"


@pytest.fixture
def saving(tmp_path: Path) -> Project:
    """A plate of one site whose qc saves an image and writes where it is."""
    project = small_plate(tmp_path / "a plate", wells=1, sites=1)
    find = _module(_pipeline(project, "assaydev").read_text(), "IdentifyPrimaryObjects")
    pipeline = _pipeline(project, "qc")
    text = pipeline.read_text()
    measure = _module(text, "MeasureImageQuality")
    own = find.replace("CorrDNA", "OrigDNA").replace("module_num:3", "module_num:2")
    text = text.replace(measure, own + SAVE.format(number=3))
    text = text.replace("ModuleCount:3", "ModuleCount:4")
    text = text.replace("ToSpreadsheet:[module_num:3", "ToSpreadsheet:[module_num:4")
    text = text.replace("folder names to your object data file?:No", _YES)
    pipeline.write_text(text.rstrip() + "\n" + NUCLEI)
    (job,) = project.plan("qc").jobs
    sheet = project.places.workspace.path(job.data_file)  # as plain is given it
    sheet.write_text(sheet.read_text().replace(BUCKET, str(project.folder)))
    return project


_YES = "folder names to your object data file?:Yes"


def _elsewhere(project: Project, outputs: str, server: S3Server) -> Project:
    """The project with its outputs on S3."""
    file = project.folder / "cpengine.toml"
    build.change(file, 'root = "."\n', f"root = \".\"\noutputs = '{outputs}'\n")
    build.change(file, "[storage.s3]\n", f'[storage.s3]\nendpoint = "{server.url}"\n')
    return Project.load(project.folder)


def _pipeline(project: Project, step: str) -> Path:
    return project.places.workspace.path(project.step(step).pipeline)


def _module(text: str, name: str) -> str:
    found = re.search(rf"^{name}:.*?\n\n", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[0]


def _lasting(data: bytes) -> object:
    """A table without times, which only Image.csv has."""
    first = data.split(b"\r\n")[0]
    return without(image_row(data), TIMES) if TIMES[0].encode() in first else data


def _published(project: Project, job: Job) -> dict[str, bytes]:
    outputs = project.places.outputs
    names = outputs.tree(job.destination)
    return {name: outputs.read(f"{job.destination}/{name}") for name in names}


def test_tables_name_the_published_place_and_else_what_plain_names(
    saving: Project,
    s3: S3Server,
    bucket: str,
    cellprofiler: CellProfiler,
    cpengine: Cpengine,
    tmp_path: Path,
) -> None:
    (job,) = saving.plan("qc").jobs
    theirs = plain(
        cellprofiler,
        tmp_path / "plain",
        pipeline=_pipeline(saving, "qc"),
        data_file=local_csv(saving, job, tmp_path),
        group=dict(job.group),
    )
    for outputs in ("", f's3://{bucket}/a "b", c'):
        project = _elsewhere(saving, outputs, s3) if outputs else saving
        ran = cpengine("run", "qc", "-C", project.folder)
        assert ran.returncode == 0, ran.stderr
        (job,) = project.plan("qc").jobs
        place = project.places.outputs.url(job.destination)
        ours = _published(project, job)
        assert ours.keys() == {"Image.csv", "Experiment.csv", "Nuclei.csv", PICTURE}
        row = image_row(ours["Image.csv"])
        assert row["PathName_OrigDNA"] == f"{place}/sa ved/A01"
        assert ours[PICTURE] == (theirs / PICTURE).read_bytes()
        for name in ("Image.csv", "Nuclei.csv"):
            data = moved((theirs / name).read_bytes(), str(theirs), place)
            assert _lasting(ours[name]) == _lasting(data), name
        assert project.ledger(project.step("qc")).damaged([job]) == []
