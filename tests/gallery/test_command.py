"""`cpengine gallery check`: of a folder, a public bucket, a project's own folder."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.gallery import check
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.store import Storage
from tests.cli.test_cli import call
from tests.gallery import sound_tree
from tests.gallery.sound_tree import ANALYSIS, PROJECT, SOURCE, TABLES
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import s3_server

__all__ = ["s3_server"]

BASE = f"{PROJECT}/{SOURCE}"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound data set; the working folder has no project."""
    monkeypatch.chdir(tmp_path)
    return sound_tree.write(tmp_path / "data")


@pytest.fixture
def public(
    source: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The same in a bucket that refuses signed requests."""
    for variable in [v for v in os.environ if v.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    name = f"gallery-{secrets.token_hex(4)}"
    s3_server.make(name, public=True)
    s3_server.upload(name, source, f"{BASE}/")
    s3_server.reset_counts()
    yield name
    s3_server.delete(name)


def test_a_sound_folder_ends_well(source: Path) -> None:
    result = call("gallery", "check", source)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{source}: nothing found\n"
    os.chdir(source)
    assert call("gallery", "check", ".", "--strict").exit_code == 0


def test_breaches_are_shown_as_findings_of_the_check_are(source: Path) -> None:
    (source / "images/.DS_Store").write_text("x")
    result = call("gallery", "check", source)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"  warning {source}/images/.DS_Store [gallery-stray-file]",
        "    lies where folders are alone",
        "    what to do: remove it, or move it to where it belongs",
        f"{source}: 1 warning",
    ]
    assert "cpengine explain RULE, such as gallery-stray-file" in result.stderr
    assert call("gallery", "check", source, "--strict").exit_code == 2


def test_errors_are_an_exit_code_and_json(source: Path) -> None:
    (source / TABLES / "BR1/load_data.csv").unlink()
    result = call("gallery", "check", source, "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert found["place"] == str(source)
    (finding,) = found["findings"]
    assert finding["rule"] == "gallery-table-missing"
    assert finding["place"] == f"{source}/{TABLES}/BR1/load_data.csv"


def test_a_project_is_checked_in_its_own_folder(source: Path) -> None:
    root = source.parent.parent
    text = (
        f'[project]\nname = "{PROJECT}"\nbatch = "{sound_tree.BATCH}"\n'
        f'[storage]\nlayout = "cpg"\nsource = "{SOURCE}"\n'
    )
    (root / "cpengine.toml").write_text(text)
    assert call("gallery", "check", "-C", root).stdout == f"{source}: nothing found\n"
    (source / TABLES / "BR1/load_data.csv").unlink()
    assert call("gallery", "check", "-C", root).exit_code == 2
    (root / "cpengine.toml").write_text(
        f'{text}[check]\ngallery-table-missing = "off"\n'
    )
    assert call("gallery", "check", "-C", root).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], "nowhere is no folder: make it, or name another"),
        (["data"], "is neither a project (cpg and a number) nor a source"),
        (["-C", "other"], "storage.layout: is not that of the Cell Painting Gallery"),
        ([f"data/{BASE}", "--batch", "B7"], "has no batch B7: correct --batch"),
    ],
)
def test_what_is_wrong_with_the_place_is_one_line(
    source: Path, arguments: list[str], line: str
) -> None:
    assert source.is_dir()
    project = '[project]\nname = "p"\nbatch = "b"\n'
    Path("other").mkdir()
    Path("other/cpengine.toml").write_text(project)
    result = call("gallery", "check", *arguments)
    assert result.exit_code == 2
    (shown,) = result.stderr.splitlines()
    assert line in shown


def test_a_public_bucket_is_checked_without_credentials(public: str) -> None:
    place = f"s3://{public}/{BASE}"
    result = call("gallery", "check", place, "--anonymous", "--batch", sound_tree.BATCH)
    assert (result.exit_code, result.stdout) == (0, f"{place}: nothing found\n")


def test_a_public_bucket_takes_a_listing_a_folder_and_a_request_a_table(
    public: str, s3_server: S3Server
) -> None:
    names = [
        f"BR1-C{number % 24 + 1:02}-{number}/{table}.csv"
        for number in range(300)
        for table in ("Image", "Cells", "Nuclei", "Experiment")
    ]
    folder = f"{BASE}/{ANALYSIS}/BR1/analysis/"
    s3_server.fill(public, names, prefix=folder, text="ImageNumber\n1\n")
    s3_server.reset_counts()
    access = Access(S3Options(anonymous=True, endpoint=s3_server.url))
    assert list(check(Storage(f"s3://{public}/{BASE}", access))) == []
    counts = s3_server.counts(public)
    plates, tables, metadata = 2, 4, 2
    assert counts["get"] == tables + metadata
    assert counts["list"] <= 16 + 2 * plates + len(names) // 1000
    assert counts["head"] == 0


def test_a_large_table_is_read_by_its_first_rows_alone(
    public: str, s3_server: S3Server
) -> None:
    plain = f"{BASE}/{TABLES}/BR1/load_data.csv"
    data = s3_server.objects(public, plain)[plain]
    header, *rows = data.splitlines(keepends=True)
    s3_server.put(public, plain, header + b"".join(rows) * 20_000)
    s3_server.reset_counts()
    access = Access(S3Options(anonymous=True, endpoint=s3_server.url))
    assert list(check(Storage(f"s3://{public}/{BASE}", access))) == []
    assert s3_server.traffic(public)["received"] < 2 * 2**20
