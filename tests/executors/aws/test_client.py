"""boto3's clients as the code has them: typed, and with errors of our own."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import PaginationError

from cpengine.executors.aws.client import Aws, AwsError, items

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_a_call_that_botocore_refuses_is_one_line_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    aws = Aws("us-east-1")
    with pytest.raises(AwsError) as refused:
        aws.sqs.get_queue_url()  # type: ignore[call-arg]  # so that it is refused
    (line,) = str(refused.value).splitlines()
    assert line.startswith("sqs get_queue_url: Parameter validation failed")
    assert aws.sqs is aws.sqs


def test_a_listing_without_an_end_is_one_line() -> None:
    def pages() -> Iterator[dict[str, list[int]]]:
        yield {"Fleets": [1, 2]}
        raise PaginationError(message="the same next token was received twice")

    found = items(pages(), lambda page: page.get("Fleets", ()))
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(AwsError, match="the same next token"):
        next(found)


def test_types_of_boto3_are_not_left_out() -> None:
    mypy = tomllib.loads(PYPROJECT.read_text())["tool"]["mypy"]
    left_out = [name for override in mypy["overrides"] for name in override["module"]]
    assert not [name for name in left_out if name.startswith(("boto", "types_boto"))]
