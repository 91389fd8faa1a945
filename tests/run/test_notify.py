"""What a webhook is told of a run, and that no run waits for one or fails by it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

import pytest

from cpengine.errors import ConfigError, StorageError
from cpengine.events import Event, JobEnded, JobRetried, JobStarted, ModuleDone
from cpengine.executors.retry import causes
from cpengine.ledger.run_record import hidden
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.run import notify
from cpengine.run.notify import Notifier, Observer, describe, wanted
from cpengine.run.session import StepResult

SECRET = "/services/T000/B000/s3cr3t"
STALL_S = 1_800.0
ANSWER_S = 5.0


class Clock:
    """Time as a test has it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def job(number: int) -> Job:
    group = (("Metadata_Plate", "P1"), ("Metadata_Site", str(number)))
    return Job("analysis", group, "p", "d", "i", "o", image_sets=1)


def outcome(number: int, message: str = "") -> Outcome:
    failure = Failure(FailureKind.BAD_INPUT, message) if message else None
    return Outcome(job(number), failure)


def ended(number: int, message: str = "") -> JobEnded:
    return JobEnded(outcome(number, message))


RESULT = StepResult(
    step="analysis",
    jobs=100,
    already=10,
    done=87,
    failed=3,
    causes=tuple(
        causes(outcome(n, f"/d/{n}.csv: channel OrigER missing") for n in range(3))
    ),
    image_sets=783,
    files=700,
    wall_s=7_385,
    output="s3://lab/projects/screen",
)


