"""Send jobs to the queue: ten a call, several calls at a time, none twice."""

from collections.abc import Sequence
from dataclasses import replace

from cpengine.executors.aws.app import App
from cpengine.executors.aws.messages import body
from cpengine.executors.aws.outbox import Sent
from cpengine.executors.aws.queue import Queue
from cpengine.ledger.ledger import Ledger
from cpengine.marker import Marker, MarkerState
from cpengine.model import Job
from cpengine.planning.plan import Plan
from cpengine.storage.parallel import each


def submit(
    app: App,
    ledger: Ledger,
    jobs: Sequence[tuple[Job, int]],
    queue: Queue,
    sent: Sent | None = None,
) -> list[Job]:
    """Send jobs that the queue was not sent yet; give those as they were sent.

    Markers of earlier runs that new ones could be taken for are cleared away first.

    Parameters
    ----------
    jobs
        Each with the number of its attempt.

    Raises
    ------
    AwsError
        Not all could be sent. What was is written down.
    InputError
        A job makes no message.
    """
    sent = sent or Sent.open(ledger, queue)
    new = [(job, attempt) for job, attempt in jobs if not sent.has(job)]
    plain = app.settings.section.worker == "dcp"
    bodies = [body(job, attempt, plain=plain) for job, attempt in new]
    cleared = each(lambda pair: _cleared(ledger, pair[0]), new)
    if not plain:
        bodies = [
            body(job, attempt) for job, (_, attempt) in zip(cleared, new, strict=True)
        ]
    begun = 0
    for count in queue.send(bodies):
        sent.add([job for job, _ in new[begun : begun + count]])
        begun += count
    return cleared


def send_foreign(app: App, jobs: Sequence[Job], plan: Plan) -> int:
    """Send jobs of another's making; give how many of them are the plan's own.

    Those are sent as the plan has them, so that its ledger knows them.

    Raises
    ------
    AwsError, InputError
        There is no queue, or a job makes no message.
    """
    planned = {job.id: job for job in plan.jobs}
    bodies, own = [], 0
    for job in jobs:
        ours = planned.get(job.id)
        if ours is not None and ours.to_message() == job.to_message():
            job, own = ours, own + 1
        plain = job is not ours or app.settings.section.worker == "dcp"
        bodies.append(body(job, plain=plain))
    for _ in app.queue().send(bodies):
        pass
    return own


def _cleared(ledger: Ledger, job: Job) -> Job:
    """Take away the markers of earlier runs that this run's would be taken for.

    From then on they stand for results that are being replaced.
    """
    earlier = []
    for name in job.earlier:
        marker = Marker.parse(name)
        if marker is None or marker.fingerprint != job.fingerprint:
            earlier.append(name)
        elif marker.state is MarkerState.FAILED:
            ledger.remove(name)
        else:
            ledger.set_aside(name)
            earlier.append(str(marker._replace(state=MarkerState.REPLACED)))
    return replace(job, earlier=tuple(earlier))
