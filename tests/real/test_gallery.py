"""A site is analysed directly on the Cell Painting Gallery, without credentials.

The trees are small ones in the Gallery's structure. Tables have the columns of two of
its data sets: addresses alone, compressed (cpg0002-jump-scope), and Parquet with files
and folders that end in a slash (cpg0016-jump).
"""

import csv
import gzip
import io
import os
import subprocess
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from pyarrow import parquet

from cpengine.project import Project
from tests.plain_runs import Cpengine
from tests.real.compare import image_row
from tests.services.s3.bucket_server import S3Server

pytestmark = pytest.mark.cellprofiler

BUCKET, BATCH, PLATE, FULL = "cellpainting-gallery", "2026_01_01_Batch1", "P1", "P1__1"
CHANNELS = ("RNA", "Mito", "AGP", "ER", "DNA")
SITES = (("A01", 1), ("A01", 2))
DATA_SETS = {
    "cpg0002-jump-scope": "load_data_with_illum.csv.gz",
    "cpg0016-jump": "load_data_with_illum.parquet",
}
FILE = """
[project]
name = "{name}"
batch = "{batch}"
[storage]
root = "."
layout = "cpg"
source = "source_4"
workspace = "s3://{bucket}"
[storage.s3]
anonymous = true
endpoint = "{url}"
[steps.analysis]
pipeline_path = "{pipelines}"
[executors.local]
scratch = "scratch"
"""


def named(folder: str, well: str, site: int) -> Iterator[tuple[str, str, str]]:
    """The images and functions of a site: name, folder and file of each."""
    for channel in CHANNELS:
        images = f"{folder}/images/{FULL}/Images/"
        yield f"Orig{channel}", images, f"{well}_s{site}_{channel}.tiff"
        yield f"Illum{channel}", f"{folder}/illum/{PLATE}", illum_name(channel)


def illum_name(channel: str) -> str:
    return f"{PLATE}_Illum{channel}.npy"


def with_addresses(folder: str) -> bytes:
    rows = []
    for well, site in SITES:
        row = {
            f"URL_{image}": f"{place.rstrip('/')}/{file}"
            for image, place, file in named(folder, well, site)
        }
        about = {"Metadata_Well": well, "Metadata_Site": site, "Metadata_Plate": PLATE}
        rows.append(row | about)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode())


def with_folders(folder: str) -> bytes:
    rows = []
    for well, site in SITES:
        files = list(named(folder, well, site))
        rows.append(
            {"Metadata_Source": "source_4", "Metadata_Batch": BATCH}
            | {"Metadata_Plate": PLATE, "Metadata_Well": well, "Metadata_Site": site}
            | {f"FileName_{image}": file for image, _, file in files}
            | {f"PathName_{image}": place for image, place, _ in files}
        )
    data = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), data)
    return data.getvalue()


TABLES: dict[str, Callable[[str], bytes]] = dict(
    zip(DATA_SETS, (with_addresses, with_folders), strict=True)
)


@pytest.fixture(scope="module")
def gallery(plate: Project, s3_server: S3Server) -> Iterator[S3Server]:
    """A bucket for unsigned requests alone, with a tree of each data set."""
    s3_server.make(BUCKET, public=True)
    (images,) = plate.folder.glob("projects/demo/*/images/*")
    (functions,) = plate.folder.glob("projects/demo/*/illum/*")
    for name in DATA_SETS:
        base = f"{name}/source_4"
        folder = f"{base}/images/{BATCH}"
        s3_server.upload(BUCKET, images, f"{folder}/images/{FULL}/Images/")
        for channel in CHANNELS:
            (function,) = functions.glob(f"*_Illum{channel}.npy")
            place = f"{folder}/illum/{PLATE}/{illum_name(channel)}"
            s3_server.put(BUCKET, place, function.read_bytes())
        table = f"{base}/workspace/load_data_csv/{BATCH}/{PLATE}/{DATA_SETS[name]}"
        s3_server.put(BUCKET, table, TABLES[name](f"s3://{BUCKET}/{folder}"))
    with pytest.MonkeyPatch.context() as patch:
        for variable in [v for v in os.environ if v.startswith("AWS_")]:
            patch.delenv(variable)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield s3_server
    s3_server.delete(BUCKET)


@pytest.fixture(scope="module", params=DATA_SETS)
def ran(
    request: pytest.FixtureRequest,
    plate: Project,
    gallery: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
    cpengine: Cpengine,
) -> tuple[Project, "subprocess.CompletedProcess[str]"]:
    """A project on the Gallery after the analysis of one site."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "scratch").mkdir()
    (pipelines,) = plate.folder.glob("projects/demo/workspace/pipelines/*")
    text = FILE.format(
        name=request.param,
        batch=BATCH,
        bucket=BUCKET,
        url=gallery.url,
        pipelines=pipelines,
    )
    (folder / "cpengine.toml").write_text(text)
    before = gallery.objects(BUCKET)
    part = ("--well", "A01", "--site", "2")
    done = cpengine("run", "analysis", "-C", folder, *part, "--workers", "1")
    assert gallery.objects(BUCKET) == before
    return Project.load(folder), done


def cells(project: Project, job: str) -> list[dict[str, str]]:
    """What was measured of each cell of a job."""
    folder = project.places.outputs.path(project.step("analysis").output)
    (path,) = folder.glob(f"*/analysis/{job}/Cells.csv")
    rows = csv.DictReader(io.StringIO(path.read_text()))
    return [{k: v for k, v in row.items() if "Metadata_" not in k} for row in rows]


def test_a_site_on_the_gallery_is_analysed_with_local_outputs(
    ran: tuple[Project, "subprocess.CompletedProcess[str]"], plate: Project
) -> None:
    project, done = ran
    assert done.returncode == 0, done.stderr
    made = cells(project, f"{PLATE}-A01-2")
    assert len(made) > 1
    assert made == cells(plate, "DemoPlate1-A01-2")


def test_results_name_the_addresses_of_the_gallery(
    ran: tuple[Project, "subprocess.CompletedProcess[str]"],
) -> None:
    project, _ = ran
    output = project.places.outputs.path(project.step("analysis").output)
    row = image_row(next(output.rglob("Image.csv")).read_bytes())
    assert row["Metadata_Well"] == "A01"
    assert row["Metadata_Site"] == "2"
    assert row["FileName_OrigDNA"] == "A01_s2_DNA.tiff"
    folder = f"s3://{BUCKET}/{project.file.project.name}/source_4/images/{BATCH}"
    assert row["PathName_OrigDNA"].rstrip("/") == f"{folder}/images/{FULL}/Images"
    assert row["PathName_IllumDNA"] == f"{folder}/illum/{PLATE}"