@dataclass
class Webhook:
    """A webhook over real HTTP."""

    posted: list[dict[str, Any]] = field(default_factory=list)
    types: set[str | None] = field(default_factory=set)
    status: int = 200
    open: threading.Event = field(default_factory=threading.Event)
    """While it is not set, no request is answered."""
    asked: "SimpleQueue[str]" = field(default_factory=SimpleQueue)
    """A path for each request, as it comes."""
    url: str = ""

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.posted]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    hook.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.asked.put(self.path)
            hook.open.wait(60)
            status = hook.status
            if status == 200:
                hook.posted.append(json.loads(body))
                hook.types.add(self.headers["Content-Type"])
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            hook.asked.put(f"GET {self.path}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        hook.url = f"http://127.0.0.1:{server.server_port}{SECRET}"
        yield hook
        hook.open.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for spelt in (name, name.upper()):
            monkeypatch.delenv(spelt, raising=False)


@dataclass
class Notes:
    """What a notifier has to say to its user."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notifier(webhook: Webhook, notes: Notes, clock: Clock) -> Notifier:
    return Notifier(
        webhook.url,
        "screen, batch 1",
        notes,
        stall_s=STALL_S,
        clock=clock,
        check_every_s=0.01,
        answer_s=ANSWER_S,
    )


def wait(until: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not until():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def observed(*events: Event, clock: Clock | None = None) -> list[str]:
    """The messages that events are worth."""
    observer = Observer(STALL_S, clock or Clock())
    return [message for event in events if (message := observer.add(event))]


# The end


def test_the_end_of_a_step_is_posted_with_counts_time_causes_and_place(
    notifier: Notifier, webhook: Webhook, notes: Notes
) -> None:
    with notifier:
        notifier.ended(RESULT)
    (text,) = webhook.texts
    about, *lines = text.splitlines()
    assert about.startswith("screen, batch 1 on ")
    assert lines == [
        "",
        "analysis: 87 of 90 jobs done, 3 failed, 10 done before, 783 image sets in "
        "2:03:05",
        "- 3 jobs, first P1-0: bad_input: /d/0.csv: channel OrigER missing",
        "results: s3://lab/projects/screen",
    ]
    assert webhook.types == {"application/json"}
    assert notes.lines == []


def test_a_step_that_was_ended_early_tells_why() -> None:
    stopped = StepResult("qc", 20, 0, 0, not_run=20, stopped="10 jobs failed")
    assert "\nstopped: 10 jobs failed\n" in describe(stopped)


def test_a_step_with_nothing_to_run_is_worth_no_message(
    notifier: Notifier, webhook: Webhook
) -> None:
    with notifier:
        notifier.ended(StepResult("qc", 20, 20))
    assert webhook.posted == []


def test_many_causes_are_counted() -> None:
    found = tuple(causes(outcome(n, letter) for n, letter in enumerate("abcdefgh")))
    lines = describe(StepResult("qc", 8, 0, failed=8, causes=found)).splitlines()
    assert len(lines) == 8
    assert lines[-2] == "- and 3 causes more"


def _fail(notifier: Notifier, error: BaseException, *events: Event) -> None:
    with notifier:
        for event in events:
            notifier.listen(event)
        raise error


def test_a_run_that_a_person_ends_is_reported(
    notifier: Notifier, webhook: Webhook
) -> None:
    events = JobStarted(job(1), 1), ended(1), JobStarted(job(2), 1)
    with pytest.raises(KeyboardInterrupt):
        _fail(notifier, KeyboardInterrupt(), *events)
    (text,) = webhook.texts
    assert text.splitlines()[-1] == (
        "analysis: stopped: by Ctrl-C, a signal or `cpengine cancel`; "
        "1 done, 0 failed, 1 running"
    )


def test_an_error_before_a_step_is_reported(
    notifier: Notifier, webhook: Webhook
) -> None:
    with pytest.raises(StorageError):
        _fail(notifier, StorageError("s3://lab: cannot be read: ask for access\nmore"))
    assert webhook.texts[-1].splitlines()[-1] == (
        "stopped: s3://lab: cannot be read: ask for access"
    )


def test_the_exit_of_a_command_is_no_message(
    notifier: Notifier, webhook: Webhook
) -> None:
    with pytest.raises(SystemExit):
        _fail(notifier, SystemExit(1))
    assert webhook.posted == []


def test_a_message_is_not_longer_than_discord_takes(
    notifier: Notifier, webhook: Webhook
) -> None:
    found = tuple(causes(outcome(n, letter * 900) for n, letter in enumerate("abcd")))
    with notifier:
        notifier.ended(StepResult("qc", 8, 0, failed=4, causes=found))
    assert len(webhook.texts[0]) == 1_900
    assert webhook.texts[0].endswith("...")


# A wave of failures


def test_a_wave_of_failures_is_reported_once_with_its_causes() -> None:
    good = [ended(n) for n in range(40)]
    bad = [ended(40 + n, f"/d/{n}.csv: channel OrigER missing") for n in range(30)]
    (message,) = observed(*good, *bad)
    assert message.splitlines() == [
        "analysis: many jobs fail: 11 of the last 50; 40 done, 11 failed, 0 running",
        "- 11 jobs, first P1-40: bad_input: /d/0.csv: channel OrigER missing",
    ]


@pytest.mark.parametrize(("done", "failed"), [(0, 9), (40, 10)])
def test_few_failures_are_no_wave(done: int, failed: int) -> None:
    good = [ended(n) for n in range(done)]
    assert observed(*good, *(ended(n, "no") for n in range(failed))) == []


def test_failures_that_are_spread_out_are_no_wave() -> None:
    assert observed(*(ended(n, "no" * (n % 6 == 0)) for n in range(5_000))) == []


def test_another_wave_is_reported_after_the_first_has_calmed() -> None:
    wave = [ended(n, "no") for n in range(20)]
    calm = [ended(n) for n in range(46)]
    assert len(observed(*wave, *wave, *calm, *wave)) == 2
    assert len(observed(*wave, *calm[:30], *wave)) == 1


def test_a_wave_is_posted_while_jobs_go_on(
    notifier: Notifier, webhook: Webhook
) -> None:
    with notifier:
        for number in range(10):
            notifier.listen(ended(number, "no"))
        wait(lambda: webhook.posted)
        notifier.listen(ended(11))
    assert "many jobs fail: 10 of the last 10" in webhook.texts[0]


# Standing still


def test_a_run_that_stands_still_is_reported_once(
    notifier: Notifier, webhook: Webhook, clock: Clock
) -> None:
    with notifier:
        notifier.listen(JobStarted(job(1), 1))
        clock.now = STALL_S
        wait(lambda: webhook.posted)
        clock.now = 10 * STALL_S
        notifier.listen(JobStarted(job(2), 1))  # a start moves nothing
    (text,) = webhook.texts
    assert text.splitlines()[-1] == (
        "analysis: stands still: no job has ended and no module was done for 30 min; "
        "0 done, 0 failed, 1 running"
    )


@pytest.mark.parametrize(
    "moved", [ModuleDone(job(1), 1, "Crop", 2, 0.1), ended(1), ended(1, "no")]
)
def test_what_moves_a_run_lets_it_be_reported_again(moved: Event, clock: Clock) -> None:
    observer = Observer(STALL_S, clock)
    observer.add(JobStarted(job(1), 1))
    clock.now += STALL_S - 1
    assert not observer.check()
    observer.add(moved)
    clock.now += STALL_S - 1
    assert not observer.check()
    clock.now += 1
    assert observer.check()
    assert not observer.check()
    observer.add(moved)
    clock.now += STALL_S
    assert observer.check()


def test_jobs_that_only_come_again_are_no_move(clock: Clock) -> None:
    observer = Observer(STALL_S, clock)
    for _ in range(3):
        observer.add(JobStarted(job(1), 1))
        observer.add(JobRetried(outcome(1, "its worker was lost")))
        clock.now += STALL_S / 2
    assert "0 done, 0 failed, 0 running" in observer.check()


def test_nothing_stands_still_before_the_first_job_and_between_steps(
    clock: Clock,
) -> None:
    observer = Observer(STALL_S, clock)
    clock.now += 2 * STALL_S
    assert not observer.check()
    observer.add(ended(1))
    observer.ended()
    observer.add(ModuleDone(job(1), 1, "Crop", 2, 0.1))  # it comes late
    clock.now += 2 * STALL_S
    assert not observer.check()


def test_standing_still_can_be_left_untold(clock: Clock) -> None:
    observer = Observer(0, clock)
    observer.add(JobStarted(job(1), 1))
    clock.now += 100 * STALL_S
    assert not observer.check()


# Webhooks that do not take messages


@pytest.mark.parametrize(
    ("status", "why"), [(500, "HTTP 500"), (404, "HTTP 404"), (302, "HTTP 302")]
)
def test_a_webhook_that_refuses_gives_one_note(
    status: int, why: str, notifier: Notifier, webhook: Webhook, notes: Notes
) -> None:
    webhook.status = status
    with notifier:
        notifier.ended(RESULT)
        notifier.ended(RESULT)
    assert notes.lines == [
        f"the webhook for notifications does not take messages: {why}"
    ]
    assert webhook.asked.get() == SECRET
    assert "GET /elsewhere" not in _all(webhook)


def test_a_webhook_that_is_down_gives_one_note(notes: Notes, webhook: Webhook) -> None:
    url = f"http://127.0.0.1:1{SECRET}"
    with Notifier(url, "screen", notes, answer_s=ANSWER_S) as notifier:
        notifier.ended(RESULT)
    (line,) = notes.lines
    assert line.endswith("does not take messages: Connection refused")


def test_what_did_not_get_through_comes_with_the_next_message(
    notifier: Notifier, webhook: Webhook, notes: Notes
) -> None:
    webhook.status = 503
    with notifier:
        for number in range(10):
            notifier.listen(ended(number, "no"))
        wait(lambda: notes.lines)
        webhook.status = 200
        notifier.ended(RESULT)
    (text,) = webhook.texts
    assert text.index("many jobs fail") < text.index("87 of 90 jobs done")
    assert len(notes.lines) == 1


def test_a_run_does_not_wait_for_a_webhook_that_does_not_answer(
    notifier: Notifier, webhook: Webhook
) -> None:
    webhook.open.clear()
    with notifier:
        for number in range(10):
            notifier.listen(ended(number, "no"))
        assert webhook.asked.get(timeout=30) == SECRET  # the post is under way
        for number in range(1_000):
            notifier.listen(ended(number))
        notifier.ended(RESULT)
        assert webhook.posted == []  # and all this came meanwhile
        webhook.open.set()
    assert len(webhook.posted) == 2


def test_the_end_of_a_run_is_not_held_up_for_ever(
    webhook: Webhook, notes: Notes
) -> None:
    webhook.open.clear()
    with Notifier(webhook.url, "screen", notes, answer_s=0.05) as notifier:
        notifier.ended(RESULT)
    assert notes.lines == [
        "the webhook for notifications does not take messages: no answer in time"
    ]


def test_the_address_is_in_no_message(
    notifier: Notifier, webhook: Webhook, notes: Notes
) -> None:
    webhook.status = 500
    with notifier:
        notifier.ended(RESULT)
    webhook.status = 200
    texts = [*notes.lines, repr(notifier), str(notifier)]
    assert not any("s3cr3t" in line or webhook.url in line for line in texts)


def test_a_proxy_of_the_environment_is_used(
    webhook: Webhook, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", webhook.url.removesuffix(SECRET))
    with Notifier("http://hooks.invalid/x", "screen", notes) as notifier:
        notifier.ended(RESULT)
    assert webhook.asked.get(timeout=30) == "http://hooks.invalid/x"
    assert notes.lines == []


# Forms of messages


def test_discord_and_slack_get_their_own_forms() -> None:
    text = "<!channel> a & b"
    assert notify._body("https://discord.com/api/webhooks/1/x", text) == {
        "content": text,
        "allowed_mentions": {"parse": []},
    }
    assert notify._body("https://hooks.slack.com/services/x", text) == {
        "text": "&lt;!channel&gt; a &amp; b"
    }
    assert notify._body("https://chat.lab.org/hooks/x", text) == {"text": text}


# The address


def test_an_argument_comes_before_the_environment_and_that_before_the_file() -> None:
    first, second, third = (f"https://{name}.org/x" for name in ("a", "b", "c"))
    assert wanted(first, {"CPENGINE_NOTIFY": second}, third) == first
    assert wanted(None, {"CPENGINE_NOTIFY": second}, third) == second
    assert wanted(None, {}, third) == third
    assert wanted(None, {}, None) is None


@pytest.mark.parametrize("option", [None, "", "https://b.org/x"])
def test_no_child_inherits_the_address(option: str | None) -> None:
    environ = {"CPENGINE_NOTIFY": "https://a.org/x", "PATH": "/bin"}
    wanted(option, environ, None)
    assert environ == {"PATH": "/bin"}


def test_an_empty_address_turns_notifications_off() -> None:
    assert wanted("", {"CPENGINE_NOTIFY": "https://a.org"}, None) is None
    assert wanted(None, {"CPENGINE_NOTIFY": ""}, "https://a.org") is None


@pytest.mark.parametrize(
    "url",
    [
        "hooks.slack.com/s3cr3t",
        "ftp://a.org/s3cr3t",
        "file:///s3cr3t",
        "https:///s3cr3t",
        "https://a.org/s3cr3t b",
        "https://a.org/s3cr3t\n",
        "https://a.org:port/s3cr3t",
        "https://[a.org/s3cr3t",
        "https://ä.org/s3cr3t",
    ],
)
def test_what_is_no_address_is_refused_without_telling_it(url: str) -> None:
    for given, name in (
        ((url, {}, None), "--notify"),
        ((None, {"CPENGINE_NOTIFY": url}, None), "CPENGINE_NOTIFY"),
        ((None, {}, url), "run.notify"),
    ):
        with pytest.raises(ConfigError) as refused:
            wanted(*given)
        assert str(refused.value) == (
            f"{name}: is no address of a webhook: write all of it, from https:// on"
        )


def test_records_of_commands_are_without_the_address() -> None:
    given = [
        "run",
        "qc",
        "--notify",
        "https://a",
        "--well",
        "A01",
        "--notify=https://b",
    ]
    assert hidden(given) == ["run", "qc", "--well", "A01"]
    assert hidden(["run", "--notify"]) == ["run"]


def _all(webhook: Webhook) -> list[str]:
    found = []
    while not webhook.asked.empty():
        found.append(webhook.asked.get())
    return found
