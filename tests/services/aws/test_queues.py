"""The AWS server's queues: they do as AWS's, and lose and double nothing."""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.aws.aws_server import AwsServer


class Queue:
    """A queue and its client, so that tests can say what they do to it."""

    def __init__(self, sqs: Any, name: str, **attributes: str) -> None:
        self.sqs = sqs
        made = sqs.create_queue(QueueName=name, Attributes=attributes)
        self.url = made["QueueUrl"]

    def send(self, body: str, **more: Any) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def receive(self, **more: Any) -> list[dict[str, Any]]:
        asked = {"AttributeNames": ["ApproximateReceiveCount"], **more}
        got = self.sqs.receive_message(QueueUrl=self.url, **asked)
        found: list[dict[str, Any]] = got.get("Messages", [])
        return found

    def delete(self, message: dict[str, Any]) -> None:
        handle = message["ReceiptHandle"]
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=handle)

    def hide(self, message: dict[str, Any], seconds: int) -> None:
        self.sqs.change_message_visibility(
            QueueUrl=self.url,
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=seconds,
        )

    def attributes(self, *names: str) -> dict[str, str]:
        asked = {"QueueUrl": self.url, "AttributeNames": names or ["All"]}
        found: dict[str, str] = self.sqs.get_queue_attributes(**asked)["Attributes"]
        return found

    def counts(self) -> tuple[int, int, int]:
        """How many messages are visible, in flight and delayed."""
        attributes = self.attributes()
        number = "ApproximateNumberOfMessages"
        names = (number, f"{number}NotVisible", f"{number}Delayed")
        visible, hidden, delayed = (int(attributes[name]) for name in names)
        return visible, hidden, delayed


@pytest.fixture
def queue(aws: AwsServer) -> Queue:
    return Queue(aws.client("sqs"), "jobs")


def _refused(act: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        act()
    return str(refused.value.response["Error"]["Code"])


def test_many_senders_and_receivers_lose_and_double_nothing(
    aws: AwsServer, queue: Queue
) -> None:
    def send(sender: int) -> None:
        for batch in range(5):
            names = [f"{sender}-{batch}-{at}" for at in range(10)]
            entries = [{"Id": name, "MessageBody": name} for name in names]
            queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)

    def receive(_: int) -> list[str]:
        got: list[str] = []
        while found := queue.receive(WaitTimeSeconds=1, MaxNumberOfMessages=5):
            got += [message["Body"] for message in found]
            for message in found:
                queue.delete(message)
        return got

    with ThreadPoolExecutor(16) as threads:
        received = threads.map(receive, range(8))
        list(threads.map(send, range(8)))
        seen = Counter(name for names in received for name in names)
    assert len(seen) == 400
    assert set(seen.values()) == {1}
    assert queue.counts() == (0, 0, 0)
    assert aws.counts("sqs")["DeleteMessage"] == 400


def test_the_time_that_a_message_takes_does_not_grow(queue: Queue) -> None:
    def send(count: int) -> float:
        begin = time.monotonic()
        for start in range(0, count, 10):
            entries = [{"Id": f"{start + at}", "MessageBody": "x"} for at in range(10)]
            queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
        return (time.monotonic() - begin) / count

    first = send(200)
    send(2000)
    assert send(200) < 5 * first + 0.001  # moto alone: a hundred times as long


def test_a_long_poll_gets_a_message_at_once_and_holds_up_nobody(queue: Queue) -> None:
    with ThreadPoolExecutor(20) as threads:
        begin = time.monotonic()
        polls = [threads.submit(queue.receive, WaitTimeSeconds=20) for _ in range(20)]
        time.sleep(1)
        for number in range(20):
            queue.send(str(number))
        got = [poll.result()[0]["Body"] for poll in polls]
    assert set(got) == set(map(str, range(20)))
    assert time.monotonic() - begin < 6


