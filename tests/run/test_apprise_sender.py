"""Notifications to addresses that are no webhook's: apprise takes them, or a line."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cpengine.errors import ConfigError
from cpengine.run.notify import Notifier, wanted
from cpengine.run.session import StepResult

RESULT = StepResult("qc", 2, 0, done=1, failed=1, image_sets=1, output="/lab/out")


class Receiver(ThreadingHTTPServer):
    """What apprise's `json://` posts to, over real HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"json://user:s3cr3t@127.0.0.1:{self.server_port}/s3cr3t"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_message_goes_to_the_service_of_the_scheme_with_a_title(
    receiver: Receiver,
) -> None:
    notes: list[str] = []
    url = wanted(receiver.url, {}, None)
    assert url == receiver.url
    with Notifier(url, "screen, batch 1", notes.append) as notifier:
        notifier.ended(RESULT)
    (message,) = receiver.posted
    assert message["title"].startswith("screen, batch 1 on ")
    assert message["message"].splitlines() == [
        "qc: 1 of 2 jobs done, 1 failed, 1 image set in 0:00:00",
        "results: /lab/out",
    ]
    assert notes == []


def test_a_service_that_refuses_gives_one_note_and_no_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 403
    notes: list[str] = []
    caplog.set_level(0)
    with Notifier(receiver.url, "screen", notes.append) as notifier:
        notifier.ended(RESULT)
    assert notes == [
        "the webhook for notifications does not take messages: "
        "json:// has refused or not answered"
    ]
    assert not [record for record in caplog.records if record.name == "apprise"]


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "mailto://user:pass@lab.org?name=Plate Reader",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
    ],
)
def test_whole_addresses_are_taken(url: str) -> None:
    assert wanted(None, {"CPENGINE_NOTIFY": url}, None) == url


def test_an_address_that_lacks_something_is_refused_without_telling_it() -> None:
    with pytest.raises(ConfigError) as refused:
        wanted(None, {}, "slack://s3cr3t")
    assert str(refused.value) == (
        "run.notify: is no whole address of slack://: see apprise's page on it"
    )


def test_without_the_extra_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigError) as refused:
        wanted("slack://a/b/s3cr3t", {}, None)
    assert str(refused.value) == (
        "--notify: apprise is not installed: pip install 'cpengine[notify]'"
    )
    assert wanted("https://a.org/x", {}, None) == "https://a.org/x"
