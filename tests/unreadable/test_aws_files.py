"""What a run on AWS has written down, damaged: names and tags, or sending anew, do."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from cpengine.executors.aws.entry import AwsEntry
from cpengine.executors.aws.outbox import Sent
from cpengine.executors.aws.queue import MessageCounts, Queue
from cpengine.executors.aws.record import AwsRecord
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job
from cpengine.storage.store import Storage
from tests.unreadable.damage import ANY, JSON, NEWER

KINDS = {**ANY, **JSON}
JOBS = [Job("s", (("Metadata_Plate", name),), "p", "d", "i", "o") for name in "ABC"]


class _Queue:
    """A queue that lives on, with messages in it."""

    name = "q"

    def attributes(self) -> dict[str, str]:
        return {"CreatedTimestamp": "1"}

    def counts(self) -> MessageCounts:
        return MessageCounts(1, 0, 0)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def record(storage: Storage, tmp_path: Path) -> Path:
    AwsRecord(storage, "ledger", "app", made=[["queue", "q"]]).write()
    return tmp_path / "ledger/aws.json"


def sent(storage: Storage) -> Sent:
    return Sent.open(Ledger(storage, "ledger"), cast("Queue", _Queue()))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"wrong types inside"}))
def test_a_damaged_record_is_named_with_what_takes_down_without_it(
    storage: Storage, record: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    record.write_bytes(KINDS[kind](record.read_bytes()))
    assert AwsRecord.read(storage, "ledger") is None
    (line,) = caplog.messages
    assert line.startswith(f"{record}: is damaged (")
    assert "cpengine aws down" in line
    assert AwsEntry("aws").goes_on_alone(Ledger(storage, "ledger"))  # who knows


@pytest.mark.parametrize("kind", NEWER)
def test_a_record_of_another_version_is_read(
    storage: Storage, record: Path, kind: str
) -> None:
    data: dict[str, Any] = json.loads(NEWER[kind](record.read_bytes()))
    del data["log_group"]
    record.write_text(json.dumps(data))
    found = AwsRecord.read(storage, "ledger")
    assert found is not None
    assert (found.app, found.made) == ("app", [["queue", "q"]])


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"a list", "no keys"}))
def test_jobs_of_a_damaged_list_are_sent_again_and_others_are_not(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    account = sent(storage)
    account.add(JOBS[:2])
    account.add(JOBS[2:])
    path = min((tmp_path / "ledger/sent").iterdir())
    data = path.read_bytes()
    if kind in ("wrong types", "wrong types inside", "endless numbers"):
        data = b'{"a": {"b": 1}, "c": 1}'
    path.write_bytes(
        KINDS[kind](data) if kind != "half a character" else b'["\\ud800"]'
    )
    again = sent(storage)
    assert [again.has(job) for job in JOBS] == [False, False, True]
    (line,) = caplog.messages
    assert line.startswith(f"{path}: is damaged (")
