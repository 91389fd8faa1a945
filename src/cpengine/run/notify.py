"""Say to a webhook how a run goes: its end, many failures, or that it stands still.

The webhook's address is a secret: whoever has it can write to its channel. So no
message, log or error holds it.
"""

import http.client
import json
import queue
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from cpengine.errors import ConfigError, CpengineError, ExecutorError
from cpengine.events import Event, JobEnded, JobRetried, JobStarted, ModuleDone
from cpengine.executors.retry import Cause, causes
from cpengine.ledger.run_record import NOTIFY
from cpengine.run import apprise_sender
from cpengine.run.session import StepResult
from cpengine.wording import counted

ENVIRON, KEY, OPTION = "CPENGINE_NOTIFY", "run.notify", NOTIFY
STALL_S = 30 * 60.0
_LAST, _MANY, _SHARE = 50, 10, 0.2
"""A wave: at least so many failures, and more than this share, of the last jobs."""
_CALM = _MANY // 2
"""The wave is over when fewer of the last jobs failed."""
_CAUSES = 5
_LONGEST = 1_900
"""Characters of a message; Discord takes 2,000."""
_MOST_UNSENT = 5
"""So many messages that did not get through are tried again."""
_CHECK_EVERY_S = 5.0
_ANSWER_S = 10.0
_WEB = ("http", "https")
"""What is posted here; other addresses are apprise's."""

Clock = Callable[[], float]


def wanted(
    option: str | None, environ: MutableMapping[str, str], setting: str | None
) -> str | None:
    """The webhook's address: argument before environment before project file.

    An empty one turns off what comes after it. It is taken out of the environment,
    which jobs of a cluster and other children would inherit.

    Raises
    ------
    ConfigError
        It is no address. The message does not tell it.
    """
    given = ((OPTION, option), (ENVIRON, environ.pop(ENVIRON, None)), (KEY, setting))
    for name, url in given:
        if url is not None:
            if url and (wrong := _wrong(url)):
                raise ConfigError(f"{name}: {wrong}")
            return url or None
    return None


def _wrong(url: str) -> str:
    """What is wrong with an address, and what to do; empty if it is one."""
    scheme, rest, _ = url.partition("://")
    if scheme not in _WEB and rest and url.isprintable():
        try:
            if apprise_sender.knows(scheme):
                return (
                    ""
                    if apprise_sender.takes(url)
                    else f"is no whole address of {scheme}://: see apprise's page on it"
                )
        except ExecutorError as error:
            return str(error)
    if _is_web_address(url):
        return ""
    return "is no address of a webhook: write all of it, from https:// on"


