"""UPLOAD_FLAGS: what they say is done with every object, or refused in a line."""

from pathlib import Path
from typing import Any

import pytest

from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.store import Storage
from cpengine.storage.upload_flags import parse
from tests.services.s3.bucket_server import S3Server

OWNER = "--acl bucket-owner-full-control --metadata-directive REPLACE"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", {}),
        (OWNER, {"ACL": "bucket-owner-full-control"}),
        ("--acl=private", {"ACL": "private"}),
        ("--sse", {"ServerSideEncryption": "AES256"}),
        (
            "--sse aws:kms --sse-kms-key-id alias/lab",
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/lab"},
        ),
        ("--storage-class STANDARD_IA", {"StorageClass": "STANDARD_IA"}),
        ("--metadata a=1,b=x=y", {"Metadata": {"a": "1", "b": "x=y"}}),
        (
            "--grants read=id=1 full=emailaddress=a@b.org",
            {"GrantRead": "id=1", "GrantFullControl": "emailaddress=a@b.org"},
        ),
        ("--only-show-errors\n  --no-progress", {}),
    ],
)
def test_options_are_parameters_of_each_object(
    flags: str, expected: dict[str, Any]
) -> None:
    assert parse(flags) == expected


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--acl everybody", "--acl everybody: take one of"),
        ("--acl", "--acl: give it one value"),
        ("--acl private public-read", "--acl: give it one value"),
        ("--storage-class DEEP_ARCHIVE", "take one of .*STANDARD"),
        ("--exclude *.tiff", "--exclude: files are not written so"),
        ("--dryrun", "--dryrun: files are not written so"),
        ("--profile lab", "--profile: set profile in the same section"),
        ("--request-payer requester", "set requester_pays"),
        ("--metadata a", "--metadata a: write NAME=VALUE"),
        ("--grants all=id=1", "--grants all=id=1: grant read, "),
        ("--metadata-directive", "write it as `aws s3 cp` takes it"),
        ("--only-show-errors now", "write it as `aws s3 cp` takes it"),
        ("acl private", "acl: is no option"),
        ("--metadata lab=Zürich", "S3 takes printable ASCII only"),
        ("--content-language \N{GREEK SMALL LETTER ALPHA}", "printable ASCII only"),
        ("--cache-control no\0store", "S3 takes printable ASCII only"),
        ("--metadata a:b=1", "--metadata a:b: write letters, digits, - and _"),
        ("--metadata Lab=1,lab=2", "--metadata lab: is there twice"),
        (f"--metadata a={'x' * 2048}", "--metadata: S3 takes 2048 bytes"),
        ("--grants", "--grants: write it as `aws s3 cp` takes it"),
        ("--grants read=", "--grants read=: write read=id=ID, or uri=URI"),
        ("--grants read=lab", "--grants read=lab: write read=id=ID, or uri=URI"),
        ("--cache-control=", "--cache-control: give it one value"),
        ("--sse aws:kms --sse-kms-key-id=", "--sse-kms-key-id: give it one value"),
        ("--sse-kms-key-id k", "--sse-kms-key-id: is for --sse aws:kms"),
        ("--sse --sse-kms-key-id k", "--sse-kms-key-id: is for --sse aws:kms"),
        ("--acl private --grants read=id=1", "--acl and --grants: S3 takes one"),
    ],
)
def test_what_cannot_be_followed_is_refused(flags: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(flags)


def test_every_object_has_the_acl_and_the_class(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    flags = "--acl public-read --storage-class STANDARD_IA --metadata lab=chen"
    options = S3Options(endpoint=s3.url, upload_flags=flags)
    storage = Storage(f"s3://{bucket}", Access(options))
    result = tmp_path / "Cells.csv"
    result.write_text("a,b\n")
    storage.publish(result, "out/Cells.csv")
    large = tmp_path / "large.tiff"
    large.write_bytes(bytes(101 * 2**20))
    storage.publish(large, "out/large.tiff")
    storage.write("out/page.html", b"<html>")
    assert storage.create("ledger/marker", b"a")
    assert storage.replace("ledger/marker", b"a", b"b")
    keys = ["out/Cells.csv", "out/large.tiff", "out/page.html", "ledger/marker"]
    call = storage._filesystem("out").call_s3
    for key in keys:
        acl = call("get_object_acl", Bucket=bucket, Key=key)
        permissions = {grant["Permission"] for grant in acl["Grants"]}
        assert permissions == {"FULL_CONTROL", "READ"}, key
        found = call("head_object", Bucket=bucket, Key=key)
        assert found["StorageClass"] == "STANDARD_IA"
        assert found["Metadata"] == {"lab": "chen"}
    assert storage.read("ledger/marker") == b"b"
