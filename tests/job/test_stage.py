"""Staging: a job gets what its group needs; what is local stays where it is."""

import csv
import io
import re
from pathlib import Path

import pytest

from cpengine.errors import InputError, StorageError
from cpengine.job.stage import Staged, Stager
from cpengine.model import Job
from cpengine.project import Project
from cpengine.storage.cache import Cache
from cpengine.storage.roots import Places
from cpengine.storage.store import Storage
from tests import build
from tests.build import Built
from tests.services.s3.bucket_server import S3Server

ENDPOINT = '\n[storage.s3]\nendpoint = "{url}"\n'


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project of two wells with two sites each, rules and plugins."""
    built = build.project(
        tmp_path / "project", toml='[steps.analysis]\nplugins = "py"\n'
    )
    build.write(built.root / "py/mynuclei.py", "import helpers\n")
    build.write(built.root / "py/helpers.py", "")
    build.write(built.root / "projects/proj/workspace/qc/B1/rules/deep/r.txt", "rule")
    return built


@pytest.fixture
def remote(built: Built, s3: S3Server, bucket: str, tmp_path: Path) -> Project:
    """The same project with its root on S3."""
    s3.upload(bucket, built.root)
    s3.reset_counts()
    text = built.toml.read_text().replace(
        "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n'
    )
    build.write(tmp_path / "remote/cpengine.toml", text + ENDPOINT.format(url=s3.url))
    return Project.load(tmp_path / "remote")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    (tmp_path / "scratch").mkdir()
    return Cache.below(tmp_path / "scratch", 1)


def stage(project: Project, job: Job, cache: Cache, name: str = "in") -> Staged:
    return Stager(job, project.places, cache, cache.folder.parent / name).stage()


def rows(staged: Staged, cache: Cache) -> list[dict[str, str]]:
    text = staged.localised(cache.folder.parent).read_text()
    return list(csv.DictReader(io.StringIO(text)))


def opened(row: dict[str, str]) -> list[str]:
    """What the files hold that LoadData opens."""
    names = [name for name in row if name.startswith("URL_")]
    return [Path(row[name].removeprefix("file:")).read_text() for name in names]


def test_local_images_are_used_in_place(built: Built, cache: Cache) -> None:
    project = built.project()
    (job, *_) = project.plan("analysis").jobs
    staged = stage(project, job, cache)
    assert staged.fetched == 0
    (first, *_) = rows(staged, cache)
    assert first["URL_OrigDNA"] == f"file:{built.images}/A01_1.tif"


def test_a_job_gets_no_file_that_the_user_may_edit(built: Built, cache: Cache) -> None:
    project = built.project()
    first, second, *_ = project.plan("analysis").jobs
    staged = stage(project, first, cache)
    texts = [path.read_bytes() for path in held(staged)]
    for path in (built.pipeline, built.csv, *(built.root / "py").glob("*.py")):
        path.write_text(f"{path.read_text()}\nedited")
    assert [path.read_bytes() for path in held(staged)] == texts
    with pytest.raises(InputError):
        stage(project, second, cache, "second")
    for path, text in zip((built.pipeline, built.csv), texts[:2], strict=True):
        path.write_bytes(text)
    assert held(stage(project, second, cache, "third"))[0].read_bytes() == texts[0]


@pytest.fixture
def ruled(built: Built, tmp_path: Path) -> Path:
    """The rules that the pipeline names by their path."""
    path = tmp_path / "elsewhere/focus.txt"
    flag = build.module(
        "FlagImage",
        4,
        {
            "Flag is based on": "Rules",
            "Rules file location": f"Elsewhere...|{path.parent}",
            "Rules file name": path.name,
        },
    )
    built.pipeline.write_text(build.pipeline_text(build.SITE, flag))
    build.write(path, "rules")
    return path


def test_rules_that_are_named_by_their_path_are_those_that_were_planned_with(
    built: Built, cache: Cache, ruled: Path
) -> None:
    project = built.project()
    (job, *_) = project.plan("analysis").jobs
    stager = Stager(job, project.places, cache, cache.folder.parent / "in")
    stager.stage()
    stager.check_opened_in_place()
    ruled.write_text("RULES")
    wrong = r"P1-A01-1: its plugins or rules changed while the step ran: run again"
    with pytest.raises(InputError, match=wrong):
        stager.check_opened_in_place()
    with pytest.raises(InputError, match=wrong):
        stage(project, job, cache, "again")
    ruled.unlink()
    with pytest.raises(InputError, match=r"focus\.txt: is not on this machine: put"):
        stage(project, job, cache, "without")


def test_rules_need_not_be_where_a_job_was_planned(
    built: Built, cache: Cache, ruled: Path
) -> None:
    project = built.project()
    ruled.unlink()
    (job, *_) = project.plan("analysis").jobs
    build.write(ruled, "rules")
    stage(project, job, cache)


def test_jobs_share_one_copy_of_a_content(built: Built, cache: Cache) -> None:
    project = built.project()
    first, second, *_ = project.plan("analysis").jobs
    staged = [stage(project, job, cache, job.id) for job in (first, second)]
    mine, others = ([path.stat().st_ino for path in held(of_job)] for of_job in staged)
    assert mine == others


def held(staged: Staged) -> list[Path]:
    """The files that a job's fingerprint covers."""
    assert staged.plugins is not None
    plugins = sorted(staged.plugins.glob("*.py"))
    assert plugins
    return [staged.pipeline, staged.data_file, *plugins]


