"""A bucket into which others wrote what would lead a job out of its folders."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pipeline_load import LoadRequest, Prober
from cpengine.errors import InputError
from cpengine.inputs import loaddata
from cpengine.job.stage import Stager
from cpengine.ledger.ledger import Ledger
from cpengine.marker import marker_of
from cpengine.model import Job, Outcome
from cpengine.project import Project
from cpengine.storage.cache import Cache
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.store import Storage
from tests import build
from tests.publishing import put
from tests.services.s3.bucket_server import S3Server

WORKSPACE = "projects/proj/workspace"
RULES = f"{WORKSPACE}/qc/B1/rules"
JOB = Job(
    "analysis",
    (("Metadata_Plate", "P1"),),
    "a.cppipe",
    "f.csv",
    "rules",
    "out",
    ledger="ledger",
    fingerprint="0123456789ab",
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's that no job has to do with, and a file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    return folder


def untouched(outside: Path) -> bool:
    files = {path.name: path.read_text() for path in outside.iterdir()}
    return files == {"mine": "mine"}


def hostile(outside: Path, up: str) -> list[str]:
    """Names that lead from a folder to `outside`: by the way up, and from the top."""
    return [f"{up}outside/{name}" for name in ("mine", "new")] + [
        f"/{outside}/mine",
        f"/{outside}/new",
    ]


@pytest.fixture
def remote(tmp_path: Path, outside: Path, s3: S3Server, bucket: str) -> Project:
    """A project on S3; rules, plugins and plates lie beside what leads elsewhere."""
    toml = '[steps.analysis]\nplugins = "py"\n'
    built = build.project(tmp_path / "project", toml=toml)
    build.write(built.root / "py/mynuclei.py", "")
    build.write(built.root / RULES / "r.txt", "rule")
    s3.upload(bucket, built.root)
    for folder in ("py", RULES):
        for name in hostile(outside, "../../../"):
            s3.put(bucket, f"{folder}/{name}", b"theirs")
    s3.put(bucket, f"{WORKSPACE}/load_data_csv/B1/../load_data_with_illum.csv", b"x")
    text = built.toml.read_text().replace(
        "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n'
    )
    text += f'\n[storage.s3]\nendpoint = "{s3.url}"\n'
    build.write(tmp_path / "remote/cpengine.toml", text)
    return Project.load(tmp_path / "remote")


def test_objects_whose_names_lead_elsewhere_are_not_fetched(
    remote: Project, outside: Path, tmp_path: Path
) -> None:
    (job, *_) = remote.plan("analysis").jobs
    (tmp_path / "scratch").mkdir()
    cache = Cache.below(tmp_path / "scratch", 1)
    folder = tmp_path / "scratch" / "in"
    staged = Stager(job, remote.places, cache, folder).stage()
    assert untouched(outside)
    assert staged.plugins is not None
    assert [path.name for path in staged.plugins.rglob("*")] == ["mynuclei.py"]
    assert [path.name for path in staged.input.rglob("*")] == ["r.txt"]


def test_a_folder_that_leads_elsewhere_is_no_plate(remote: Project) -> None:
    workspace = remote.places.workspace
    assert workspace.folders(f"{WORKSPACE}/load_data_csv/B1") == ["P1"]


def test_a_check_puts_nothing_outside_its_folder(
    remote: Project, outside: Path, tmp_path: Path
) -> None:
    table = loaddata.parse("FileName_A,PathName_A\na.tif,/a\n", "f.csv")
    names = {"r.txt", "mine", "new"}
    asked = LoadRequest("text", "p.cppipe", table, RULES, "py", names)
    python = CellProfiler(("cellprofiler",), "4.2.8", "", python=Path(sys.executable))
    (tmp_path / "scratch").mkdir()
    with Prober(python, remote.places.workspace, tmp_path / "scratch") as prober:
        folder = prober._folder / "1"
        prober._put(asked, folder)
        assert (folder / "input/r.txt").read_bytes() == b"rule"
        assert [p.name for p in (folder / "plugins").iterdir()] == ["mynuclei.py"]
    assert untouched(outside)


def on_s3(s3: S3Server, bucket: str) -> Storage:
    return Storage(f"s3://{bucket}/root", Access(S3Options(endpoint=s3.url)))


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_what_a_marker_calls_a_job_s_files_is_removed_below_its_folder_alone(
    where: str, outside: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage = Storage(str(tmp_path))
    if where == "s3":
        server, bucket = (request.getfixturevalue(n) for n in ("s3", "bucket"))
        storage = on_s3(server, bucket)
        server.put(bucket, "outside/mine", b"mine")
    names = [*hostile(outside, "../../"), "../../../outside/mine", "gone.csv"]
    done = Outcome(JOB, files=dict.fromkeys(names, 1), versions={"cellprofiler": "0"})
    ledger = Ledger(storage, JOB.ledger)
    data = json.dumps(done.to_json()).encode()
    storage.write(f"ledger/markers/{marker_of(done)}", data)
    storage.write(f"{JOB.destination}/gone.csv", b"1")
    output, log = tmp_path / "output", tmp_path / "log"
    build.write(output / "Image.csv", "1")
    log.write_text("")
    forced = replace(JOB, earlier=(marker_of(done),))
    put(forced, ledger, output, ["Image.csv"], log)
    assert untouched(outside)
    assert storage.tree(JOB.destination) == {"Image.csv": 1}
    if where == "s3":
        assert server.objects(bucket, "outside/") == {"outside/mine": b"mine"}


def test_a_job_publishes_below_its_folder_alone(outside: Path, tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), JOB.ledger)
    (tmp_path / "log").write_text("")
    (tmp_path / "mine").write_text("theirs")
    name = "../../outside/mine"
    with pytest.raises(InputError, match="names no file of that folder"):
        put(JOB, ledger, tmp_path / "a/b", [name], tmp_path / "log")
    assert untouched(outside)


@pytest.mark.parametrize("value", ["../../outside/mine", "/tmp/x"])
def test_a_job_s_name_leads_nowhere(value: str, tmp_path: Path) -> None:
    job = replace(JOB, group=(("Metadata_Plate", value),))
    ledger = Ledger(Storage(str(tmp_path)), JOB.ledger)
    with pytest.raises(InputError, match="names no file of that folder"):
        ledger.log(job)
    with pytest.raises(InputError, match="names no file of that folder"):
        ledger.record(Outcome(job, versions={"cellprofiler": "0"}))
