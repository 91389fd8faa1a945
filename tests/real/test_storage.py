"""The demo project gives the same results wherever its images and outputs are."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cpengine.ledger.standing import JobState
from cpengine.model import Outcome
from cpengine.project import Project
from cpengine.storage.roots import BUCKET
from tests.plain_runs import Cpengine
from tests.real.compare import image_row, lasting
from tests.services.s3.bucket_server import S3Server

pytestmark = pytest.mark.cellprofiler

DEMO = "projects/demo"
IMAGES = f"{DEMO}/2026_01_01_Batch1/images"
PIPELINES, CSVS = f"{DEMO}/workspace/pipelines", f"{DEMO}/workspace/load_data_csv"
JOBS = "DemoPlate1/analysis/DemoPlate1"
GALLERY = "demo-gallery"
"""The bucket that only anonymous readers may read."""
BUCKETS = {
    "demo-whole": ("images", "workspace"),
    GALLERY: ("images",),
    "demo-results": ("workspace",),
    "demo-outputs": (),
    "demo-pictures": ("images",),
    "demo-desk": ("workspace",),
}
"""Each bucket, and what is put there before the run."""
ROOTS = {
    "all on S3": {"root": "s3://demo-whole"},
    "two buckets": {"root": "s3://demo-results", "images": f"s3://{GALLERY}"},
    "outputs on S3": {
        "root": "{images}",
        "workspace": "{workspace}",
        "outputs": "s3://demo-outputs",
    },
    "inputs on S3": {
        "root": "{empty}",
        "images": "s3://demo-pictures",
        "workspace": "s3://demo-desk",
    },
}
SITES = {
    "all on S3": ("A01-1", "A01-2", "A02-1", "A02-2"),
    "two buckets": ("A01-1", "A01-2"),
    "outputs on S3": ("A01-1", "A01-2"),
    "inputs on S3": ("A01-1",),
}
"""What is analysed; illum always takes the whole plate."""
PARTS = {
    "all on S3": (),
    "two buckets": ("--well", "A01"),
    "outputs on S3": ("--well", "A01"),
    "inputs on S3": ("--well", "A01", "--site", "1"),
}
CHANNELS, PLATE = 5, 4
"""Images of a site, sites of the plate."""
TRUNCATED = 3
FILE = """
[project]
name = "demo"
batch = "2026_01_01_Batch1"
[storage]
{roots}
[storage.s3]
endpoint = "{url}"
[storage.buckets.demo-gallery]
anonymous = true
endpoint = "{url}"
[executors.local]
scratch = "scratch"
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server saw of one bucket."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    requests: "Counter[str]"
    faults: "Counter[str]"
    received: int
    """How many bytes clients got from it."""


@dataclass(frozen=True, slots=True)
class Cases:
    """What has been run."""

    projects: dict[str, Project]
    ran: dict[str, "subprocess.CompletedProcess[str]"]
    buckets: dict[str, Seen]


every_case = pytest.mark.parametrize("case", ROOTS)


