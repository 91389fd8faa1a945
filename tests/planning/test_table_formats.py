"""Tables that are compressed or Parquet are planned, staged and derived as CSVs are."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from cpengine.dcp import jobfile
from cpengine.errors import InputError
from cpengine.executors.aws.messages import body
from cpengine.inputs import loaddata
from cpengine.job.stage import Stager
from cpengine.planning.plan import Plan
from cpengine.project import Project
from cpengine.storage.cache import Cache
from tests import build
from tests.build import Built
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]


def compressed(path: Path) -> Path:
    """Put a compressed table in the place of a CSV."""
    to = path.with_name(f"{path.name}.gz")
    to.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return to


def as_parquet(path: Path) -> Path:
    """Put a Parquet table, with sites as numbers, in the place of a CSV."""
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    numbers = {"Metadata_Site": [int(v) for v in columns["Metadata_Site"]]}
    to = path.with_suffix(".parquet")
    parquet.write_table(pa.table(columns | numbers), to)
    path.unlink()
    return to


Change = Callable[[Path], Path]
each_format = pytest.mark.parametrize("change", [compressed, as_parquet])


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build.project(tmp_path / "project")


def jobs(plan: Plan) -> list[tuple[str, str]]:
    return [(job.id, job.fingerprint) for job in plan.jobs]


@each_format
def test_jobs_and_fingerprints_are_those_of_the_csv(
    built: Built, change: Change
) -> None:
    before = jobs(built.project().plan("analysis"))
    there = change(built.csv)
    plan = built.project().plan("analysis")
    assert jobs(plan) == before
    assert {job.data_file.rpartition("/")[2] for job in plan.jobs} == {there.name}
    assert not plan.derived


@each_format
def test_a_csv_counts_before_other_forms_of_it(built: Built, change: Change) -> None:
    text = built.csv.read_text()
    change(built.csv)
    built.csv.write_text(text)
    (job, *_) = built.project().plan("analysis").jobs
    assert job.data_file.endswith("/load_data_with_illum.csv")


@each_format
def test_a_table_with_functions_is_made_of_any_form_of_its_source(
    tmp_path: Path, change: Change
) -> None:
    built = build.project(tmp_path, data_file="load_data.csv")
    text = built.csv.read_text().replace("Illum", "Other")
    built.csv.write_text(text)
    (expected,) = built.project().plan("analysis").derived.values()
    source = change(built.csv)
    project = built.project()
    plan = project.plan("analysis")
    (made,) = plan.derived.values()
    assert (made.header, made.rows) == (expected.header, expected.rows)
    project.write_derived(plan)
    assert built.csv.with_name("load_data_with_illum.csv").is_file()
    assert not Project.load(built.root).plan("analysis").derived
    source.unlink()
    built.csv.write_text(text.replace("A02_1.tif", "A03_1.tif"))
    assert built.project().plan("analysis").derived, "its source has changed"


@each_format
def test_a_table_that_is_named_with_its_ending_is_that_file(
    built: Built, change: Change
) -> None:
    there = change(built.csv)
    name = f'\n[steps.analysis]\ndata_file = "{there.name}"\n'
    built.toml.write_text(built.toml.read_text() + name)
    assert len(built.project().plan("analysis").jobs) == 4
    there.rename(there.with_name("load_data.csv"))
    with pytest.raises(InputError, match=rf"{there.name}: is not there \(its folder"):
        built.project().plan("analysis")


@each_format
def test_a_job_gets_a_csv(built: Built, change: Change, tmp_path: Path) -> None:
    text = built.csv.read_text()
    change(built.csv)
    (tmp_path / "scratch").mkdir()
    project, cache = built.project(), Cache.below(tmp_path / "scratch", 1)
    (job, *_) = project.plan("analysis").jobs
    staged = Stager(job, project.places, cache, tmp_path / "in").stage()
    assert staged.data_file.name == "load_data_with_illum.csv"
    assert staged.data_file.read_text() == text
    assert staged.localised(tmp_path).suffix == ".csv"
    assert len(staged.rows) == 1


@each_format
def test_the_worker_of_dcp_gets_no_job_of_another_table_than_a_csv(
    built: Built, change: Change
) -> None:
    there = change(built.csv)
    (job, *_) = built.project().plan("analysis").jobs
    with pytest.raises(InputError) as caught:
        body(job, plain=True)
    (line,) = str(caught.value).splitlines()
    assert there.name in line
    assert line.endswith("DCP's own worker reads CSVs alone: use worker = 'cpengine'")
    assert body(job)
    with pytest.raises(InputError, match=f"{there.name} is no .csv, .h5 or .txt"):
        jobfile.dump([job])


@each_format
def test_on_s3_a_table_is_read_and_parsed_once(
    built: Built,
    change: Change,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(built.csv)
    s3.upload(bucket, built.root)
    root = f'[storage]\nroot = "s3://{bucket}"\n'
    text = built.toml.read_text().replace("[storage]\n", root)
    endpoint = f'\n[storage.s3]\nendpoint = "{s3.url}"\n'
    build.write(tmp_path / "remote/cpengine.toml", text + endpoint)
    parsed, parse = [], loaddata.parse
    monkeypatch.setattr(
        loaddata, "parse", lambda text, path: parsed.append(path) or parse(text, path)
    )
    s3.reset_counts()
    project = Project.load(tmp_path / "remote")
    first = project.plan("analysis")
    requests = s3.counts(bucket)
    again = Project.load(tmp_path / "remote").plan("analysis")
    assert jobs(first) == jobs(again)
    assert len(parsed) == 1
    assert (s3.counts(bucket) - requests)["get"] == 1, "of the pipeline alone"
