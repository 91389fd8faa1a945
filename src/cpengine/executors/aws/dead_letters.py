"""Dead letters: messages that were received again and again and came to no end."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from cpengine.errors import InputError
from cpengine.executors.aws import messages
from cpengine.executors.aws.app import App
from cpengine.executors.aws.queue import Message, Queue
from cpengine.model import Failure, FailureKind, Job


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter that is a job."""

    queue: Queue
    message: Message
    job: Job
    attempt: int
    failure: Failure
    """What its job has come to by that."""

    def delete(self) -> None:
        """Remove it: the ledger says what became of the job."""
        self.queue.delete(self.message)


def take(app: App, wanted: Collection[str]) -> Iterator[Letter]:
    """The dead letters of these jobs; others are left where they are.

    Parameters
    ----------
    wanted
        Ids of jobs.
    """
    queue = Queue.find(app.aws, app.settings.dead_letters)
    if queue is None or not queue.counts().waiting:
        return
    for message in read(queue):
        try:
            job, attempt = messages.read(message.body)
        except InputError:
            queue.hide([message], 0)
            continue
        if job.id in wanted and (not job.ledger or job.ledger == app.record.folder):
            yield Letter(queue, message, job, attempt, _failure(app, message))
        else:
            queue.hide([message], 0)


def _failure(app: App, message: Message) -> Failure:
    """What a dead letter's job has come to: a worker says it, or all were lost."""
    logs = f"(log group {app.settings.log_groups[1]})"
    if reason := message.notes.get("Reason"):
        return Failure(FailureKind.INTERNAL, f"{reason} {logs}")
    return Failure(
        FailureKind.NODE_LOST,
        f"its message was taken {app.settings.job_retries} times and came to no end: "
        f"its workers were lost, or could not write the ledger {logs}",
    )


def read(queue: Queue) -> list[Message]:
    """All messages, hidden from others for a while."""
    found: dict[str, Message] = {}
    while some := queue.receive(10, 0):
        if all(message.id in found for message in some):
            break
        found |= {message.id: message for message in some}
    return list(found.values())


def peek(queue: Queue) -> list[dict[str, Any]]:
    """What dead letters say; they stay where they are."""
    found = read(queue)
    queue.hide(found, 0)
    return [
        {"id": m.id, "body": m.body, "reason": m.notes.get("Reason", "")} for m in found
    ]


def redrive(app: App) -> int:
    """Put the app's dead letters back into its queue; give how many.

    Those that are no jobs, or another app's, stay where they are.
    """
    dead = Queue.find(app.aws, app.settings.dead_letters)
    jobs, count = app.queue(), 0
    for message in read(dead) if dead else ():
        try:
            job, _ = messages.read(message.body)
        except InputError:
            continue
        if app.settings.own_dead_letters or job.ledger == app.record.folder:
            jobs.send_one(message.body)
            assert dead is not None
            dead.delete(message)
            count += 1
    return count