@pytest.fixture(scope="module")
def folders(
    plate: Project, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The plate's images, its workspace, and an empty folder, each a root."""
    names = ("images", "workspace", "empty")
    made = {name: tmp_path_factory.mktemp(name) for name in names}
    for name, key in (("images", IMAGES), ("workspace", PIPELINES)):
        shutil.copytree(plate.folder / key, made[name] / key)
    shutil.copytree(
        plate.folder / CSVS,
        made["workspace"] / CSVS,
        ignore=shutil.ignore_patterns("load_data_with_illum.csv"),
    )
    return made


@pytest.fixture(scope="module")
def server(s3_server: S3Server, folders: dict[str, Path]) -> Iterator[S3Server]:
    """The server with its buckets; the first images that it sends are cut short."""
    for bucket, contents in BUCKETS.items():
        s3_server.make(bucket, public=bucket == GALLERY)
        for name in contents:
            s3_server.upload(bucket, folders[name])
    s3_server.faults(
        truncate=1.0, only=["get"], bucket="demo-pictures", times=TRUNCATED
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environ.items():
            patch.setenv(name, value)
        yield s3_server
    s3_server.faults()
    for bucket in BUCKETS:
        s3_server.delete(bucket)


@pytest.fixture(scope="module")
def cases(
    server: S3Server,
    folders: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    cpengine: Cpengine,
) -> Cases:
    """Every case after illum and analysis; two are run at a time."""
    before = {bucket: server.objects(bucket) for bucket in BUCKETS}
    projects = {
        case: _project(tmp_path_factory.mktemp("case"), roots, folders, server)
        for case, roots in ROOTS.items()
    }

    def run(case: str) -> "subprocess.CompletedProcess[str]":
        where = ("-C", projects[case].folder, "--workers", "1")
        return cpengine("run", "illum", "analysis", *where, *PARTS[case])

    with ThreadPoolExecutor(2) as pool:
        ran = dict(zip(ROOTS, pool.map(run, ROOTS), strict=True))
    seen = {bucket: _seen(server, bucket, files) for bucket, files in before.items()}
    return Cases(projects, ran, seen)


def _project(
    folder: Path, roots: Mapping[str, str], folders: dict[str, Path], server: S3Server
) -> Project:
    lines = [f'{key} = "{root.format(**folders)}"' for key, root in roots.items()]
    text = FILE.format(roots="\n".join(lines), url=server.url)
    (folder / "cpengine.toml").write_text(text)
    (folder / "scratch").mkdir()
    return Project.load(folder)


def _seen(server: S3Server, bucket: str, before: dict[str, bytes]) -> Seen:
    return Seen(
        before,
        server.objects(bucket),
        server.counts(bucket),
        server.injected(bucket),
        server.traffic(bucket)["received"],
    )


def _published(project: Project) -> dict[str, bytes]:
    """The files that illum and analysis have published, by key."""
    outputs = project.places.outputs
    folders = [project.step(step).output for step in ("illum", "analysis")]
    keys = [f"{folder}/{name}" for folder in folders for name in outputs.tree(folder)]
    return {key: outputs.read(key) for key in keys}


def _analysed(project: Project) -> list[Outcome]:
    """What the markers of analysis hold; all are those of done jobs."""
    ledger = project.ledger(project.step("analysis"))
    names = list(ledger.storage.sizes(f"{ledger.folder}/markers"))
    assert all(name.endswith(f".{JobState.DONE}") for name in names)
    return ledger.outcomes(names)


@every_case
def test_every_job_is_done_at_the_first_attempt(cases: Cases, case: str) -> None:
    ran = cases.ran[case]
    assert ran.returncode == 0, ran.stderr
    assert "trying again" not in ran.stderr
    analysed = _analysed(cases.projects[case])
    assert len(analysed) == len(SITES[case])
    assert all(outcome.attempt == 1 for outcome in analysed)


@every_case
def test_the_same_files_are_published_as_on_a_local_root(
    cases: Cases, plate: Project, case: str
) -> None:
    ours = _published(cases.projects[case])
    others = [f"/{JOBS}-{site}/" for site in set(SITES["all on S3"]) - set(SITES[case])]
    theirs = {
        key: data
        for key, data in _published(plate).items()
        if not any(other in key for other in others)
    }
    assert len(theirs) == CHANNELS + 7 * len(SITES[case])
    assert ours.keys() == theirs.keys()
    for key, data in theirs.items():
        assert lasting(key, ours[key]) == lasting(key, data), key


@every_case
def test_tables_name_the_places_of_the_csv(cases: Cases, case: str) -> None:
    for key, data in _published(cases.projects[case]).items():
        if key.endswith("/Image.csv"):
            row = image_row(data)
            places = {row[name] for name in row if name.startswith("PathName_")}
            assert places == {
                f"{BUCKET}/{IMAGES}/DemoPlate1",
                f"{BUCKET}/{DEMO}/2026_01_01_Batch1/illum/DemoPlate1",
            }


def test_a_read_only_bucket_is_read_without_a_refusal(cases: Cases) -> None:
    seen = cases.buckets[GALLERY]
    assert seen.after == seen.before
    assert seen.requests.keys() <= {"get", "head", "list"}


def test_results_are_written_to_outputs_alone(cases: Cases) -> None:
    pictures, desk = cases.buckets["demo-pictures"], cases.buckets["demo-desk"]
    assert pictures.after == pictures.before
    (made,) = desk.after.keys() - desk.before.keys()
    assert made.endswith("/DemoPlate1/load_data_with_illum.csv")
    assert desk.before.items() <= desk.after.items()


def test_each_image_is_asked_for_once_a_job(cases: Cases) -> None:
    images = (PLATE + len(SITES["two buckets"])) * CHANNELS  # illum's, analysis'
    assert cases.buckets[GALLERY].requests["get"] == images


def test_functions_are_sent_once_a_machine(cases: Cases) -> None:
    seen = cases.buckets["demo-outputs"]
    sizes = [len(data) for key, data in seen.after.items() if key.endswith(".npy")]
    assert len(SITES["outputs on S3"]) > 1
    assert len(sizes) == CHANNELS
    # Besides them it answers lists and the like, with less than one function's bytes.
    assert sum(sizes) <= seen.received < sum(sizes) + min(sizes)


def test_images_that_are_cut_short_on_the_way_are_asked_for_again(cases: Cases) -> None:
    seen = cases.buckets["demo-pictures"]
    images = (PLATE + len(SITES["inputs on S3"])) * CHANNELS
    assert seen.faults == {"truncate": TRUNCATED}
    assert seen.requests["get"] == images + TRUNCATED


@every_case
def test_analysis_brings_images_once_a_job_and_the_rest_once_a_machine(
    cases: Cases, plate: Project, case: str
) -> None:
    project = cases.projects[case]
    fetched = sum(outcome.fetched for outcome in _analysed(project))
    assert fetched == sum(_travelling(project, plate, SITES[case]))


def _travelling(
    project: Project, plate: Project, sites: Sequence[str]
) -> Iterator[int]:
    """The sizes of what is not local and has to come for the analysis of some sites."""
    outputs = plate.places.outputs
    (job, *_) = plate.plan("analysis").jobs
    if not project.places.images.is_local():
        taken = tuple(site.replace("-", "_s") + "_" for site in sites)
        pictures = outputs.sizes(f"{IMAGES}/DemoPlate1").items()
        yield from (size for name, size in pictures if name.startswith(taken))
    if not project.places.outputs.is_local():
        yield from outputs.tree(project.step("illum").output).values()
    if not project.places.workspace.is_local():
        yield from (len(outputs.read(key)) for key in (job.pipeline, job.data_file))
