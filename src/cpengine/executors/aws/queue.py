"""An SQS queue of jobs: Distributed-CellProfiler's attributes, ten messages a call."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from cpengine.executors.aws.client import Aws, AwsError, patiently
from cpengine.executors.aws.messages import MOST_BYTES
from cpengine.storage.parallel import each

if TYPE_CHECKING:
    from types_boto3_sqs.literals import QueueAttributeNameType
    from types_boto3_sqs.type_defs import (
        BatchResultErrorEntryTypeDef,
        MessageTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

RETENTION_S = 14 * 24 * 3600
"""Seconds that SQS keeps a message at the most."""
DEAD_LETTERS: "Mapping[QueueAttributeNameType, str]" = {
    "MessageRetentionPeriod": str(RETENTION_S)
}
"""The attributes of a queue for dead letters."""
ABSENT = frozenset({"QueueDoesNotExist", "NonExistentQueue"})
_JUST_ENDED = frozenset({"QueueDeletedRecently"})
_COUNTS: "tuple[QueueAttributeNameType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_BATCH = 10
_AT_ONCE = 8
_TRIES = 5
_LONGEST_POLL_S = 20
_EVER = 10**9


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received and is hidden from others for a while."""

    id: str
    handle: str
    body: str
    received: int = 1
    """How often it was, this time included."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """The text attributes that it was sent with."""


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """About how many messages a queue has; SQS itself knows no better."""

    waiting: int
    in_flight: int
    later: int
    """Those that are to be seen only after a delay."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.in_flight + self.later


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue by its address."""

    aws: Aws
    url: str

    @classmethod
    def find(cls, aws: Aws, name: str) -> "Queue | None":
        """The queue of exactly that name, if there is one."""
        try:
            return cls(aws, aws.sqs.get_queue_url(QueueName=name)["QueueUrl"])
        except AwsError as error:
            if error.code in ABSENT:
                return None
            raise

    @property
    def name(self) -> str:
        """Its name."""
        return self.url.rpartition("/")[2]

    def attributes(self) -> "Mapping[QueueAttributeNameType, str]":
        """All that SQS says of it."""
        return self.aws.sqs.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=["All"]
        )["Attributes"]

    def tags(self) -> dict[str, str]:
        """Its tags."""
        return self.aws.sqs.list_queue_tags(QueueUrl=self.url).get("Tags", {})

    def counts(self) -> MessageCounts:
        """About how many messages it has."""
        got = self.attributes()
        return MessageCounts(*(int(got.get(kind, 0)) for kind in _COUNTS))

    def dead_letters(self) -> "Queue | None":
        """The queue for messages that it gives up; None if it has none."""
        arn: str = self._redrive_policy().get("deadLetterTargetArn", "")
        return Queue.find(self.aws, arn.rpartition(":")[2]) if arn else None

    def most_received(self) -> int:
        """How often it gives a message before that becomes a dead letter."""
        return int(self._redrive_policy().get("maxReceiveCount", _EVER))

    def _redrive_policy(self) -> dict[str, Any]:
        policy: dict[str, Any] = json.loads(
            self.attributes().get("RedrivePolicy", "{}")
        )
        return policy

    def send(self, bodies: Iterable[str]) -> Iterator[int]:
        """Send messages, ten a call and some calls at a time.

        Gives how many were sent with each round, so that a caller can keep account.

        Raises
        ------
        AwsError
            Some were not taken, after several tries; the rest of their round was.
        """
        left = _batches(iter(bodies))  # one for all rounds: it reads ahead
        while batches := list(islice(left, _AT_ONCE)):
            each(self._send_batch, batches, _AT_ONCE)
            yield sum(map(len, batches))

    def _send_batch(self, bodies: Sequence[str]) -> None:
        """Send messages with one call, again those that failed by chance."""
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": body}
            for number, body in enumerate(bodies)
        ]
        for number in range(_TRIES):
            answer = self.aws.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            failed = {bad["Id"]: bad for bad in answer.get("Failed", ())}
            if not failed:
                return
            wrong = [bad for bad in failed.values() if bad["SenderFault"]]
            if wrong or number == _TRIES - 1:
                raise _not_sent((wrong or list(failed.values()))[0], passing=not wrong)
            entries = [entry for entry in entries if entry["Id"] in failed]
            time.sleep(0.2 * 2**number)

    def send_one(self, body: str, delay_s: float = 0, **attributes: str) -> None:
        """Send one message, to be seen after a while, with text attributes."""
        self.aws.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=body,
            DelaySeconds=int(min(900, delay_s)),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )

    def receive(self, most: int = 1, wait_s: int = _LONGEST_POLL_S) -> list[Message]:
        """Receive up to ten messages; wait so long for the first."""
        got = self.aws.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=min(most, _BATCH),
            WaitTimeSeconds=wait_s,
            AttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        return [_message(found) for found in got.get("Messages", ())]

    def delete(self, message: Message) -> None:
        """Remove a message for good."""
        self.aws.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message.handle)

    def hide(self, messages: Sequence[Message], seconds: int) -> list[str]:
        """Hide messages from now for so long; 0 shows them at once.

        Gives the ids of those that this no longer worked for.
        """
        gone: list[str] = []
        for start in range(0, len(messages), _BATCH):
            some = messages[start : start + _BATCH]
            answer = self.aws.sqs.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": message.handle,
                        "VisibilityTimeout": seconds,
                    }
                    for number, message in enumerate(some)
                ],
            )
            gone += [some[int(bad["Id"])].id for bad in answer.get("Failed", ())]
        return gone

    def remove(self) -> None:
        """Delete the queue; it may be gone already."""
        try:
            self.aws.sqs.delete_queue(QueueUrl=self.url)
        except AwsError as error:
            if error.code not in ABSENT:
                raise


def _not_sent(error: "BatchResultErrorEntryTypeDef", *, passing: bool) -> AwsError:
    code, text = error["Code"], error.get("Message", "").rstrip(".")
    return AwsError(
        f"sqs send_message_batch: {code}: {text}: do the same once more",
        code,
        passing=passing,
    )


def ensure(
    aws: Aws,
    name: str,
    attributes: "Mapping[QueueAttributeNameType, str]",
    tags: dict[str, str],
    note: Callable[[str, str], None],
) -> Queue:
    """Make a queue, or give the one that is there the attributes asked for.

    Parameters
    ----------
    note
        Told of a queue before it is made.

    Raises
    ------
    AwsError
        It cannot be made; or one of this name belongs to another project.
    """
    found = Queue.find(aws, name)
    if found is None:
        note("queue", name)
        made = patiently(
            lambda: aws.sqs.create_queue(
                QueueName=name, Attributes=attributes, tags=tags
            ),
            _JUST_ENDED,
        )
        return Queue(aws, made["QueueUrl"])
    owner = found.tags().get("cpengine:project", tags.get("cpengine:project"))
    if owner != tags.get("cpengine:project"):
        raise AwsError(
            f"queue {name}: belongs to project {owner}: set another project.app_name"
        )
    aws.sqs.set_queue_attributes(QueueUrl=found.url, Attributes=attributes)
    return found


def attributes(
    visibility_s: int, retries: int, dead_letters: Queue
) -> "Mapping[QueueAttributeNameType, str]":
    """A job queue's attributes, as Distributed-CellProfiler sets them."""
    policy = {
        "deadLetterTargetArn": dead_letters.attributes()["QueueArn"],
        "maxReceiveCount": str(retries),
    }
    return {
        "DelaySeconds": "0",
        "MaximumMessageSize": str(MOST_BYTES),
        "MessageRetentionPeriod": str(RETENTION_S),
        "ReceiveMessageWaitTimeSeconds": "0",
        "RedrivePolicy": json.dumps(policy),
        "VisibilityTimeout": str(visibility_s),
    }


def _batches(bodies: Iterator[str]) -> Iterator[list[str]]:
    """Ten at a time, and no more bytes than one call takes."""
    batch: list[str] = []
    size = 0
    for body in bodies:
        bytes_of = len(body.encode())
        if batch and (len(batch) == _BATCH or size + bytes_of > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += bytes_of
    if batch:
        yield batch


def _message(found: "MessageTypeDef") -> Message:
    return Message(
        found["MessageId"],
        found["ReceiptHandle"],
        found["Body"],
        int(found.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        {
            name: value["StringValue"]
            for name, value in found.get("MessageAttributes", {}).items()
            if "StringValue" in value
        },
    )
