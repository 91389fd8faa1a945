"""The worker: which messages it runs, and what becomes of each."""

import json
import threading
import time
from dataclasses import replace
from typing import Any

from cpengine.executors.contract import left_in
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.standing import JobState, states
from cpengine.testing import GROUPS, jobs
from cpengine.worker.loop import Worker
from tests.services.aws.aws_server import AwsServer
from tests.worker.bench import Make

PLAIN = {
    "pipeline": "any.cppipe",
    "output": "out",
    "input": "rules",
    "data_file": "load_data.csv",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "string": {"Metadata": "Metadata_Plate=A"},
    "string, empty structure": {
        "Metadata": "Metadata_Plate=A",
        "output_structure": "",
    },
    "string, structure": {
        "Metadata": "Metadata_Plate=A",
        "output_structure": "deep/Metadata_Plate",
    },
    "dict, structure": {
        "Metadata": {"Metadata_Plate": "A"},
        "output_structure": "deep/Metadata_Plate",
    },
    "dict, empty structure": {
        "Metadata": {"Metadata_Plate": "A"},
        "output_structure": "",
    },
    "dict": {"Metadata": {"Metadata_Plate": "A"}},
    "other keys": {"Metadata": "Metadata_Plate=A", "_comment": "x", "job": 1},
}
POISON: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "is not JSON"),
    "no object": ("[1]", "no JSON object"),
    "no Metadata": (json.dumps(PLAIN), "without Metadata"),
    "no pair": (json.dumps(PLAIN | {"Metadata": "A01"}), "K=V"),
    "a value that leads out": (
        json.dumps(PLAIN | {"Metadata": "Metadata_Plate=../A"}),
        "no comma, slash",
    ),
    "an output that leads out": (
        json.dumps(PLAIN | {"Metadata": "Metadata_Plate=A", "output": "a/../../b"}),
        "below the bucket",
    ),
    "a place of the machine": (
        json.dumps(PLAIN | {"Metadata": "Metadata_Plate=A", "pipeline": "/etc/passwd"}),
        "below the bucket",
    ),
    "another bucket": (
        json.dumps(PLAIN | {"Metadata": "Metadata_Plate=A", "output": "s3://theirs/x"}),
        "below the bucket",
    ),
    "a structure with a shell in it": (
        json.dumps(
            PLAIN | {"Metadata": "Metadata_Plate=A", "output_structure": "$(reboot)"}
        ),
        "output_structure",
    ),
    "a number for a text": (
        json.dumps(PLAIN | {"Metadata": "Metadata_Plate=A", "input": 3}),
        "with input 3: input should be a valid string",
    ),
    "a text for a number": (
        json.dumps(PLAIN | {"Metadata": "Metadata_Plate=A", "share": "all"}),
        "with share 'all': input should be a valid integer",
    ),
}


def test_every_form_of_message_is_run(make_bench: Make) -> None:
    bench = make_bench()
    for plate, variant in zip(GROUPS, VARIANTS.values(), strict=False):
        bench.send(
            json.dumps(PLAIN | variant)
            .replace('"A"', f'"{plate}"')
            .replace("=A", f"={plate}")
        )
    bench.run()
    for plate, variant in zip(GROUPS, VARIANTS.values(), strict=False):
        place = f"deep/{plate}" if variant.get("output_structure") else plate
        made = bench.folder / "out" / place / "Image.csv"
        assert made.read_text() == f"Metadata\nMetadata_Plate={plate}\n"
    assert bench.queue.counts().total == 0
    assert bench.letters() == []


def test_poison_is_set_aside_with_the_reason_and_others_go_on(make_bench: Make) -> None:
    bench = make_bench()
    bench.send(*(body for body, _ in POISON.values()), *jobs("B"))
    bench.run()
    reasons = {}
    while letters := bench.letters():
        reasons |= dict(letters)
    assert len(reasons) == len(POISON)
    for body, why in POISON.values():
        assert why in reasons[body]
    assert [path.name for path in (bench.folder / "out").iterdir()] == ["B"]


def test_a_job_of_dcp_is_run_again_unless_its_rule_says_it_is_done(
    make_bench: Make,
) -> None:
    from cpengine.config.steps import DoneRule

    bench = make_bench()
    message = PLAIN | VARIANTS["string"]
    for expected, rule in ((1, None), (2, None), (2, DoneRule(2)), (3, DoneRule(3))):
        bench.send(message)
        bench.run(done=rule)
        assert bench.tries("A") == expected


