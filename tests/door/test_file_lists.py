"""A list of files runs as plain `cellprofiler --file-list` runs it."""

from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Hosts
from cpengine.group_names import metadata_of
from cpengine.job.run_job import run_job
from cpengine.storage.roots import BUCKET
from tests.door import running
from tests.door.file_lists import GROUPS, LIST, PIPELINE, named, project_of
from tests.door.running import STEP, Plain
from tests.plain_runs import Cpengine
from tests.real.compare import TIMES, differing, image_rows, without
from tests.services.podman import IMAGE
from tests.services.podman import images as container_images
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]

pytestmark = pytest.mark.cellprofiler
UNLIKE = (*TIMES, "ImageSet_")
"""What CellProfiler writes otherwise where images lie elsewhere: also their places,
compressed."""


@pytest.fixture(scope="module")
def theirs(
    images: Path, plain: Plain, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What the plain command writes of the local list, by group."""
    folder = tmp_path_factory.mktemp("listed")
    project_of(folder, map(str, named(images)), "")
    given = ["-p", str(folder / PIPELINE), f"--file-list={folder / LIST}"]
    groups = [metadata_of(tuple(group.items())) for group in GROUPS]
    ran = {group: plain.run(*given, group=group) for group in groups}
    for each in ran.values():
        assert each.done == "Complete", each.log
        assert "Image.csv" in each.files
    return {group: each.output for group, each in ran.items()}


def test_groups_of_a_job_file_give_the_files_of_the_plain_command(
    images: Path,
    theirs: dict[str, Path],
    cellprofiler: CellProfiler,
    hosts: Hosts,
    tmp_path: Path,
) -> None:
    """Also with blank lines, blanks and the line ends of Windows."""
    project = project_of(tmp_path, map(str, named(images)), "", "  \r\n\r\n")
    _, found = running.check(tmp_path)
    assert running.errors(found) == []
    jobs = running.run(project, cellprofiler, hosts)
    assert [job.id for job in jobs] == ["P2-A01", "P1-A01"]
    for job in jobs:
        ours = project.places.outputs.path(job.destination)
        assert differing(ours, theirs[job.metadata]) == []


def test_a_file_that_is_not_there_fails_its_group_alone(
    images: Path,
    plain: Plain,
    cellprofiler: CellProfiler,
    hosts: Hosts,
    tmp_path: Path,
) -> None:
    gone = [path for path in named(images) if path.name.startswith("P1_A01_s1")]
    lines = [
        str(path.with_suffix(".gone.tif") if path == gone[0] else path)
        for path in named(images)
    ]
    project = project_of(tmp_path, lines, "")
    given = ["-p", str(tmp_path / PIPELINE), f"--file-list={tmp_path / LIST}"]
    _, found = running.check(tmp_path)
    assert running.errors(found) == []
    (warned,) = [each for each in found if each["rule"] == "file-listed"]
    assert f"{gone[0].stem}.gone.tif is not there" in warned["cause"]
    machine = replace(project.machine(cellprofiler), hosts=hosts)
    for job in project.plan(STEP, cellprofiler=cellprofiler.version).jobs:
        expected = plain.run(*given, group=job.metadata)
        outcome = run_job(job, machine)
        assert outcome.done == (expected.done == "Complete") == (job.id == "P2-A01")
        if outcome.done:
            ours = project.places.outputs.path(job.destination)
            assert differing(ours, expected.output) == []


@pytest.mark.parametrize("where", ["bucket, own process", "mapped, host"])
def test_files_elsewhere_are_named_as_in_the_list(
    images: Path,
    theirs: dict[str, Path],
    cellprofiler: CellProfiler,
    hosts: Hosts,
    tmp_path: Path,
    s3: S3Server,
    bucket: str,
    where: str,
) -> None:
    begin, storage, lent = BUCKET, f'images = "{images}"\n', hosts
    if where.startswith("bucket"):
        s3.upload(bucket, images / "named", "named/")
        begin, lent = f"s3://{bucket}", None
        storage = f'[storage.s3]\nendpoint = "{s3.url}"\n'
    lines = [f"{begin}/named/{path.name}" for path in named(images)]
    project = project_of(tmp_path, lines, storage)
    machine = replace(project.machine(cellprofiler), hosts=lent)
    job = project.plan(STEP, cellprofiler=cellprofiler.version).jobs[0]
    outcome = run_job(job, machine)
    assert outcome.done, outcome.failure
    ours, plain_ones = (
        project.places.outputs.path(job.destination),
        theirs[job.metadata],
    )
    differ = set(differing(ours, plain_ones))
    assert differ <= {"Image.csv", "Experiment.csv"}  # tell places, also compressed
    (row,) = image_rows((ours / "Image.csv").read_bytes())
    (expected,) = image_rows((plain_ones / "Image.csv").read_bytes())
    address = begin if "://" in begin else f"file:{begin}"
    there = {
        name: value.replace(f"file:{images}", address).replace(str(images), begin)
        for name, value in expected.items()
    }
    assert without(row, UNLIKE) == without(there, UNLIKE)
    assert row["URL_DNA"] == f"{address}/named/P2_A01_s1_d.tif"


def test_a_container_runs_a_list(
    images: Path,
    theirs: dict[str, Path],
    cellprofiler: CellProfiler,
    cpengine: Cpengine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "nothing"))
    section = f'[cellprofiler]\nimage = "{IMAGE}"\nruntime = "podman"\n'
    project = project_of(tmp_path, map(str, named(images)), section)
    with container_images(cellprofiler):
        ran = cpengine("run", STEP, "-C", tmp_path)
    assert ran.returncode == 0, ran.stderr
    for job in project.plan(STEP, cellprofiler=cellprofiler.version).jobs:
        ours = project.places.outputs.path(job.destination)
        assert differing(ours, theirs[job.metadata]) == []
