"""Options of `aws s3 cp` as S3 takes them with each object that is written. Pure."""

import re
from collections.abc import Iterator, Mapping

_PARAMETERS: Mapping[str, str] = {
    "--acl": "ACL",
    "--storage-class": "StorageClass",
    "--sse": "ServerSideEncryption",
    "--sse-kms-key-id": "SSEKMSKeyId",
    "--metadata": "Metadata",
    "--cache-control": "CacheControl",
    "--content-disposition": "ContentDisposition",
    "--content-language": "ContentLanguage",
    "--content-type": "ContentType",
}
_GRANTS: Mapping[str, str] = {
    "read": "GrantRead",
    "readacl": "GrantReadACP",
    "writeacl": "GrantWriteACP",
    "full": "GrantFullControl",
}
_ALLOWED: Mapping[str, frozenset[str]] = {
    "--acl": frozenset(
        {
            *("private", "public-read", "public-read-write", "authenticated-read"),
            *("aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"),
        }
    ),
    "--sse": frozenset({"AES256", "aws:kms", "aws:kms:dsse"}),
    # From others nothing can be read back at once: no result, and no ledger.
    "--storage-class": frozenset(
        {
            *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA"),
            *("INTELLIGENT_TIERING", "GLACIER_IR"),
        }
    ),
}
_NOTHING = frozenset({"--no-guess-mime-type", "--no-progress", "--only-show-errors"})
_NOTHING_WITH_VALUE = frozenset({"--copy-props", "--metadata-directive"})
"""They are for copies from bucket to bucket, or for what is printed."""
_ELSEWHERE: Mapping[str, str] = {
    "--endpoint-url": "endpoint",
    "--no-sign-request": "anonymous",
    "--profile": "profile",
    "--region": "region",
    "--request-payer": "requester_pays",
}
"""Other keys of the same section."""

_KMS = ("aws:kms", "aws:kms:dsse")
_GRANTEE = re.compile(r"(id|uri|emailaddress)=.+")
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+")
"""Of a header, which a key of metadata becomes a part of."""
_MOST_METADATA = 2048
"""Bytes. Source: "Working with object metadata" of Amazon S3's user guide."""

Parameters = dict[str, str | dict[str, str]]


def parse(flags: str) -> Parameters:
    """The parameters of S3's PutObject that options stand for.

    Raises
    ------
    ValueError
        An option is unknown, has no such value, or cannot be followed.
    """
    if not ("".join(flags.split()).isprintable() and flags.isascii()):
        raise ValueError("S3 takes printable ASCII only: remove other characters")
    found: Parameters = {}
    for flag, values in _options(flags):
        if flag == "--grants" and values:
            found |= dict(_grant(value) for value in values)
        elif flag in _PARAMETERS:
            found[_PARAMETERS[flag]] = _value(flag, values)
        elif flag in _ELSEWHERE:
            raise ValueError(f"{flag}: set {_ELSEWHERE[flag]} in the same section")
        elif flag not in _NOTHING | _NOTHING_WITH_VALUE | {"--grants"}:
            raise ValueError(f"{flag}: files are not written so: leave it out")
        elif flag == "--grants" or len(values) != (flag in _NOTHING_WITH_VALUE):
            raise ValueError(f"{flag}: write it as `aws s3 cp` takes it")
    _expect_together(found)
    return found


def _expect_together(found: Parameters) -> None:
    """What S3 does not take with other options, or without."""
    if "ACL" in found and set(_GRANTS.values()).intersection(found):
        raise ValueError("--acl and --grants: S3 takes one of them: leave the other")
    if "SSEKMSKeyId" in found and found.get("ServerSideEncryption") not in _KMS:
        raise ValueError("--sse-kms-key-id: is for --sse aws:kms: give that, too")


def _options(flags: str) -> Iterator[tuple[str, list[str]]]:
    """Each option with its values, as Distributed-CellProfiler cuts them: at blanks."""
    flag, values = "", list[str]()
    for word in flags.split():
        if word.startswith("--"):
            if flag:
                yield flag, values
            flag, equals, value = word.partition("=")
            values = [value] if equals else []
        elif not flag:
            raise ValueError(f"{word}: is no option: begin with one, such as --acl")
        else:
            values.append(word)
    if flag:
        yield flag, values


def _value(flag: str, values: list[str]) -> str | dict[str, str]:
    if flag == "--sse" and not values:
        return "AES256"
    if len(values) != 1 or not values[0]:
        raise ValueError(f"{flag}: give it one value")
    (value,) = values
    allowed = _ALLOWED.get(flag)
    if allowed and value not in allowed:
        raise ValueError(f"{flag} {value}: take one of {', '.join(sorted(allowed))}")
    return _metadata(value) if flag == "--metadata" else value


def _metadata(value: str) -> dict[str, str]:
    found = dict[str, str]()
    for pair in value.split(","):
        name, rest = _pair("--metadata", pair)
        if not _NAME.fullmatch(name):
            raise ValueError(f"--metadata {name}: write letters, digits, - and _")
        if name.lower() in map(str.lower, found):
            raise ValueError(f"--metadata {name}: is there twice: leave one")
        found[name] = rest
    if sum(map(len, [*found, *found.values()])) > _MOST_METADATA:
        raise ValueError(f"--metadata: S3 takes {_MOST_METADATA} bytes: write less")
    return found


def _grant(value: str) -> tuple[str, str]:
    permission, grantee = _pair("--grants", value)
    if permission not in _GRANTS:
        raise ValueError(f"--grants {value}: grant {', '.join(_GRANTS)}")
    if not _GRANTEE.fullmatch(grantee):
        raise ValueError(f"--grants {value}: write {permission}=id=ID, or uri=URI")
    return _GRANTS[permission], grantee


def _pair(flag: str, value: str) -> tuple[str, str]:
    name, equals, rest = value.partition("=")
    if not name or not equals:
        raise ValueError(f"{flag} {value}: write NAME=VALUE")
    return name, rest
