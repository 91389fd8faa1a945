"""Storage: the same promises on local folders, on S3 and on any other fsspec root."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpengine.errors import ConfigError, InputError, StorageError
from cpengine.storage.filesystems import Access, S3Options, s3_arguments
from cpengine.storage.store import Storage
from tests.services.s3.bucket_server import S3Server


def on_s3(server: S3Server, bucket: str, **more: bool) -> Storage:
    return Storage(f"s3://{bucket}", Access(S3Options(endpoint=server.url, **more)))


@pytest.fixture(
    params=["local", pytest.param("s3", marks=pytest.mark.services), "memory"]
)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path))
    if request.param == "memory":
        return Storage(f"memory://{tmp_path.name}")
    server = request.getfixturevalue("s3")
    return on_s3(server, request.getfixturevalue("bucket"))


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b/c.txt", b"text")
    assert storage.read("a/b/c.txt") == b"text"
    assert storage.read_text("a/b/c.txt") == "text"


def test_a_first_line_is_read_without_the_rest(storage: Storage) -> None:
    line = b"x" * 300_000 + b"\r\n"  # more than is asked for at once
    storage.write("a/b.csv", line + b"1,2\r\n" * 1000)
    assert storage.first_line("a/b.csv") == line
    storage.write("a/empty", b"")
    assert storage.first_line("a/empty") == b""
    assert storage.first_line("a/gone") is None


def test_a_file_that_is_not_there_is_bad_input(storage: Storage) -> None:
    storage.write("a/here", b"x")
    assert storage.read_if_there("a/gone") is None
    for ask in (storage.read, storage.version):
        with pytest.raises(InputError, match=r"a/gone: is not there"):
            ask("a/gone")


def test_text_that_is_not_utf8_is_bad_input(storage: Storage) -> None:
    storage.write("a", b"\xff\xfe")
    with pytest.raises(InputError, match=r"is not UTF-8 text \(byte 0\)"):
        storage.read_text("a")


def test_a_folder_has_files_with_sizes_and_folders(storage: Storage) -> None:
    for key, data in (("p/a", b"1"), ("p/b", b"22"), ("p/q/c", b"3"), ("p/r/s/d", b"")):
        storage.write(key, data)
    assert storage.sizes("p") == {"a": 1, "b": 2}
    assert storage.folders("p") == ["q", "r"]
    assert storage.tree("p") == {"a": 1, "b": 2, "q/c": 1, "r/s/d": 0}


def test_a_folder_that_is_not_there_has_nothing(storage: Storage) -> None:
    assert storage.sizes("gone") == {}
    assert storage.folders("gone") == []
    assert storage.tree("gone") == {}
    assert not storage.exists("gone")


def test_of_many_that_create_a_file_one_does(storage: Storage) -> None:
    def create(key: str, number: int) -> tuple[bool, bytes]:
        return storage.create(key, b"%d" % number), storage.read(key)

    for turn in range(30 if storage.is_local() else 3):
        with ThreadPoolExecutor(8) as pool:
            made = [pool.submit(create, f"c{turn}", number) for number in range(8)]
        created, seen = zip(*(future.result() for future in made), strict=True)
        assert created.count(True) == 1
        assert set(seen) == {b"%d" % created.index(True)}


def test_of_many_that_replace_a_file_one_does(storage: Storage) -> None:
    storage.write("key", b"old")

    def replace(number: int) -> bool:
        return storage.replace("key", b"old", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(replace, range(16)))
    assert sum(won) == 1
    assert storage.read("key") == b"%d" % won.index(True)


def test_a_file_that_is_gone_or_another_is_not_replaced(storage: Storage) -> None:
    assert not storage.replace("key", b"old", b"new")
    storage.write("key", b"other")
    assert not storage.replace("key", b"old", b"new")
    assert storage.read("key") == b"other"


def test_a_published_file_is_fetched_whole(storage: Storage, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "made").write_bytes(data)
    storage.publish(tmp_path / "made", "out/P1/made")
    assert storage.fetch("out/P1/made", tmp_path / "fetched") == len(data)
    assert (tmp_path / "fetched").read_bytes() == data


def test_a_version_changes_with_the_file(storage: Storage) -> None:
    storage.write("a", b"1")
    first = storage.version("a")
    assert storage.version("a") == first
    storage.write("a", b"22")
    assert storage.version("a") != first


def test_removing_what_is_gone_is_no_error(storage: Storage) -> None:
    storage.write("a", b"1")
    storage.remove("a")
    storage.remove("a")
    assert storage.read_if_there("a") is None


def test_a_place_that_can_be_written_is_left_as_it_was(storage: Storage) -> None:
    storage.write("out/a", b"1")
    storage.check_writable("out")
    assert storage.tree("out") == {"a": 1}


def test_addresses_and_absolute_paths_stand_for_themselves(storage: Storage) -> None:
    assert storage.url("s3://other/a") == "s3://other/a"
    assert storage.url("/data/a") == "/data/a"
    assert storage.url("a") == f"{storage.root}/a"


def test_a_file_comes_whole_from_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def on_one_disk(source: Path | str, to: str) -> None:
        if not str(source).endswith(".part"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, to)

    monkeypatch.setattr(os, "replace", on_one_disk)
    (tmp_path / "made").write_bytes(b"1")
    storage = Storage(str(tmp_path))
    storage.publish(tmp_path / "made", "out/a")
    assert storage.tree("") == {"out/a": 1}


# What S3 refuses


def no_bucket(server: S3Server) -> Storage:
    return on_s3(server, "no-such-bucket")


@pytest.mark.parametrize(
    "use",
    [
        lambda s, path: s.read("a"),
        lambda s, path: s.sizes("a"),
        lambda s, path: s.fetch("a", path / "a"),
        lambda s, path: s.write("a", b"1"),
        lambda s, path: s.create("a", b"1"),
        lambda s, path: s.check_writable("a"),
    ],
)
def test_a_bucket_that_is_not_there_is_reported(
    use: Callable[[Storage, Path], object], s3: S3Server, tmp_path: Path
) -> None:
    with pytest.raises(StorageError) as caught:
        use(no_bucket(s3), tmp_path)
    assert str(caught.value) == (
        "s3://no-such-bucket: there is no such bucket: check its name, or make it"
    )


def test_a_public_bucket_is_read_without_credentials_and_never_written(
    s3: S3Server,
) -> None:
    s3.make("gallery-read", public=True)
    s3.put("gallery-read", "a", b"1")
    gallery = on_s3(s3, "gallery-read", anonymous=True)
    assert gallery.read("a") == b"1"
    with pytest.raises(StorageError, match=r"\(Access Denied\): check storage.s3"):
        gallery.write("b", b"2")
    s3.delete("gallery-read")


def test_one_bucket_can_be_reached_in_another_way_than_the_rest(
    s3: S3Server, bucket: str
) -> None:
    s3.make("gallery-both", public=True)
    s3.put("gallery-both", "a", b"1")
    anonymous = S3Options(endpoint=s3.url, anonymous=True)
    access = Access(S3Options(endpoint=s3.url), {"gallery-both": anonymous})
    storage = Storage(f"s3://{bucket}", access)
    storage.write("b", b"2")
    assert storage.read("s3://gallery-both/a") + storage.read("b") == b"12"
    s3.delete("gallery-both")


def test_without_credentials_the_setting_to_change_is_named() -> None:
    code = (
        "from cpengine.storage.store import Storage\n"
        "from cpengine.storage.filesystems import Access, S3Options\n"
        "s = Storage('s3://b', Access(S3Options(endpoint='http://127.0.0.1:9')))\n"
        "s.read('a')\n"
    )
    bare = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=bare, capture_output=True, text=True
    )
    last = ran.stderr.strip().splitlines()[-1]
    assert "Unable to locate credentials" in last
    assert "set storage.s3.profile, or anonymous = true for a public bucket" in last


@pytest.mark.services
def test_a_server_that_is_gone_is_reported() -> None:
    access = Access(S3Options(endpoint="http://127.0.0.1:9", anonymous=True))
    with pytest.raises(StorageError, match=r"Could not connect .*: check the network"):
        Storage("s3://bucket", access).read("a")


# Faults on the way


@pytest.mark.parametrize(
    "fault", ["latency_s", "slow_down", "error_500", "reset", "truncate"]
)
def test_passing_faults_are_absorbed(
    fault: str, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    data = os.urandom(200_000)
    storage = on_s3(s3, bucket)
    (tmp_path / "made").write_bytes(data)
    s3.faults(**{fault: 0.3}, seed=4)
    for i in range(6):
        storage.write(f"f/w{i}", data)
        storage.publish(tmp_path / "made", f"f/p{i}")
        assert storage.fetch(f"f/p{i}", tmp_path / "fetched") == len(data)
        assert (tmp_path / "fetched").read_bytes() == data
    assert storage.sizes("f") == dict.fromkeys(
        [f"{kind}{i}" for kind in "pw" for i in range(6)], len(data)
    )


def test_a_body_that_never_comes_whole_is_a_storage_error(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    s3.put(bucket, "a", bytes(100_000))
    s3.faults(truncate=1.0)
    with pytest.raises(StorageError, match=r"a: cannot be fetched .*: check the netw"):
        on_s3(s3, bucket).fetch("a", tmp_path / "a")


def test_a_created_file_whose_answer_was_lost_is_the_writers(
    s3: S3Server, bucket: str
) -> None:
    storage = on_s3(s3, bucket)
    s3.faults(lost=1.0, times=1, only=["put"])
    assert not storage.create("claim", b"me")
    assert storage.read("claim") == b"me"


# Settings


def test_a_replaced_file_whose_answer_was_lost_is_the_writers(
    s3: S3Server, bucket: str
) -> None:
    storage = on_s3(s3, bucket)
    storage.write("turn", b"old")
    s3.faults(lost=1.0, times=1, only=["put"])
    assert storage.replace("turn", b"old", b"me")
    assert storage.read("turn") == b"me"


def test_a_protocol_that_nothing_opens_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nosuch:// is no protocol"):
        Storage("nosuch://b/a")


def test_a_protocol_without_its_package_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs a package that is missing"):
        Storage("gs://b/a")


def test_a_local_root_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage\.images: .* is no folder"):
        Storage(str(tmp_path / "gone"), setting="storage.images")


def test_all_s3_settings_reach_s3fs() -> None:
    options = S3Options("http://x", "lab", "eu-west-1", True, True)
    made = s3_arguments(options)
    assert (made["anon"], made["requester_pays"]) == (True, True)
    assert (made["endpoint_url"], made["profile"]) == ("http://x", "lab")
    assert made["client_kwargs"] == {"region_name": "eu-west-1"}
    assert made["use_listings_cache"] is False


def test_a_file_system_that_tells_case_apart_is_known(tmp_path: Path) -> None:
    folder = tmp_path / "Results"
    folder.mkdir()
    assert not Storage(str(folder)).ignores_case
    assert not Storage("memory://Results").ignores_case


def test_a_file_system_that_ignores_case_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Results"
    folder.mkdir()
    other = str(folder).swapcase()
    storage = Storage(str(folder))
    monkeypatch.setattr(os.path, "exists", lambda path: path in (str(folder), other))
    monkeypatch.setattr(os.path, "samefile", lambda *paths: True)
    assert storage.ignores_case
