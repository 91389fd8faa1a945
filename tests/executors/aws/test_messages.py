"""Messages are Distributed-CellProfiler's, and no larger than SQS takes."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from cpengine.errors import InputError
from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.messages import MOST_BYTES, body, cut, read
from cpengine.executors.aws.queue import Queue
from cpengine.model import Job
from cpengine.testing import jobs
from tests.executors.aws.hostile_messages import BROKEN, many

JOB = replace(
    jobs("A")[0],
    output_structure="Metadata_Plate/analysis",
    timeout_s=60.0,
    memory_gb=2.5,
    earlier=("A~f~4.2.8.1.failed-crash",),
)


def test_a_plain_message_has_dcps_keys_and_no_other() -> None:
    assert json.loads(body(JOB, plain=True)) == JOB.to_message()
    assert set(JOB.to_message()) == {
        "Metadata",
        "pipeline",
        "output",
        "input",
        "data_file",
        "output_structure",
    }


def test_ours_has_them_too_and_is_read_as_it_was_sent() -> None:
    text = body(JOB, 2)
    assert JOB.to_message().items() <= json.loads(text).items()
    assert read(text) == (JOB, 2)


def test_no_field_of_a_job_is_lost_on_the_way() -> None:
    texts = ("ledger", "fingerprint", "fingerprint_v1", "inputs", "plugins")
    texts += ("input_contents",)
    job = replace(
        JOB,
        **{name: "text" for name in texts},
        image_base="images",
        image_sets=2,
        stall_s=3.0,
        share=4,
        lost=3,
        run=5,
        whole_table=True,
        mixed=True,
        shared=True,
        exact_check="always",
        older_records=True,
    )
    kinds = Job.__dataclass_fields__.values()
    assert [f.name for f in kinds if getattr(job, f.name) == f.default] == []
    assert read(body(job)) == (job, 1)


def test_a_message_is_no_larger_than_sqs_takes() -> None:
    fits = replace(JOB, earlier=("x" * 250,) * 1000)
    assert len(body(fits)) < MOST_BYTES
    with pytest.raises(InputError, match=r"^test A: its message has more than 262144"):
        body(replace(JOB, earlier=("x" * 250,) * 1100))


def test_a_job_that_our_worker_would_refuse_is_not_sent() -> None:
    with pytest.raises(InputError, match="below the bucket"):
        body(replace(JOB, pipeline="s3://other/any.cppipe"))


class _Account:
    """Takes some entries of a batch and refuses others, as SQS may."""

    def __init__(self, *refused: set[str], sender: bool = False) -> None:
        self.refused = list(refused)
        self.sender = sender
        self.sent: list[list[str]] = []

    @property
    def sqs(self) -> "_Account":
        return self

    def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
        entries = arguments["Entries"]
        assert len(entries) <= 10
        assert sum(len(e["MessageBody"].encode()) for e in entries) <= MOST_BYTES
        refused = self.refused.pop(0) if self.refused else set()
        accepted = [e["MessageBody"] for e in entries if e["Id"] not in refused]
        self.sent.append(accepted)
        failed = [
            {"Id": e["Id"], "SenderFault": self.sender, "Code": "Busy"}
            for e in entries
            if e["Id"] in refused
        ]
        return {"Failed": failed}


def _queue(account: _Account) -> Queue:
    return Queue(account, "https://queue")  # type: ignore[arg-type]  # its one method


def test_messages_that_sqs_did_not_take_are_sent_again_and_no_others() -> None:
    account = _Account({"1", "3"}, {"3"})
    bodies = [str(number) for number in range(5)]
    assert sum(_queue(account).send(bodies)) == 5
    assert account.sent == [["0", "2", "4"], ["1"], ["3"]]


def test_a_message_that_sqs_will_never_take_ends_it() -> None:
    account = _Account({"1"}, sender=True)
    with pytest.raises(AwsError, match="sqs send_message_batch: Busy"):
        list(_queue(account).send(["0", "1"]))
    assert len(account.sent) == 1


@pytest.mark.parametrize("number", [80, 81, 800, 3456])
def test_every_message_is_sent_once_however_many_rounds_it_takes(number: int) -> None:
    account = _Account()
    bodies = [str(index) for index in range(number)]
    assert sum(_queue(account).send(bodies)) == number
    sent = [body for batch in account.sent for body in batch]
    assert sorted(sent, key=int) == bodies


def test_a_call_takes_ten_messages_and_no_more_bytes_than_allowed() -> None:
    account = _Account()
    bodies = ["x" * 100_000] * 5 + ["y"] * 23
    assert sum(_queue(account).send(bodies)) == 28
    assert sorted(map(len, account.sent)) == [2, 2, 4, 10, 10]


def test_reading_gives_a_job_for_each_form_of_metadata() -> None:
    plain: dict[str, Any] = JOB.to_message()
    plain["Metadata"] = {"Metadata_Plate": "A"}
    job, attempt = read(json.dumps(plain))
    assert isinstance(job, Job)
    assert (job.group, attempt) == (JOB.group, 1)


def test_what_dcps_own_client_sends_goes_where_dcp_puts_it_or_is_refused() -> None:
    message = JOB.to_message() | {"output": "out/", "output_structure": "x//y/./"}
    job, _ = read(json.dumps(message))
    assert job.destination == "out/x/y"
    assert job.to_message()["output_structure"] == "x/y"
    plate = {"Metadata_Plate": "Metadata_Well", "Metadata_Well": "A01"}
    structure = {"output_structure": "Metadata_Plate/Metadata_Well"}
    for wrong in ({"Metadata": plate} | structure, {"output_structure": "./"}):
        with pytest.raises(InputError, match="message with output_structure"):
            read(json.dumps(message | wrong))


@pytest.mark.parametrize("group", ["A", [["A"]], [["A", 1]], [["A", "1", "2"]], {}])
def test_pairs_of_another_form_are_refused(group: Any) -> None:
    with pytest.raises(InputError, match=r"^message with group "):
        read(json.dumps(JOB.to_json() | {"group": group}))


@pytest.mark.parametrize(
    "changes",
    [{"image_base": ["a"]}, {"whole_table": "false"}, {"mixed": 1}, {"shared": 0}],
)
def test_keys_of_other_types_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        read(json.dumps(JOB.to_json() | changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"group": (("Metadata_Plate", "A 1"),)}, "has a blank, at which DCP's own"),
        ({"whole_table": True}, "takes a whole table, and DCP's own worker knows"),
        (
            {"group": (("Metadata_Plate", "Metadata_Well"), ("Metadata_Well", "A"))}
            | {"output_structure": "Metadata_Plate/Metadata_Well"},
            "in which DCP's own worker would find other names: use worker = 'cp",
        ),
        (
            {"group": (("Metadata_Site", "1"), ("Metadata_SiteName", "x"))}
            | {"output_structure": "Metadata_Site-Metadata_SiteName"},
            "in which DCP's own worker would find other names: use worker = 'cp",
        ),
    ],
)
def test_what_the_worker_of_dcp_cannot_do_is_not_sent_to_it(
    changes: dict[str, Any], why: str
) -> None:
    job = replace(JOB, earlier=(), **changes)
    assert read(body(job))[0] == job
    with pytest.raises(InputError, match=why):
        body(job, plain=True)


# What anybody could write


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_job_is_refused_in_one_short_line(name: str) -> None:
    with pytest.raises(InputError, match=r"^(message|job) ") as refused:
        read(BROKEN[name])
    (line,) = str(refused.value).splitlines()
    assert len(line) < 300


@pytest.mark.parametrize("key", ["pipeline", "output", "input", "data_file"])
@pytest.mark.parametrize("value", [None, 1, ["a"], "a/../b", "/etc", "x" * 1025])
def test_a_place_that_is_none_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"with {key}"):
        read(json.dumps(JOB.to_json() | {key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("memory_gb", value) for value in (1e308, float("nan"), -1, True, "2")),
        *(("timeout_s", value) for value in (float("inf"), -0.1, 1e10)),
        *(("share", value) for value in (0, -1, 10**40, 1.5)),
        *(("attempt", value) for value in (0, 10**9, "1")),
        *(("image_sets", value) for value in (-1, 10**40)),
        *(("run", value) for value in (-1, 10**16, "1")),
        *(("step", value) for value in ("a/b", "..", "a b", 1, "x" * 151)),
        *(("fingerprint", value) for value in ("a/b", "a~b", "a\n", 1, "x" * 151)),
        *(("ledger", value) for value in ("../x", "/x", "s3://x/y", 1)),
        *(("earlier", value) for value in ("a", ["a/b"], [None], ["x"] * 1001)),
        *(("plugins", value) for value in ("../x", "/x", 1)),
        *(("mixed", value) for value in (0, "no")),
        ("output", ""),
    ],
)
def test_a_value_that_no_job_can_have_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^message with {key} "):
        read(json.dumps(JOB.to_json() | {key: value}))


@pytest.mark.parametrize("state", ["done", "replaced", "failed-crash"])
def test_a_marker_of_another_job_is_refused(state: str) -> None:
    earlier = [*JOB.earlier, f"B~f~0.{state}"]
    with pytest.raises(InputError, match=r"^message with earlier 'B~f~0.*of A alone$"):
        read(json.dumps(JOB.to_json() | {"earlier": earlier}))


def test_a_group_names_each_column_once_and_makes_a_name_for_a_folder() -> None:
    plain = JOB.to_message()
    for metadata in ("Metadata_Plate=A,Metadata_Plate=B", f"Metadata_Plate={'é' * 76}"):
        with pytest.raises(InputError, match="name each column once"):
            read(json.dumps(plain | {"Metadata": metadata}))


def test_keys_that_are_null_are_as_if_they_were_not_there() -> None:
    nothing = dict.fromkeys(("output_structure", "ledger", "share", "earlier", "mixed"))
    job, _ = read(json.dumps(JOB.to_message() | nothing))
    plain = Job.from_json(JOB.to_message() | {"output_structure": ""})
    assert job == replace(plain, older_records=True)  # others may have sent it


def test_who_says_nothing_of_older_records_may_be_older_itself() -> None:
    plain = json.dumps(JOB.to_message())
    assert read(plain)[0].older_records
    assert not read(body(JOB))[0].older_records


def test_a_message_of_anybody_is_a_job_or_is_refused() -> None:
    taken = 0
    for text in many(20_000):
        try:
            job, attempt = read(text)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 (it is about each)
            continue
        taken += 1
        assert read(body(job, attempt)) == (job, attempt)
        for place in (job.id, job.step, job.fingerprint, *job.earlier):
            assert "/" not in place
        for place in (job.destination, job.ledger, job.pipeline, job.data_file):
            assert not place.startswith("/")
            assert ".." not in place.split("/")
        assert all(math.isfinite(n) for n in (job.memory_gb or 0, job.timeout_s or 0))
    assert taken > 1000


def test_a_dead_letter_has_room_for_its_reason() -> None:
    assert cut("[1]") == "[1]"
    large = cut("é" * MOST_BYTES)
    assert set(large) == {"é"}
    assert MOST_BYTES - 5000 < len(large.encode()) < MOST_BYTES - 4000
