"""moto's SQS, repaired: what AWS does with messages, in a time that does not grow.

moto computes all attributes of a queue for each message that comes or goes, by three
scans of all its messages: sending 3000 takes minutes. A long poll holds the one lock
of the server. An outdated receipt handle deletes the message, which another may have
received since. The lengths of messages are counted in characters.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import moto.sqs.models as models
from moto.core.utils import camelcase_to_underscores
from moto.sqs.exceptions import (
    BatchRequestTooLong,
    InvalidParameterValue,
    ReceiptHandleIsInvalid,
    SQSException,
)
from moto.sqs.models import Message, Queue, SQSBackend

from tests.services.aws.lock import MOTO

LONGEST = 262_144  # bytes; by now AWS allows more, but DCP's queues do not
POLL_S = 0.25  # how soon a long poll sees a message whose visibility has expired

_attributes = Queue.attributes.fget
_receive = SQSBackend.receive_message
_add = Queue.add_message
_change = SQSBackend.change_message_visibility
_validate = SQSBackend._validate_message
_send_batch = SQSBackend.send_message_batch


class NotInFlight(SQSException):
    def __init__(self) -> None:
        super().__init__(
            "AWS.SimpleQueueService.MessageNotInflight",
            "The specified message isn't in flight.",
        )


class Attributes(Mapping[str, Any]):
    """A queue's attributes, each computed when it is asked for."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._names = list(queue.BASE_ATTRIBUTES)
        if queue.fifo_queue:
            self._names += queue.FIFO_ATTRIBUTES
        if queue.kms_master_key_id:
            self._names += queue.KMS_ATTRIBUTES

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        value = getattr(self._queue, camelcase_to_underscores(name))
        if name == "RedrivePolicy" and value:
            return models.json.dumps(value)
        if name.endswith("Timestamp"):
            return int(value)  # AWS counts whole seconds
        return str(value).lower() if isinstance(value, bool) else value


def visible(queue: Queue) -> list[Message]:
    now = time.time() * 1000
    return [m for m in queue._messages if m.visible_at < now >= m.delayed_until]


def hidden(queue: Queue) -> int:
    now = time.time() * 1000
    return sum(m.visible_at >= now for m in queue._messages)


def delayed(queue: Queue) -> int:
    now = time.time() * 1000
    return sum(m.delayed_until > now for m in queue._messages)


def add_message(queue: Queue, message: Message) -> None:
    _add(queue, message)
    MOTO.notify_all()


def receive_message(
    backend: SQSBackend,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    *more: Any,
) -> list[Message]:
    """Wait without the lock. A handle that was once given is known for ever."""
    end = time.monotonic() + (wait_seconds_timeout or 0)
    while True:
        found = _receive(backend, queue_name, count, 0, *more)
        queue = backend.get_queue(queue_name)
        queue.deleted_messages.update(m.receipt_handle for m in found)
        left = end - time.monotonic()
        if found or left <= 0:
            return found
        MOTO.wait(min(POLL_S, left))


def delete_message(queue: Queue, receipt_handle: str) -> None:
    """Delete what the handle is the latest of; an older one succeeds in vain."""
    for message in queue._messages:
        if message.receipt_handle == receipt_handle:
            queue._messages.remove(message)
            queue.pending_messages.discard(message)
            return
    if receipt_handle not in queue.deleted_messages:
        raise ReceiptHandleIsInvalid


def change_message_visibility(
    backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
) -> None:
    """As moto, but not for a message that is deleted, or visible to all."""
    queue = backend.get_queue(queue_name)
    if receipt_handle in queue.deleted_messages:
        known = [m for m in queue._messages if m.had_receipt_handle(receipt_handle)]
        if not known:
            raise InvalidParameterValue(
                f"Value {receipt_handle} for parameter ReceiptHandle is invalid."
                " Reason: Message does not exist or is not available for visibility"
                " timeout change."
            )
        if known[0].visible:
            raise NotInFlight
    _change(backend, queue_name, receipt_handle, visibility_timeout)
    MOTO.notify_all()


def validate_message(
    backend: SQSBackend, queue: Queue, message_body: str, *more: Any, **named: Any
) -> None:
    if len(message_body.encode()) > queue.maximum_message_size:
        raise InvalidParameterValue(
            "One or more parameters are invalid. Reason: Message must be shorter than"
            f" {queue.maximum_message_size} bytes."
        )
    _validate(backend, queue, message_body, *more, **named)


def send_message_batch(
    backend: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]
) -> Any:
    length = sum(len(entry["MessageBody"].encode()) for entry in entries.values())
    if length > LONGEST:
        raise BatchRequestTooLong(length)
    return _send_batch(backend, queue_name, entries)


def repair() -> None:
    models.unix_time = lambda when=None: (
        time.time() if when is None else when.timestamp()
    )
    models.unix_time_millis = lambda: time.time() * 1000
    models.MAXIMUM_MESSAGE_LENGTH = LONGEST
    models.MAXIMUM_MESSAGE_SIZE_ATTR_UPPER_BOUND = LONGEST
    Queue.attributes = property(Attributes)
    Queue.messages = property(visible)
    Queue.approximate_number_of_messages_not_visible = property(hidden)
    Queue.approximate_number_of_messages_delayed = property(delayed)
    Queue.add_message = add_message
    Queue.delete_message = delete_message
    SQSBackend.receive_message = receive_message
    SQSBackend.change_message_visibility = change_message_visibility
    SQSBackend._validate_message = validate_message
    SQSBackend.send_message_batch = send_message_batch