def test_a_csv_whose_places_are_local_is_not_rewritten(
    built: Built, cache: Cache
) -> None:
    build.change(built.csv, build.MOUNT, str(built.root))
    text = built.csv.read_text().replace(build.MOUNT, str(built.root))
    built.csv.write_text(text)
    project = built.project()
    staged = stage(project, project.plan("analysis").jobs[0], cache)
    assert staged.images == {}
    assert staged.data_file.read_text() == text


def test_a_job_fetches_what_its_group_needs_and_nothing_else(
    remote: Project, built: Built, cache: Cache, s3: S3Server
) -> None:
    (*_, job) = remote.plan("analysis").jobs
    s3.reset_counts()
    staged = stage(remote, job, cache)
    wanted = [
        built.pipeline,
        built.csv,
        built.images / "A02_2.tif",
        built.illum / "P1_IllumDNA.npy",
        built.root / "py/mynuclei.py",
        built.root / "py/helpers.py",
        built.root / "projects/proj/workspace/qc/B1/rules/deep/r.txt",
    ]
    assert staged.fetched == sum(path.stat().st_size for path in wanted)
    assert s3.counts()["get"] == sum(path.stat().st_size > 0 for path in wanted) + 1
    assert staged.pipeline.read_text() == built.pipeline.read_text()
    assert (staged.input / "deep/r.txt").read_text() == "rule"
    assert staged.plugins is not None
    assert (staged.plugins / "mynuclei.py").is_file()


def test_the_csv_keeps_its_rows_places_and_order(
    remote: Project, built: Built, cache: Cache
) -> None:
    (*_, job) = remote.plan("analysis").jobs
    staged = rows(stage(remote, job, cache), cache)
    given = list(csv.DictReader(io.StringIO(built.csv.read_text())))
    found = [{key: row[key] for key in given[0]} for row in staged]
    assert found == given
    *others, mine = staged
    assert opened(mine) == ["image", "function"]
    assert {row["URL_OrigDNA"] for row in others} == {""}


def test_files_that_jobs_share_are_fetched_once(
    remote: Project, cache: Cache, s3: S3Server
) -> None:
    jobs = remote.plan("analysis").jobs
    s3.reset_counts()
    fetched = [stage(remote, j, cache, f"in{n}").fetched for n, j in enumerate(jobs)]
    assert fetched[1:] == [len("image")] * 3
    assert s3.counts()["get"] == 7 + 3


def test_a_project_without_rules_gives_an_empty_folder(
    built: Built, cache: Cache
) -> None:
    build.change(built.toml, "[steps.analysis]", '[steps.analysis]\ninput = "none"')
    project = built.project()
    staged = stage(project, project.plan("analysis").jobs[0], cache)
    assert list(staged.input.iterdir()) == []


def test_rules_from_beside_their_folder_are_copied_to_no_place_beside_the_job_s(
    built: Built, cache: Cache
) -> None:
    rules = {
        "Flag is based on": "Rules",
        "Rules file location": "Default Input Folder|",
        "Rules file name": "../../beside.txt",
    }
    module = build.module("FlagImage", 4, rules)
    built.pipeline.write_text(build.pipeline_text(build.SITE, module))
    project = built.project()
    rules_folder = built.root / project.step("analysis").input
    build.write(rules_folder.parents[1] / "beside.txt", "rule")
    (job, *_) = project.plan("analysis").jobs
    staged = stage(project, job, cache)
    assert not list(cache.folder.parent.rglob("beside.txt"))
    assert (staged.input / "../../beside.txt").read_text() == "rule"


@pytest.mark.parametrize("fault", ["truncate", "reset", "slow_down"])
def test_faults_on_the_way_change_nothing(
    fault: str, remote: Project, cache: Cache, s3: S3Server
) -> None:
    (job, *_) = remote.plan("analysis").jobs
    s3.faults(**{fault: 1.0}, times=3)
    staged = stage(remote, job, cache)
    assert opened(rows(staged, cache)[0]) == ["image", "function"]
    assert sum(s3.injected().values()) == 3


