"""The S3 server for tests: it is S3 where tests rely on it, and fails on command."""

import http.client
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.services.s3.bucket_server import HOST, ROOT, S3Server
from tests.services.s3.front import SIGNED

HEADERS = {"Authorization": SIGNED}
NUMBERS = itertools.count()
Asked = tuple[int, bytes]


@pytest.fixture(scope="module")
def started() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def server(started: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server without faults and counts, and the environment for its clients."""
    for name, value in started.environ.items():
        monkeypatch.setenv(name, value)
    started.faults()
    started.reset_counts()
    return started


@pytest.fixture
def bucket(server: S3Server) -> str:
    name = f"bucket-{next(NUMBERS)}"
    server.make(name)
    return name


@pytest.fixture
def public(server: S3Server) -> str:
    name = f"public-{next(NUMBERS)}"
    server.make(name, public=True)
    server.put(name, "a/b", b"data")
    return name


def _files(server: S3Server, **options: Any) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        endpoint_url=server.url,
        skip_instance_cache=True,
        use_listings_cache=False,
        **options,
    )


def _client(server: S3Server) -> Any:
    """A client that tries everything once."""
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=server.url, config=config)


@pytest.fixture
def connection(server: S3Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    yield connection
    connection.close()


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
) -> Asked:
    connection.request(method, path, body, HEADERS)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _wait(until: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def test_nothing_is_stored_of_what_a_client_that_died_has_sent(
    server: S3Server, bucket: str
) -> None:
    head = f"PUT /{bucket}/a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n"
    signed = f"Authorization: {SIGNED}\r\n\r\n"
    for sent in (b"", bytes(999)):
        with socket.create_connection((HOST, server.port)) as client:
            client.sendall(f"{head}{signed}".encode() + sent)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""  # the server has hung up
    assert server.objects(bucket) == {}


def test_one_connection_serves_many_requests(
    connection: http.client.HTTPConnection, bucket: str
) -> None:
    connection.connect()
    first = connection.sock
    assert _ask(connection, "PUT", f"/{bucket}/a", b"data") == (200, b"")
    assert _ask(connection, "HEAD", f"/{bucket}/a") == (200, b"")
    assert _ask(connection, "GET", f"/{bucket}/a") == (200, b"data")
    assert _ask(connection, "DELETE", f"/{bucket}/a") == (204, b"")
    assert _ask(connection, "GET", f"/{bucket}/a")[0] == 404
    assert connection.sock is first


def test_a_refused_body_is_not_taken_for_the_next_request(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str
) -> None:
    connection.connect()
    first = connection.sock
    server.faults(slow_down=1, times=1)
    body = b"GET / HTTP/1.1\r\n\r\n" * 10_000
    assert _ask(connection, "PUT", f"/{bucket}/a", body)[0] == 503
    assert _ask(connection, "PUT", f"/{bucket}/a", body)[0] == 200
    assert connection.sock is first
    assert server.objects(bucket) == {"a": body}


def test_a_body_may_come_in_chunks(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str
) -> None:
    parts = [b"x" * 70_000, b"y" * 3]
    assert _ask(connection, "PUT", f"/{bucket}/a", iter(parts))[0] == 200
    assert _ask(connection, "GET", f"/{bucket}/a") == (200, b"".join(parts))


TRAILER = {
    "Content-Encoding": "aws-chunked",
    "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "X-Amz-Decoded-Content-Length": "4",
    "X-Amz-Trailer": "x-amz-checksum-crc32",
}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_come_with_a_trailing_checksum(
    connection: http.client.HTTPConnection, bucket: str, chunked: bool
) -> None:
    # As botocore sends bodies over HTTPS; over HTTP the checksum is in a header.
    body: Any = b"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfPzYw==\r\n\r\n"
    body = iter([body]) if chunked else body
    connection.request("PUT", f"/{bucket}/a", body, HEADERS | TRAILER)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert _ask(connection, "GET", f"/{bucket}/a") == (200, b"data")


def test_a_reset_request_is_not_carried_out(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str
) -> None:
    server.faults(reset=1)
    with pytest.raises(ConnectionResetError) as failed:
        _ask(connection, "PUT", f"/{bucket}/a", b"data")
    # http.client calls the mere end of a connection by a name derived from this one.
    assert failed.type is ConnectionResetError
    assert server.objects(bucket) == {}
    assert server.injected(bucket) == {"reset": 1}


def test_a_lost_answer_is_to_a_request_that_was_carried_out(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str
) -> None:
    server.faults(lost=1)
    with pytest.raises(ConnectionResetError):
        _ask(connection, "PUT", f"/{bucket}/a", b"data")
    assert server.objects(bucket) == {"a": b"data"}


def test_a_truncated_object_is_half_of_what_was_promised(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str
) -> None:
    server.put(bucket, "a", b"x" * 100_000)
    server.faults(truncate=1)
    assert _ask(connection, "HEAD", f"/{bucket}/a") == (200, b"")
    with pytest.raises(http.client.IncompleteRead) as read:
        _ask(connection, "GET", f"/{bucket}/a")
    assert (len(read.value.partial), read.value.expected) == (50_000, 50_000)
    assert server.injected(bucket) == {"truncate": 1}


@pytest.mark.parametrize(
    ("fault", "status", "code", "message"),
    [
        ("slow_down", 503, "SlowDown", "Please reduce your request rate."),
        ("error_500", 500, "InternalError", "We encountered an internal error."),
    ],
)
def test_a_refusal_is_worded_as_s3_words_it(
    server: S3Server, bucket: str, fault: str, status: int, code: str, message: str
) -> None:
    server.faults(**{fault: 1})
    with pytest.raises(ClientError) as refused:
        _client(server).put_object(Bucket=bucket, Key="a", Body=b"data")
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["Error"]["Code"] == code
    assert response["Error"]["Message"].startswith(message)
    assert server.objects(bucket) == {}


def test_slow_answers_do_not_wait_for_one_another(
    server: S3Server, bucket: str
) -> None:
    server.faults(latency_s=1)

    def ask(_: int) -> int:
        connection = http.client.HTTPConnection(HOST, server.port)
        status = _ask(connection, "GET", f"/{bucket}/a")[0]
        connection.close()
        return status

    begin = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, range(16))) == {404}
    assert 0.5 < time.monotonic() - begin < 4  # one after another they take 8 s


def _statuses(connection: http.client.HTTPConnection, path: str, count: int) -> str:
    return " ".join(str(_ask(connection, "GET", path)[0]) for _ in range(count))


def test_the_same_seed_gives_the_same_faults(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str
) -> None:
    seen = []
    for seed in (1, 1, 2):
        server.faults(slow_down=0.5, seed=seed)
        seen.append(_statuses(connection, f"/{bucket}/a", 20))
    assert seen[0] == seen[1] != seen[2]
    assert {"404", "503"} == set(seen[0].split())


def test_faults_strike_only_what_they_are_meant_for(
    server: S3Server, connection: http.client.HTTPConnection, bucket: str, public: str
) -> None:
    server.faults(error_500=1, only=["get"], bucket=bucket, times=2)
    assert _ask(connection, "HEAD", f"/{bucket}/a")[0] == 404
    assert _ask(connection, "GET", f"/{public}/a")[0] == 403
    assert _statuses(connection, f"/{bucket}/a", 3) == "500 500 404"
    assert server.injected() == {"error_500": 2}


def test_a_misspelt_fault_is_an_error(server: S3Server) -> None:
    with pytest.raises(TypeError):
        server.faults(resets=1)
    with pytest.raises(ValueError, match="gets"):
        server.faults(reset=1, only=["gets"])


def test_requests_are_counted_by_operation(
    server: S3Server, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"data")
    files = _files(server)
    files.put_file(tmp_path / "a", f"{bucket}/f/a")
    assert files.ls(f"{bucket}/f", detail=False) == [f"{bucket}/f/a"]
    assert files.info(f"{bucket}/f/a")["size"] == 4
    files.get_file(f"{bucket}/f/a", tmp_path / "b")
    assert files.find(f"{bucket}/f") == [f"{bucket}/f/a"]
    assert server.counts(bucket) == Counter(put=1, list=2, head=1, get=1)
    assert (tmp_path / "b").read_bytes() == b"data"

    files.rm(f"{bucket}/f/a")
    assert server.counts()["delete"] == 1
    assert server.objects(bucket) == {}


def test_traffic_is_counted(server: S3Server, bucket: str) -> None:
    client = _client(server)
    client.put_object(Bucket=bucket, Key="a", Body=b"x" * 100)
    for _ in range(3):
        client.get_object(Bucket=bucket, Key="a")["Body"].read()
    assert server.traffic(bucket) == Counter(sent=100, received=300)


def test_the_tests_own_access_meets_no_faults_and_is_not_counted(
    server: S3Server, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    server.faults(reset=1)
    server.upload(bucket, tmp_path, "to/")
    assert server.objects(bucket, "to/f") == {"to/f/a": b"a"}
    assert server.objects(bucket) == {"to/f/a": b"a", "to/b": b"b"}
    assert server.counts() == Counter()


def test_anyone_may_read_a_public_bucket(server: S3Server, public: str) -> None:
    files = _files(server, anon=True)
    assert files.find(public) == [f"{public}/a/b"]
    assert files.info(f"{public}/a/b")["size"] == 4
    assert files.cat_file(f"{public}/a/b") == b"data"


def test_a_public_bucket_refuses_writing_and_signed_requests(
    server: S3Server, public: str
) -> None:
    for act in (
        lambda: _files(server, anon=True).pipe_file(f"{public}/c", b""),
        lambda: _files(server, anon=True).rm_file(f"{public}/a/b"),
        lambda: _files(server).cat_file(f"{public}/a/b"),
        lambda: _files(server).ls(public),
        lambda: _files(server).pipe_file(f"{public}/c", b""),
    ):
        with pytest.raises(PermissionError):
            act()
    assert server.objects(public) == {"a/b": b"data"}


def test_a_presigned_request_is_a_signed_one(
    server: S3Server,
    connection: http.client.HTTPConnection,
    bucket: str,
    public: str,
) -> None:
    config = Config(signature_version="s3v4")
    client = boto3.client("s3", endpoint_url=server.url, config=config)
    server.put(bucket, "a/b", b"data")
    answers = []
    for name in (bucket, public):
        named = {"Bucket": name, "Key": "a/b"}
        url = client.generate_presigned_url("get_object", Params=named)
        connection.request("GET", url.removeprefix(server.url))
        answer = connection.getresponse()
        answers.append((answer.status, answer.read() == b"data"))
    assert answers == [(200, True), (403, False)]


def test_other_buckets_refuse_the_anonymous(server: S3Server, bucket: str) -> None:
    files = _files(server, anon=True)
    server.put(bucket, "a", b"data")
    for act in (files.cat_file, files.info, files.rm_file):
        with pytest.raises(PermissionError):
            act(f"{bucket}/a")
    with pytest.raises(PermissionError):
        files.ls(bucket)
    assert server.objects(bucket) == {"a": b"data"}


def test_one_of_many_creates_an_object(server: S3Server, bucket: str) -> None:
    def create(number: int) -> int:
        try:
            files.pipe_file(f"{bucket}/a", b"%d" % number, mode="create")
        except FileExistsError:
            return 0
        return 1

    files = _files(server)
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(create, range(20))) == 1
    with pytest.raises(FileExistsError):
        files.pipe_file(f"{bucket}/a", b"late", mode="create")
    assert server.objects(bucket)["a"] != b"late"


def test_an_object_of_many_parts_comes_back_whole(
    server: S3Server, bucket: str, tmp_path: Path
) -> None:
    data = random.Random(0).randbytes(12 * 2**20)
    (tmp_path / "a").write_bytes(data)
    part = 5 * 2**20
    parts = TransferConfig(multipart_threshold=part, multipart_chunksize=part)
    client = _client(server)
    client.upload_file(str(tmp_path / "a"), bucket, "a", Config=parts)
    assert server.counts(bucket) == Counter(put=5)  # 3 parts, their begin and end
    client.download_file(bucket, "a", str(tmp_path / "b"), Config=parts)
    assert (tmp_path / "b").read_bytes() == data


def test_a_vanished_bucket_is_no_bucket(server: S3Server, bucket: str) -> None:
    server.put(bucket, "a", b"data")
    server.delete(bucket)
    files = _files(server)
    with pytest.raises(FileNotFoundError, match="bucket does not exist"):
        files.pipe_file(f"{bucket}/a", b"data")
    with pytest.raises(FileNotFoundError, match="bucket does not exist"):
        files.ls(bucket)
    server.make(bucket)
    assert server.objects(bucket) == {}


def test_many_objects_are_all_listed(server: S3Server, bucket: str) -> None:
    pattern = "x{:05d}~f~4.2.8.1.done"
    assert server.fill(bucket, prefix="l/", pattern=pattern, count=10_000) == 10_000
    assert server.fill(bucket, ["other", "l.done"], text="{}") == 2
    found = _files(server).find(f"{bucket}/l")
    assert found == [f"{bucket}/l/{pattern.format(i)}" for i in range(10_000)]
    assert server.counts(bucket) == Counter(list=10)


def _listed(client: Any, version: str, **options: Any) -> list[str]:
    names: list[str] = []
    for page in client.get_paginator(version).paginate(**options):
        names += [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
        names += [entry["Key"] for entry in page.get("Contents", ())]
    return sorted(names)


@pytest.mark.parametrize("delimiter", ["", "/", "~f"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/é", "none"])
def test_a_listing_in_pages_is_the_listing_that_moto_makes(
    server: S3Server, bucket: str, prefix: str, delimiter: str
) -> None:
    draw = random.Random(0)
    letters = ["a", "b", "/", "~f", "é"]
    names = {"".join(draw.choices(letters, k=draw.randint(1, 6))) for _ in range(300)}
    server.fill(bucket, (name for name in names if not name.startswith("/")))
    client = _client(server)
    what = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
    # moto's own listing is the older version's, which is asked for in one page.
    whole = _listed(client, "list_objects", **what)
    sizes: list[dict[str, Any]] = [{}, {"PaginationConfig": {"PageSize": 3}}]
    for size in sizes:
        assert _listed(client, "list_objects_v2", **what, **size) == whole


def test_a_listing_knows_what_came_and_went(server: S3Server, bucket: str) -> None:
    files = _files(server)

    def listed() -> dict[str, int]:
        return {entry["Key"]: entry["size"] for entry in files.ls(bucket, True)}

    for name in ("c", "a"):
        files.pipe_file(f"{bucket}/{name}", b"")
    assert listed() == {f"{bucket}/a": 0, f"{bucket}/c": 0}
    files.pipe_file(f"{bucket}/b", b"")
    assert listed() == {f"{bucket}/a": 0, f"{bucket}/b": 0, f"{bucket}/c": 0}
    files.rm_file(f"{bucket}/a")
    files.pipe_file(f"{bucket}/b", b"longer")
    assert listed() == {f"{bucket}/b": 6, f"{bucket}/c": 0}


STARTER = """
import time
from tests.services.s3.bucket_server import S3Server

server = S3Server()
server.start()
print(server.port, flush=True)
time.sleep(600)
"""


def test_the_server_ends_with_its_parent() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout
        port = int(starter.stdout.readline())
        assert _answers(port)
        starter.kill()
    _wait(lambda: not _answers(port))


def test_a_killed_server_serves_its_port_again() -> None:
    with S3Server() as server:
        server.make("bucket")
        port = server.port
        server.kill()
        assert not _answers(port)
        server.start()
        assert server.port == port
        server.make("bucket")  # all was lost
        os.kill(server.pid, signal.SIGTERM)
        _wait(lambda: not _answers(port))