def test_a_message_that_comes_twice_is_run_once(make_bench: Make) -> None:
    bench = make_bench()
    bench.send(*jobs("A", "A", "A"))
    worker = bench.worker()
    worker._most = 1  # one after another: at the same time both may run
    assert worker.run()
    assert bench.tries("A") == 1
    assert bench.queue.counts().total == 0


def test_failures_are_tried_again_as_often_as_anywhere(make_bench: Make) -> None:
    bench = make_bench(
        {"A": ["module_error"], "B": ["module_error"] * 9, "C": ["empty"]}
    )
    bench.send(*jobs("A", "B", "C"))
    bench.run()
    assert [bench.tries(name) for name in "ABC"] == [2, 2, 1]
    ledger = Ledger(bench.machine.places.outputs, "ledger")
    found = states(ledger.standings(jobs("A", "B", "C")))
    assert found == {"A": JobState.DONE, "B": JobState.FAILED, "C": JobState.FAILED}
    assert bench.queue.counts().total == 0
    assert bench.letters() == []


def test_the_message_of_a_slow_job_stays_hidden(make_bench: Make) -> None:
    bench = make_bench({"A": ["slow5"]}, visibility_s=2)
    bench.send(*jobs("A"))
    with _beside(bench.worker()):
        time.sleep(1)
        bench.run()
    assert bench.tries("A") == 1


def test_without_a_heartbeat_it_is_run_twice_and_one_result_stands(
    make_bench: Make,
) -> None:
    bench = make_bench({"A": ["slow5", "slow1"]}, visibility_s=2)
    bench.send(*jobs("A"))
    with _beside(bench.worker(visibility_s=600)):
        time.sleep(3)
        other = replace(bench.machine, cache=bench.machine.cache)
        assert bench.worker(other).run()
    assert bench.tries("A") == 2
    ledger = Ledger(bench.machine.places.outputs, "ledger")
    (standing,) = ledger.standings(jobs("A"))
    assert standing.state is JobState.DONE
    assert bench.queue.counts().total == 0


def test_a_worker_that_leaves_gives_its_messages_back_at_once(make_bench: Make) -> None:
    bench = make_bench({"A": ["hang"], "B": ["hang"]}, visibility_s=600)
    bench.send(*jobs("A", "B"))
    worker = bench.worker()
    with _beside(worker):
        while bench.tries("A") + bench.tries("B") < 2:
            time.sleep(0.05)
        begun = time.monotonic()
        worker.leave()
        while bench.queue.counts().waiting < 2:
            assert time.monotonic() - begun < 5
    assert left_in(bench.machine.scratch) == []
    bench.run()
    assert (bench.folder / "out/A/Image.csv").exists()


def test_logs_go_to_streams_named_by_the_place(
    make_bench: Make, aws: AwsServer
) -> None:
    bench = make_bench({"A": ["slow1"]})
    bench.send(PLAIN | VARIANTS["string, structure"])
    bench.run()
    events = aws.own("logs").get_log_events(
        logGroupName="Lab_test", logStreamName="deep/A"
    )["events"]
    lines = [event["message"] for event in events]
    assert any("module LoadData # 1" in line for line in lines)
    assert lines[-1].startswith("done, 2 files in")


def test_throttling_and_errors_of_aws_are_outlasted(
    make_bench: Make, aws: AwsServer
) -> None:
    bench = make_bench(visibility_s=3)
    bench.send(*jobs("A", "B", "C"))
    aws.faults(
        *(
            {"service": "sqs", "operation": operation, "nth": number, "kind": kind}
            for operation in ("ReceiveMessage", "DeleteMessage")
            for number, kind in enumerate(("throttle", "error_500", "lost"), 1)
        )
    )
    bench.run()
    assert sum(aws.injected().values()) >= 4
    ledger = Ledger(bench.machine.places.outputs, "ledger")
    found = states(ledger.standings(jobs("A", "B", "C")))
    assert set(found.values()) == {JobState.DONE}


def test_a_queue_that_is_gone_ends_the_worker(make_bench: Make) -> None:
    bench = make_bench({"A": ["hang"]})
    bench.send(*jobs("A"))
    worker = bench.worker()
    with _beside(worker, drained=False):
        while not bench.tries("A"):
            time.sleep(0.05)
        bench.queue.remove()
    assert any("the run is over" in line for line in bench.lines)


class _beside:  # noqa: N801 (used as a function)
    """Run a worker on a thread; wait for its end."""

    def __init__(self, worker: Worker, *, drained: bool | None = None) -> None:
        self._worker = worker
        self._drained = drained
        self._came: list[bool] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._came.append(self._worker.run())

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self._worker.leave()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._drained is not None:
            assert self._came == [self._drained]