def test_an_image_that_is_gone_is_named_by_its_address(
    remote: Project, s3: S3Server, bucket: str, cache: Cache
) -> None:
    (job, *_) = remote.plan("analysis").jobs
    Storage(f"s3://{bucket}", remote.places.images._access).remove(
        "projects/proj/B1/images/P1/A01_1.tif"
    )
    with pytest.raises(InputError) as caught:
        stage(remote, job, cache)
    place = f"s3://{bucket}/projects/proj/B1/images/P1/A01_1.tif"
    assert str(caught.value) == f"{place}: is not there: put it there"


def test_an_image_that_is_empty_is_bad_input(
    remote: Project, s3: S3Server, bucket: str, cache: Cache
) -> None:
    (job, *_) = remote.plan("analysis").jobs
    s3.put(bucket, "projects/proj/B1/images/P1/A01_1.tif", b"")
    with pytest.raises(InputError) as caught:
        stage(remote, job, cache)
    place = f"s3://{bucket}/projects/proj/B1/images/P1/A01_1.tif"
    row = re.escape("load_data_with_illum.csv:2:FileName_OrigDNA")
    words = rf"is empty \(0 bytes\): copy it again, or drop its row \(.*{row}\)"
    assert re.fullmatch(f"{place}: {words}", str(caught.value))


def test_a_vanished_bucket_is_a_storage_error(
    remote: Project, s3: S3Server, bucket: str, cache: Cache
) -> None:
    (job, *_) = remote.plan("analysis").jobs
    s3.delete(bucket)
    with pytest.raises(StorageError, match="there is no such bucket"):
        stage(remote, job, cache)
    s3.make(bucket)


def test_a_url_that_stands_alone_is_fetched(
    built: Built, s3: S3Server, bucket: str, cache: Cache
) -> None:
    s3.put(bucket, "x/A01.tif", b"from s3")
    text = f"URL_OrigDNA,Metadata_Plate\ns3://{bucket}/x/A01.tif,P1\n"
    build.write(built.root / "only_urls.csv", text)
    build.write(built.root / "any.cppipe", "CellProfiler Pipeline:\n")
    text = built.toml.read_text().partition("[steps.analysis]")[0]
    built.toml.write_text(text + ENDPOINT.format(url=s3.url))
    job = Job(
        step="x",
        group=(("Metadata_Plate", "P1"),),
        pipeline="any.cppipe",
        data_file="only_urls.csv",
        input="none",
        output="out",
    )
    staged = stage(built.project(), job, cache)
    (row,) = rows(staged, cache)
    assert (row["PathName_OrigDNA"], row["FileName_OrigDNA"]) == (
        f"s3://{bucket}/x",
        "A01.tif",
    )
    assert opened(row) == ["from s3"]


def test_a_group_that_is_not_in_the_csv_is_bad_input(
    built: Built, cache: Cache
) -> None:
    project = built.project()
    (job, *_) = project.plan("analysis").jobs
    build.change(built.csv, "P1,A01,1", "P1,A09,1")
    with pytest.raises(InputError, match=r"has no image set of .*Well=A01.*: plan"):
        stage(project, job, cache)


def test_places_of_one_root_are_one(tmp_path: Path) -> None:
    places = Places.single_root(Storage(str(tmp_path)))
    assert places.local


def test_a_message_without_a_base_takes_the_one_of_the_pipeline(
    built: Built, cache: Cache
) -> None:
    images = built.images
    text = built.csv.read_text().replace("PathName_OrigDNA", "Folder")
    built.csv.write_text(text)
    build.change(
        built.pipeline,
        "    Process just",
        f"    Base image location:Elsewhere...|{images}\n    Process just",
    )
    build.write(built.root / "A01_1.tif", "another image of that name")
    project = built.project()
    (job, *_) = project.plan("analysis").jobs
    assert job.image_base == str(images)
    message = Job.from_json(job.to_message() | {"ledger": job.ledger})
    assert message.image_base is None
    assert str(images / "A01_1.tif") in map(str, stage(project, message, cache).files)


def test_of_an_input_folder_with_images_named_files_alone_are_fetched(
    remote: Project, built: Built, cache: Cache, s3: S3Server, bucket: str
) -> None:
    base = "    Base image location:Default Input Folder|\n    Process just"
    text = built.pipeline.read_text().replace("    Process just", base)
    key = str(built.pipeline.relative_to(built.root))
    remote.places.workspace.write(key, text.encode())
    toml = remote.folder / "cpengine.toml"
    folder = "projects/proj/B1/images/P1"
    toml.write_text(
        toml.read_text().replace(
            "[steps.analysis]\n", f'[steps.analysis]\ninput = "{folder}"\n'
        )
    )
    project = Project.load(remote.folder)
    (job, *_) = project.plan("analysis").jobs
    staged = stage(project, job, cache)
    assert [path for path in staged.input.rglob("*") if path.is_file()] == []
