"""The worker's own loop against messages of anybody: each has an end, and a reason."""

import contextlib
import json
from collections import Counter
from typing import NoReturn

import pytest

from cpengine.errors import InputError, StorageError
from cpengine.executors.aws import messages
from cpengine.executors.aws.messages import MOST_BYTES, cut
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job
from cpengine.testing import jobs
from cpengine.worker import adopt, loop
from cpengine.worker.logs import JobLogs
from tests.executors.aws.hostile_messages import BROKEN, many
from tests.worker.bench import Bench, Make

_COUNT = 2000


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for between two tries."""
    monkeypatch.setattr(loop, "AGAIN_S", 0)
    monkeypatch.setattr(loop, "_STORAGE_PAUSE_S", 0)


def _ends(bench: Bench) -> Counter[str]:
    """Dead letters, by their text; each must have a reason."""
    found: Counter[str] = Counter()
    while some := bench.dead.receive(10, 0):
        for message in some:
            assert message.notes["Reason"], message.body[:100]
            found[message.body] += 1
            bench.dead.delete(message)
    return found


def _has_outcome(bench: Bench, text: str) -> bool:
    """Whether the job that a message is has a marker."""
    try:
        job, _ = messages.read(text)
    except InputError:
        return False
    job = adopt.adopt(job, "0")
    try:
        return job.id in Ledger(bench.machine.places.outputs, job.ledger).markers()
    except StorageError:  # there can be no ledger of that name
        return False


def _was_tried(text: str, dead: str) -> bool:
    """Whether a dead letter is a message with what its tries have added to it."""
    with contextlib.suppress(ValueError):
        first, last = json.loads(text), json.loads(dead)
        added = ("attempt", "earlier")
        return all(last.get(key, 0) == first[key] for key in first.keys() - added)
    return False


def test_every_message_ends_as_an_outcome_or_as_a_dead_letter_with_its_reason(
    make_bench: Make,
) -> None:
    bench = make_bench()
    sent = list(many(_COUNT))
    for _ in bench.queue.send([*sent, messages.body(jobs("Z")[0])]):
        pass
    bench.run()  # to its end: it is not ended by any of them
    assert bench.queue.counts().total == 0
    dead = _ends(bench)
    lost = [text for text in sent if cut(text) not in dead]
    lost = [text for text in lost if not _has_outcome(bench, text)]
    tried = [text for text in dead if '"attempt"' in text and '"earlier"' in text]
    assert [t for t in lost if not any(_was_tried(t, d) for d in tried)] == []
    assert (bench.folder / "out/Z/Image.csv").exists()
    assert len(BROKEN) < dead.total() < len(sent)


def test_a_message_takes_no_markers_of_other_jobs_away(make_bench: Make) -> None:
    bench = make_bench()
    bench.send(*jobs("B"))
    bench.run()
    job = jobs("A")[0]
    ledger = Ledger(bench.machine.places.outputs, job.ledger)
    before = ledger.markers()
    bench.send(job.to_json() | {"earlier": before["B"]})
    bench.run()
    assert ledger.markers() == before
    ((_, reason),) = bench.letters()
    assert reason.startswith("message with earlier 'B~")


def _raising(*arguments: object, **more: object) -> NoReturn:
    raise RuntimeError("nobody\nforesaw \x1b[31mthis")


@pytest.mark.parametrize("where", ["run_job", "next_try"])
def test_a_message_around_whose_job_something_is_raised_is_a_dead_letter(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(loop, where, _raising)
    bench = make_bench({"A": ["failure"]})
    bench.send(*jobs("A"))
    bench.run()
    ((_, reason),) = bench.letters()
    assert reason == "internal: RuntimeError: nobody foresaw  [31mthis"
    assert bench.queue.counts().total == 0


def test_a_log_that_cannot_be_sent_holds_no_message(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = JobLogs.end

    def fail(logs: JobLogs, job: Job, line: str) -> None:
        end(logs, job, line)
        raise RuntimeError(line)

    monkeypatch.setattr(JobLogs, "end", fail)
    bench = make_bench()
    bench.send(*jobs("A", "B", "C", "D"))
    bench.run()
    assert bench.queue.counts().total == 0
    assert (bench.folder / "out/D/Image.csv").exists()


def test_an_outcome_that_nobody_can_write_is_a_dead_letter_in_the_end(
    make_bench: Make,
) -> None:
    bench = make_bench({"A": ["empty"] * 99})
    (bench.folder / "ledger").write_text("a file where the folder should be")
    bench.send(*jobs("A"))
    bench.run()
    ((_, reason),) = bench.letters()
    assert "not recorded: " in reason
    assert bench.queue.counts().total == 0


def test_a_reason_is_sent_with_a_message_of_any_size(make_bench: Make) -> None:
    bench = make_bench()
    large = "x" * MOST_BYTES
    bench.send(large)
    bench.run()
    ((text, reason),) = bench.letters()
    assert large.startswith(text)
    assert len(text) + len(reason) < MOST_BYTES
    assert reason.startswith("message is not JSON")