def test_a_long_poll_sees_a_message_become_visible_again(queue: Queue) -> None:
    queue.send("a")
    queue.receive(VisibilityTimeout=2)
    begin = time.monotonic()
    [again] = queue.receive(WaitTimeSeconds=20)
    assert 1 < time.monotonic() - begin < 4
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_long_poll_ends_empty_in_its_time(queue: Queue) -> None:
    begin = time.monotonic()
    assert queue.receive(WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - begin < 3


def test_an_outdated_handle_deletes_in_vain(queue: Queue) -> None:
    queue.send("a")
    [first] = queue.receive(VisibilityTimeout=0)
    [second] = queue.receive()
    queue.delete(first)
    assert queue.counts() == (0, 1, 0)
    queue.delete(second)
    assert queue.counts() == (0, 0, 0)
    queue.delete(second)  # again is no error
    queue.delete(first)
    assert _refused(lambda: queue.delete({"ReceiptHandle": "made up"})) == (
        "ReceiptHandleIsInvalid"
    )


def test_only_what_is_in_flight_can_be_hidden_longer(queue: Queue) -> None:
    queue.send("a")
    [message] = queue.receive()
    queue.hide(message, 0)
    assert queue.counts() == (1, 0, 0)
    assert "MessageNotInflight" in _refused(lambda: queue.hide(message, 30))
    [message] = queue.receive()
    queue.hide(message, 600)
    queue.delete(message)
    assert _refused(lambda: queue.hide(message, 30)) == "InvalidParameterValue"


def test_a_delayed_message_comes_later(queue: Queue) -> None:
    queue.send("a", DelaySeconds=2)
    assert queue.counts() == (0, 0, 1)
    assert queue.receive() == []
    begin = time.monotonic()
    assert queue.receive(WaitTimeSeconds=10)
    assert 1 < time.monotonic() - begin < 4


def test_what_was_received_too_often_is_a_dead_letter(aws: AwsServer) -> None:
    sqs = aws.client("sqs")
    dead = Queue(sqs, "dead")
    target = dead.attributes("QueueArn")["QueueArn"]
    policy = {"deadLetterTargetArn": target, "maxReceiveCount": "2"}
    queue = Queue(sqs, "jobs", RedrivePolicy=json.dumps(policy))
    queue.send("a")
    for _ in range(2):
        assert queue.receive(VisibilityTimeout=0)
        assert dead.counts() == (0, 0, 0)
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)
    [letter] = dead.receive()
    assert letter["Body"] == "a"
    policy = json.loads(queue.attributes("RedrivePolicy")["RedrivePolicy"])
    assert policy == {"deadLetterTargetArn": target, "maxReceiveCount": 2}


def test_messages_longer_than_256_kib_are_refused(queue: Queue) -> None:
    queue.send("x" * 262_144)
    too_long = "é" * 131_073  # in bytes, not in characters
    assert _refused(lambda: queue.send(too_long)) == "InvalidParameterValue"
    entries = [{"Id": str(at), "MessageBody": "é" * 20_000} for at in range(10)]
    batch = {"QueueUrl": queue.url, "Entries": entries}
    assert "BatchRequestTooLong" in _refused(
        lambda: queue.sqs.send_message_batch(**batch)
    )
    assert queue.counts() == (1, 0, 0)


def test_attributes_are_those_that_were_asked_for(queue: Queue) -> None:
    assert queue.attributes("VisibilityTimeout") == {"VisibilityTimeout": "30"}
    assert queue.attributes()["CreatedTimestamp"].isdigit()
    asked = {"QueueName": "jobs", "Attributes": {"VisibilityTimeout": "5"}}
    assert _refused(lambda: queue.sqs.create_queue(**asked)) == "QueueAlreadyExists"
    queue.sqs.tag_queue(QueueUrl=queue.url, Tags={"run": "1"})
    assert queue.sqs.list_queue_tags(QueueUrl=queue.url)["Tags"] == {"run": "1"}
