"""Names that are no UTF-8, in folders that are listed."""

import os
from pathlib import Path

import pytest

from cpengine.errors import StorageError
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.store import Storage
from tests import build
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import bucket, s3, s3_server
from tests.unreadable.screen import STEP, WORKSPACE, Screen, program
from tests.unreadable.test_matrix import sane
from tests.unreadable.test_user_files import ALL, LEDGER, OUTPUTS

__all__ = ["bucket", "s3", "s3_server"]

ODD = b"od\xffd\xe4"
FOLDERS = {
    "markers": (f"{LEDGER}/markers", b".done"),
    "markers in form": (f"{LEDGER}/markers", b"~a-b-c-d~4.2.8.1.done"),
    "runs": (f"{LEDGER}/runs", b".json"),
    "logs": (f"{LEDGER}/logs", b".log"),
    "drivers": (f"{LEDGER}/drivers", b".alive"),
    "results of a job": (f"{OUTPUTS}/results/P1-A01", b".csv"),
    "pictures of a job": (f"{OUTPUTS}/results/P1-A01", b"_A01_s1.png"),
    "results": (f"{OUTPUTS}/results", b"-A01/Image.csv"),
    "judged plates": (f"{OUTPUTS}", b"/x_image_quality.csv"),
    "ledgers": (f"{WORKSPACE}/cpengine/B1", b"/markers/x.done"),
    "images": ("projects/proj/B1/images/P1", b".tif"),
    "pipelines": (f"{WORKSPACE}/pipelines/B1", b".cppipe"),
    "plates": (f"{WORKSPACE}/load_data_csv/B1", b"/load_data_other.csv"),
    "montages": (f"{WORKSPACE}/montage/B1/{STEP}/P1", b"/montage.json"),
    "collected": (f"{WORKSPACE}/backend/B1/P1/{STEP}", b".parquet"),
}


@pytest.mark.parametrize("where", FOLDERS)
def test_a_name_that_is_no_utf_8_ends_no_command(project: Screen, where: str) -> None:
    folder, ending = FOLDERS[where]
    path = os.fsencode(project.root / folder) + b"/" + ODD + ending
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(b"{}")
    for command in ALL:
        result = sane(project.call(*command.split()))
        result.stdout.encode()
        result.stderr.encode()
        expected = {"cancel": {2}}.get(command, {0, 1})
        if where != "plates":
            assert result.exit_code in expected, (command, result.output)


NEWER_FILES = (
    "markers/P1-A01~v9-a-b-c-d-e-f~5.0~more.done",
    "markers/P1-A01~a-b-c-d~4.2.8.1.archived",
    "markers/P1-A02~a-b-c-d~4.2.8.1.failed-brandnew",
    "markers/~~.done",
    "markers/P1-A01~~.failed-",
    "markers/.hidden",
    "runs/99990101T000000Z-0000.json",
    "runs/.json",
    "runs/plain",
    "order/abc",
    f"order/{'9' * 250}",
    "turns/P9-A01",
    "claims/x/y",
    "drivers/.alive",
    "drivers/x.paused",
    "things/x",
)
NEWER_FOLDERS = (
    "markers/folder.done",
    "markers/P1-A03~a-b-c-d~4.2.8.1.done",
    "runs/99990101T000001Z-0000.json",
    "drivers/folder.alive",
    "order/8",
)


def test_keys_of_another_version_in_the_ledger_end_no_command(project: Screen) -> None:
    ledger = project.root / LEDGER
    for name in NEWER_FILES:
        build.write(ledger / name, "{}")
    for name in NEWER_FOLDERS:
        (ledger / name).mkdir(parents=True)
    for command in ALL:
        result = sane(project.call(*command.split()))
        expected = {"cancel": {2}}.get(command, {0, 1})
        assert result.exit_code in expected, (command, result.output)


NAMES_ODDLY = """
if well == "A01":
    open(bytes(out) + b"/od\\xffd.csv", "w").write("1")
"""


@pytest.fixture(params=["local", "s3"])
def published(
    request: pytest.FixtureRequest, project: Screen, tmp_path: Path
) -> Screen:
    """The plate, which publishes to a local disk or to S3."""
    if request.param == "local":
        return project
    server, name = (request.getfixturevalue(what) for what in ("s3", "bucket"))
    server.upload(name, project.root / "projects", "projects/")
    text = (project.root / "cpengine.toml").read_text()
    text = text.replace("[storage]\n", f'[storage]\nroot = "s3://{name}"\n')
    text += f'\n[storage.s3]\nendpoint = "{server.url}"\n'
    build.write(tmp_path / "remote/cpengine.toml", text)
    return Screen(tmp_path / "remote")


def test_a_job_whose_results_have_such_a_name_fails_alone(
    published: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = program(tmp_path, NAMES_ODDLY)
    monkeypatch.setenv("CPENGINE_CELLPROFILER", str(stand_in))
    result = sane(published.call("run", STEP, "--force"))
    assert result.exit_code == 1, result.output
    assert "1 of 3 jobs done, 2 failed" in result.output
    assert "has a name that is no UTF-8" in result.output


def test_a_name_that_no_object_can_have_is_refused(s3: S3Server, bucket: str) -> None:
    storage = Storage(f"s3://{bucket}", Access(S3Options(endpoint=s3.url)))
    with pytest.raises(StorageError, match="give it a name that is UTF-8"):
        storage.read(f"a/{os.fsdecode(ODD)}")