def _is_web_address(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is no number
    except ValueError:
        return False
    return parts.scheme in _WEB and bool(parts.hostname)


# --- what is worth a message ---------------------------------------------------------


class Observer:
    """Looks at events of one step after another, and says what people should know.

    Parameters
    ----------
    stall_s
        Seconds without a job's end and without a module's after which it says so;
        0 turns that off.
    """

    def __init__(self, stall_s: float, clock: Clock) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self.step = ""
        """The step under way; empty between steps."""
        self.done = self.failed = 0
        self._running: set[str] = set()
        self._last: deque[JobEnded] = deque(maxlen=_LAST)
        self._wave = self._stalled = False
        self._moved = 0.0

    def add(self, event: Event) -> str:
        """Take in an event; give the message that it is worth, if it is worth one."""
        match event:
            case JobStarted(job):
                self._begin(job.step)
                self._running.add(job.id)
            case ModuleDone():
                self._move()
            case JobRetried(outcome):
                self._running.discard(outcome.job.id)
            case JobEnded(outcome):
                self._begin(outcome.job.step)
                self._move()
                self._running.discard(outcome.job.id)
                self.done += outcome.done
                self.failed += not outcome.done
                self._last.append(event)
                return self._wave_text()
        return ""

    def _begin(self, step: str) -> None:
        if not self.step:
            self.step = step
            self._move()

    def _move(self) -> None:
        self._moved = self._clock()
        self._stalled = False

    def _wave_text(self) -> str:
        failed = [event.outcome for event in self._last if not event.outcome.done]
        if self._wave:
            self._wave = len(failed) >= _CALM
            return ""
        if len(failed) < _MANY or len(failed) <= _SHARE * len(self._last):
            return ""
        self._wave = True
        return "\n".join(
            [
                f"{self.step}: many jobs fail: {len(failed)} of the last "
                f"{len(self._last)}; {self}",
                *_lines(causes(failed)),
            ]
        )

    def check(self) -> str:
        """Give a message if the step stands still and nobody has been told."""
        silent_s = self._clock() - self._moved
        if not (self.step and self._stall_s) or self._stalled:
            return ""
        if silent_s < self._stall_s:
            return ""
        self._stalled = True
        return (
            f"{self.step}: stands still: no job has ended and no module was done for "
            f"{silent_s / 60:.0f} min; {self}"
        )

    def ended(self) -> None:
        """The step is over."""
        self._reset()

    def __str__(self) -> str:
        return f"{self.done} done, {self.failed} failed, {len(self._running)} running"


def describe(result: StepResult) -> str:
    """What a step has come to, as a message; empty if nothing was to be run."""
    jobs = result.done + result.failed + result.not_run
    if not jobs:
        return ""
    more = [
        (result.failed, f", {result.failed} failed"),
        (result.not_run, f", {result.not_run} not run"),
        (result.already, f", {result.already} done before"),
    ]
    took = timedelta(seconds=round(result.wall_s))
    first = (
        f"{result.step}: {result.done} of {counted(jobs, 'job')} done"
        + "".join(text for number, text in more if number)
        + f", {counted(result.image_sets, 'image set')} in {took}"
    )
    stopped = [f"stopped: {result.stopped}"] if result.stopped else []
    where = [f"results: {result.output}"]
    return "\n".join([first, *stopped, *_lines(result.causes), *where])


def _lines(found: Sequence[Cause]) -> Iterator[str]:
    for cause in found[:_CAUSES]:
        first = cause.first.job.id
        yield f"- {counted(cause.times, 'job')}, first {first}: {cause}"
    if len(found) > _CAUSES:
        yield f"- and {counted(len(found) - _CAUSES, 'cause')} more"


# --- sending -------------------------------------------------------------------------


class Notifier:
    """Posts to a webhook from a thread of its own: no job waits for it, none fails.

    Slack, Mattermost and what takes their `{"text": ...}` get that; Discord gets its
    `content`; addresses that are no https:// go by apprise. Proxies are those of the
    environment. Use it as a context manager around
    a run, and give it each event and each step's result.

    Parameters
    ----------
    url
        See `wanted`.
    about
        What a reader must know to tell runs apart, such as project and batch.
    note
        Gets one line, once, if a message does not get through. It is tried again with
        the next one, and at the end of the run.
    stall_s
        See `Observer`.
    check_every_s
        How often it looks whether the run stands still.
    answer_s
        How long it waits for the webhook's answer.
    """

    def __init__(
        self,
        url: str,
        about: str,
        note: Callable[[str], None],
        *,
        stall_s: float = STALL_S,
        clock: Clock = time.monotonic,
        check_every_s: float = _CHECK_EVERY_S,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._url = url
        self._about = f"{about} on {socket.gethostname()}"
        self._note = note
        self._noted = False
        self._check_every_s = check_every_s
        self._answer_s = answer_s
        self._observer = Observer(stall_s, clock)
        self._lock = threading.Lock()
        self._messages: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unsent: deque[str] = deque(maxlen=_MOST_UNSENT)
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if message := self._stopped(error):
            self._messages.put(message)
        self._messages.put(None)
        self._thread.join(self._answer_s)
        if self._thread.is_alive():
            self._complain("no answer in time")

    def _stopped(self, error: BaseException | None) -> str:
        """A message if the run was ended early, by a person or an error."""
        with self._lock:
            step, so_far = self._observer.step, str(self._observer)
        if isinstance(error, CpengineError):
            why = str(error).partition("\n")[0]
        elif isinstance(error, KeyboardInterrupt):
            why = "by Ctrl-C, a signal or `cpengine cancel`"
        else:
            why = type(error).__name__
        if step and error:
            return f"{step}: stopped: {why}; {so_far}"
        return f"stopped: {why}" if isinstance(error, CpengineError) else ""

    def listen(self, event: Event) -> None:
        """Take in an event."""
        with self._lock:
            message = self._observer.add(event)
        if message:
            self._messages.put(message)

    def ended(self, result: StepResult) -> None:
        """A step is over."""
        with self._lock:
            self._observer.ended()
        if message := describe(result):
            self._messages.put(message)

    def _work(self) -> None:
        """Send what is to be sent until the run is over."""
        while True:
            try:
                message = self._messages.get(timeout=self._check_every_s)
            except queue.Empty:
                with self._lock:
                    message = self._observer.check()
            if message is None:
                break
            if message:
                self._unsent.append(message)
                self._send()
        self._send()

    def _send(self) -> None:
        """Try to send what has not got through yet."""
        if not self._unsent:
            return
        try:
            _deliver(self._url, self._text(), self._answer_s)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._complain(_reason(error))
            if isinstance(error, urllib.error.HTTPError):
                error.close()
        else:
            self._unsent.clear()

    def _complain(self, why: str) -> None:
        if not self._noted:
            self._noted = True
            self._note(f"the webhook for notifications does not take messages: {why}")

    def _text(self) -> str:
        text = "\n\n".join([self._about, *self._unsent])
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _deliver(url: str, text: str, timeout_s: float) -> None:
    if urlsplit(url).scheme in _WEB:
        _post(url, text, timeout_s)
    else:
        apprise_sender.send(url, text)


def _post(url: str, text: str, timeout_s: float) -> None:
    """Post a message; raises what urllib does if it is not taken."""
    request = urllib.request.Request(
        url,
        json.dumps(_body(url, text)).encode(),
        {"Content-Type": "application/json", "User-Agent": "cpengine"},
    )
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=timeout_s):
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it would ask elsewhere without the message."""

    def redirect_request(self, *asked: object) -> None: ...


def _body(url: str, text: str) -> dict[str, object]:
    """A message in the form that the webhook's host takes."""
    host = urlsplit(url).hostname or ""
    if host in ("discord.com", "discordapp.com"):
        return {"content": text, "allowed_mentions": {"parse": []}}
    if host == "slack.com" or host.endswith(".slack.com"):  # its own escapes
        for sign, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(sign, escape)
    return {"text": text}


def _reason(error: Exception) -> str:
    """Why a message was not taken, without the address, which some errors tell."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
