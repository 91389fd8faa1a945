"""Whether what an earlier step made is still that, whatever its times say."""

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cpengine.job.publish import digests_of
from cpengine.model import Job, Outcome
from cpengine.planning import marker_file, step_results
from cpengine.project import Project
from cpengine.storage import contents
from tests import build
from tests.build import Built, change
from tests.planning.test_step_inputs import (
    OF_P2,
    VERSION,
    analysis_done,
    done,
    stale,
    with_illum,
)
from tests.publishing import set_aside

OTHER = b"funktion"
"""As many bytes as the functions have."""


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """Two plates, whose functions the project's own step has just made."""
    built = build.project(tmp_path / "P", plates=["P1", "P2"], wells=["A01"])
    with_illum(built)
    make(built)
    analysis_done(built.project())
    return built


def function(built: Built, plate: str = "P2") -> Path:
    return built.illum.parent / plate / f"{plate}_IllumDNA.npy"


def make(built: Built, text: str = "function") -> None:
    """Let the illum step run: its marker tells what the functions hold."""
    project = built.project()
    for job in project.plan("illum").jobs:
        began = datetime.now(UTC)
        function(built, job.id).write_text(text)
        record(project, job, began)


def record(project: Project, job: Job, began: datetime) -> None:
    folder = project.places.outputs.path(job.destination)
    names = sorted(path.name for path in folder.iterdir() if job.id in path.name)
    ledger = project.ledger(project.step(job.step))
    (standing,) = ledger.standings([job])
    set_aside(ledger, standing.job)
    ledger.record(
        Outcome(
            standing.job,
            started=began.isoformat(),
            wall_s=(datetime.now(UTC) - began).total_seconds(),
            files={name: (folder / name).stat().st_size for name in names},
            digests=digests_of(folder, names),
            versions={"cellprofiler": VERSION},
        )
    )


def age(built: Built, ago: float = 900) -> None:
    """Let what was done be done so many seconds before."""
    for marker in built.root.rglob("*.done"):
        found = json.loads(marker.read_text())
        started = datetime.fromisoformat(found["started"]) - timedelta(seconds=ago)
        marker.write_text(json.dumps(found | {"started": started.isoformat()}))
        set_back(marker, ago)
    for path in built.illum.parent.rglob("*.npy"):
        set_back(path, ago)


def set_back(path: Path, ago: float) -> None:
    os.utime(path, (path.stat().st_mtime - ago,) * 2)


