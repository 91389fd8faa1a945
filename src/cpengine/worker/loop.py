"""The worker: takes messages, runs their jobs, answers for each message.

A message is hidden from other workers while its job lives, and is deleted only when
the job's marker is written.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cpengine.errors import CpengineError, StorageError
from cpengine.events import Event, Listener, LogBegun
from cpengine.executors.aws import messages
from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.queue import ABSENT, Message, Queue
from cpengine.executors.retry import next_try
from cpengine.job.run_job import Machine, run_job
from cpengine.ledger.ledger import Ledger
from cpengine.model import FailureKind, Outcome
from cpengine.worker import adopt, health
from cpengine.worker.environment import WorkerEnvironment
from cpengine.worker.logs import JobLogs
from cpengine.worker.visibility import AGAIN_S, Held, HeldMessages

_CHECK_EVERY_S = 0.2
_LONGEST_POLL_S = 20
_FOR_THE_FIRST = 15
"""A worker that never got a message waits so many times longer: they may be on their
way."""
_STORAGE_PAUSE_S = 5.0
_LONGEST_REASON = 300

Say = Callable[[str], None]


class Worker:
    """Runs the jobs of a queue on this machine until there are none.

    Parameters
    ----------
    ahead
        So many jobs fetch or publish while all slots are taken.
    say
        Takes a line on what happens.
    """

    def __init__(
        self,
        queue: Queue,
        machine: Machine,
        environment: WorkerEnvironment,
        logs: JobLogs,
        *,
        ahead: int = 1,
        say: Say = print,
    ) -> None:
        self._queue = queue
        self._machine = machine
        self._environment = environment
        self._logs = logs
        self._say = say
        self._most = environment.slots + ahead
        self._held = HeldMessages(queue, environment.visibility_s)
        self._leaving = threading.Event()
        self._seen = False
        self._hanging: set[Held] = set()
        self._dead: Queue | None = None

    def run(self) -> bool:
        """Work until the queue stays empty (True), or the worker is to leave (False).

        Raises
        ------
        AwsError
            The queue cannot be used.
        """
        with self._held.hidden(), ThreadPoolExecutor(self._most, "job") as pool:
            try:
                return self._turn(pool)
            finally:
                self.leave()

    def leave(self) -> None:
        """Give all messages back, and take no more."""
        self._leaving.set()
        self._held.give_back()

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        empty_since: float | None = None
        while not self._leaving.is_set():
            self._tell_health()
            room = self._most - len(self._held)
            if room <= 0:
                time.sleep(_CHECK_EVERY_S)
                continue
            found = self._receive(room)
            if found is None:
                return False
            if self._leaving.is_set():  # meanwhile, perhaps just given back
                self._held.hide(found, 0)
                return False
            for message in found:
                self._take(message, pool)
            if found or len(self._held) or not self._is_empty():
                empty_since = None
                continue
            empty_since = empty_since or time.monotonic()
            if time.monotonic() - empty_since >= self._patience_s:
                return True
        return False

    def _tell_health(self) -> None:
        """Say that the worker turns, unless a job hangs: nothing else would end it."""
        hanging = self._held.hanging
        if not hanging:
            health.tell()
        for held in hanging:
            if held not in self._hanging:
                self._hanging.add(held)
                self._say(f"{held.job.step} {held.job.id}: hangs: see its log")

    @property
    def _patience_s(self) -> float:
        """How long the queue must be empty before the worker ends."""
        return self._environment.idle_s * (1 if self._seen else _FOR_THE_FIRST)

    def _receive(self, room: int) -> list[Message] | None:
        """Messages; None if the queue is gone, and with it the run."""
        wait_s = min(_LONGEST_POLL_S, max(1, int(self._environment.idle_s)))
        try:
            return self._queue.receive(room, wait_s)
        except AwsError as error:
            if error.code in ABSENT:
                self._say(f"queue {self._queue.name} is gone: the run is over")
                return None
            if not error.passing:
                raise
            self._say(str(error))
            self._leaving.wait(AGAIN_S / 6)
            return []

    def _is_empty(self) -> bool:
        try:
            return not self._queue.counts().total
        except AwsError:
            return False

    def _take(self, message: Message, pool: ThreadPoolExecutor) -> None:
        self._seen = True
        try:
            job, attempt = messages.read(message.body)
        except Exception as error:  # none may end us: others would take it, and end
            self._set_aside(message, _reason(error))
            return
        job = adopt.adopt(job, self._machine.cellprofiler.version)
        held = Held(message, job, attempt)
        self._held.add(held)
        if self._leaving.is_set():
            held.given_back = True
        pool.submit(self._run, held)

    def _run(self, held: Held) -> None:
        """Run a job and answer for its message, whatever happens."""
        result = "given back"
        try:
            if held.given_back:
                self._held.hide([held.message], 0)
            else:
                result = self._outcome(held)
        except AwsError as error:  # the message comes back, its job is done or not
            result = str(error)
        except Exception as error:  # no outcome could be had, nor would others have one
            result = _reason(error)
            self._set_aside(held.message, result)
        finally:
            self._held.discard(held)
            self._say(f"{held.job.step} {held.job.id}: {result}")
            self._logs.end(held.job, result)

    def _outcome(self, held: Held) -> str:
        outputs = self._machine.places.outputs
        try:
            done = adopt.is_done(held.job, self._environment.done, outputs)
        except StorageError:
            done = False  # the attempt will tell
        if done:
            self._queue.delete(held.message)
            return "done already, by the number of its files"
        outcome = run_job(
            held.job,
            self._machine,
            attempt=held.attempt,
            listen=self._listener(held),
            cancelled=held.cancelled,
        )
        return self._answer(held, outcome)

    def _listener(self, held: Held) -> Listener:
        def listen(event: Event) -> None:
            held.cancelled.is_set()  # it tells something, so it does not hang
            if isinstance(event, LogBegun):
                self._logs.begin(event.job, event.log)

        return listen

    def _answer(self, held: Held, outcome: Outcome) -> str:
        """Do with a message what its job's outcome asks for; say it."""
        if outcome.done:
            self._queue.delete(held.message)
            return f"done, {len(outcome.files)} files in {outcome.wall_s:.1f} s"
        if held.given_back or _was_cancelled(outcome):
            return "given back"
        again = next_try(outcome, _STORAGE_PAUSE_S)
        if again is not None:
            self._queue.send_one(messages.body(again.job, again.attempt), again.after_s)
            self._queue.delete(held.message)
            return f"{outcome.failure}; trying again"
        try:
            Ledger(self._machine.places.outputs, held.job.ledger).record(outcome)
        except StorageError as error:
            return self._unrecorded(held, f"{outcome.failure}; not recorded: {error}")
        self._queue.delete(held.message)
        return f"failed: {outcome.failure}"

    def _unrecorded(self, held: Held, why: str) -> str:
        """Let a message come again, but not for ever, whose outcome nobody can see."""
        if held.message.received < self._queue.most_received():
            self._held.hide([held.message], AGAIN_S)
        else:
            self._set_aside(held.message, _shown(why))
        return why

    def _set_aside(self, message: Message, why: str) -> None:
        """Move a message that comes to no outcome to the dead letters, with why."""
        self._say(why)
        with contextlib.suppress(AwsError):  # else it gets there by itself in the end
            self._dead = self._dead or self._queue.dead_letters()
            if self._dead is not None:
                app = self._environment.app
                self._dead.send_one(messages.cut(message.body), Reason=why, App=app)
                self._queue.delete(message)


def _reason(error: Exception) -> str:
    """Why a message came to no outcome."""
    known = isinstance(error, CpengineError)
    return _shown(str(error) if known else f"internal: {type(error).__name__}: {error}")


def _shown(text: str) -> str:
    """A text without what SQS takes in no attribute, and not too long for one."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line[:_LONGEST_REASON]


def _was_cancelled(outcome: Outcome) -> bool:
    failure = outcome.failure
    return failure is not None and failure.kind is FailureKind.CANCELLED