def findings(project: Project) -> dict[str, str]:
    return {f.rule.name: f"{f.cause}" for f in project.plan("analysis").findings}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read to be compared; no process knows them."""
    read: list[str] = []
    real = contents.digest_of

    def counted(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(contents, "digest_of", counted)
    monkeypatch.setattr(contents, "_known", {})
    return read


def test_a_function_of_the_time_of_its_run_is_not_read(
    built: Built, read: list[str]
) -> None:
    assert stale(built.project()) == set()
    assert findings(built.project()) == {}
    assert read == []


def copied(built: Built) -> Built:
    """A copy of the project, with new times, more than two minutes after the run."""
    age(built)
    root = built.root.with_name("Q")
    shutil.copytree(built.root, root, copy_function=shutil.copyfile)
    return Built(
        **{
            name: root / getattr(built, name).relative_to(built.root)
            for name in Built.__dataclass_fields__
        }
    )


def test_a_copied_project_stays_done_and_each_function_is_read_once(
    built: Built, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied(built)
    for _ in range(2):
        for _ in range(2):
            assert stale(copy.project()) == set()
            assert findings(copy.project()) == {}
        monkeypatch.setattr(contents, "_known", {})  # as in another process
    assert sorted(read) == ["P1_IllumDNA.npy", "P2_IllumDNA.npy"]


def test_a_function_overwritten_in_a_copy_is_found(built: Built) -> None:
    copy = copied(built)
    function(copy).write_bytes(OTHER)
    assert stale(copy.project()) == OF_P2
    assert findings(copy.project()) == {
        "input-replaced": "holds something else than illum made: results from before "
        "that are stale"
    }


def by_time(built: Built) -> None:
    function(built).write_bytes(OTHER)
    set_back(function(built), 60)


def by_rename(built: Built) -> None:
    older = built.root / "v1"
    shutil.copytree(built.illum.parent, older)
    (older / "P2/P2_IllumDNA.npy").write_bytes(OTHER)
    set_back(older / "P2/P2_IllumDNA.npy", 60)
    shutil.rmtree(built.illum.parent)
    older.rename(built.illum.parent)


def by_link(built: Built) -> None:
    by_rename(built)
    older = built.root / "v1"
    built.illum.parent.rename(older)
    built.illum.parent.symlink_to(older)


def by_links_of_files(built: Built) -> None:
    older = built.root / "older.npy"
    older.write_bytes(OTHER)
    set_back(older, 60)
    function(built).unlink()
    function(built).symlink_to(older)


def by_equal_size_and_time(built: Built) -> None:
    seen = function(built).stat()
    time.sleep(0.02)  # the clock of file systems is that coarse
    function(built).write_bytes(OTHER)
    os.utime(function(built), ns=(seen.st_atime_ns, seen.st_mtime_ns))


@pytest.mark.parametrize(
    "put_back",
    [by_time, by_rename, by_link, by_links_of_files, by_equal_size_and_time],
)
def test_an_older_function_that_is_put_back_is_found(
    built: Built, put_back: Callable[[Built], None]
) -> None:
    put_back(built)
    project = built.project()
    assert findings(project)["input-replaced"].startswith("holds something else")
    assert stale(project) == OF_P2
    analysis_done(project)
    assert stale(project) == set()
    make(built)  # results are of the other function
    assert stale(project) == OF_P2


@pytest.mark.parametrize("ago", [-60, 60])
def test_a_function_with_another_time_and_equal_bytes_is_the_same(
    built: Built, ago: float
) -> None:
    set_back(function(built), ago)
    assert stale(built.project()) == set()
    assert findings(built.project()) == {}


def test_a_replaced_function_is_known_by_what_it_holds(built: Built) -> None:
    project = built.project()
    function(built).write_bytes(OTHER + b"en")
    assert stale(project) == OF_P2
    analysis_done(project)
    set_back(function(built), -60)
    assert stale(project) == stale(copied(built).project()) == set()


def test_markers_without_digests_go_by_sizes_and_times(built: Built) -> None:
    for marker in built.root.rglob("P?~*.done"):
        seen, found = marker.stat(), json.loads(marker.read_text())
        del found["digests"]
        marker.write_text(json.dumps(found))
        os.utime(marker, (seen.st_mtime,) * 2)
    by_time(built)
    assert findings(built.project()) == {}
    set_back(function(built), -120)
    assert findings(built.project())["input-replaced"].startswith("is newer than")


# What is said, and until when


def test_what_was_replaced_is_one_finding_until_jobs_have_run_with_it(
    built: Built,
) -> None:
    project = built.project()
    for plate in ("P1", "P2"):
        function(built, plate).write_bytes(OTHER)
    (finding,) = project.plan("analysis").findings
    assert finding.rule.name == "input-replaced"
    assert finding.place == str(function(built, "P1"))
    assert "(and 1 file more): results from before that are stale" in finding.cause
    of_p1 = [job for job in project.plan("analysis").jobs if job.id.startswith("P1")]
    for job in of_p1:
        done(project, job)
    (finding,) = project.plan("analysis").findings
    assert finding.place == str(function(built, "P2"))
    analysis_done(project)
    assert project.plan("analysis").findings == ()


@pytest.mark.parametrize("ago", [-60, 0, 60])
def test_a_file_that_the_step_never_made_is_unmarked(built: Built, ago: float) -> None:
    table = built.csv.parent.parent / "P2" / built.csv.name
    build.write(table, table.read_text().replace("P2_IllumDNA.npy", "mine.npy"))
    mine = function(built).with_name("mine.npy")
    mine.write_bytes(OTHER)
    set_back(mine, ago)
    project = built.project()
    found = {f.rule.name: f.place for f in project.plan("analysis").findings}
    assert found.keys() - {"csv-other-values"} == {"input-unmarked"}
    assert found["input-unmarked"] == str(mine)
    analysis_done(project)
    mine.write_bytes(OTHER + b"en")  # it counts by its size
    assert stale(project) == OF_P2


# Folders that jobs share


@pytest.fixture
def projected(tmp_path: Path) -> Path:
    """A project of two wells, whose images the zproj step has just projected."""
    built = build.project(tmp_path / "P", sites=["1"])
    folder = built.root / "projects/proj/B1/images_projected/P1"
    text = built.csv.read_text().replace("B1/images/", "B1/images_projected/")
    built.csv.write_text(text)
    folder.parent.mkdir()
    built.images.rename(folder)
    head, *rows = text.replace(
        "Metadata_Site", "Metadata_Site,Metadata_PlaneID"
    ).split()
    planes = "\n".join([head, *(f"{row},1" for row in rows)])
    build.write(built.csv.with_name("load_data_unprojected.csv"), f"{planes}\n")
    zproj = build.pipeline_text().replace("IllumDNA", "OrigDNA")
    build.write(built.pipeline.with_name("Zproj.cppipe"), zproj)
    project = built.project()
    for job in project.plan("zproj").jobs:
        image = folder / f"{job.id[3:].replace('-', '_')}.tif"
        record_image(project, job, image)
    analysis_done(project)
    return folder


def record_image(project: Project, job: Job, image: Path) -> None:
    began = datetime.now(UTC)
    image.write_text("image")
    project.ledger(project.step("zproj")).record(
        Outcome(
            job,
            started=began.isoformat(),
            files={image.name: 5},
            digests=digests_of(image.parent, [image.name]),
            versions={"cellprofiler": VERSION},
        )
    )


def test_an_older_image_of_a_folder_that_jobs_share_is_found(projected: Path) -> None:
    project = Project.load(projected.parents[4])
    assert stale(project) == set()
    (projected / "A02_1.tif").write_text("egami")
    set_back(projected / "A02_1.tif", 600)
    assert stale(project) == {"P1-A02-1"}


def test_markers_of_a_folder_that_jobs_share_are_not_opened_without_doubt(
    projected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def counted(name: str) -> object:
        opened.append(name)
        return marker_file.marker_file(name)

    monkeypatch.setattr(step_results, "marker_file", counted)
    project = Project.load(projected.parents[4])
    project.plan("analysis")
    assert opened == []
    set_back(projected / "A02_1.tif", 600)
    project.plan("analysis")
    assert {name.partition("~")[0] for name in opened} <= {"P1-A01-1", "P1-A02-1"}


# Functions behind links


def test_a_function_behind_a_link_is_the_same_in_a_listing_and_by_itself(
    built: Built,
) -> None:
    older = built.root / "older.npy"
    function(built).rename(older)
    set_back(older, 60)
    function(built).symlink_to(older)
    outputs, folder = built.project().places.outputs, str(function(built).parent)
    name = function(built).name
    assert outputs.entries(folder)[name] == outputs.entry(f"{folder}/{name}")
    assert outputs.files(folder)[name] == outputs.entry(f"{folder}/{name}")
    change(older, "function", "functions")
    assert outputs.entries(folder)[name].size == 9
