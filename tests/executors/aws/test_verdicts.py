"""One verdict a job, however many markers tell of it."""

from pathlib import Path

from cpengine.executors.aws.aws_executor import verdicts
from cpengine.job.run_job import versions
from cpengine.ledger.ledger import Ledger
from cpengine.marker import marker_of
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.testing import jobs, machine
from tests.executors.aws import apps
from tests.services.aws.aws_server import AwsServer

A, B = jobs("A", "B")
CRASH = Failure(FailureKind.CRASH, "it crashed")


def test_done_wins() -> None:
    done, failed = Outcome(A, attempt=1), Outcome(A, CRASH, attempt=2)
    for given in ([done, failed], [failed, done]):
        assert verdicts(given) == [done]


def test_of_failures_the_last_counts() -> None:
    first, last = Outcome(A, CRASH, attempt=1), Outcome(A, CRASH, attempt=2)
    other = Outcome(B)
    assert {*map(id, verdicts([last, other, first]))} == {id(last), id(other)}


def test_a_job_that_is_found_done_and_failed_at_once_is_done(
    aws: AwsServer, tmp_path: Path
) -> None:
    this_machine = machine(tmp_path, {})
    with this_machine, apps.executor(this_machine) as executor:
        for job in (A, B):
            executor.submit(job, 1)
        executor.wait(0)  # sends them, and asks for machines
        ledger = Ledger(this_machine.places.outputs, apps.LEDGER)
        known = versions(this_machine.cellprofiler)
        failed = Outcome(A, CRASH, attempt=2, versions=known)
        ledger.record(failed)
        key = ledger._key(marker_of(failed))
        marker = ledger.storage.read(key)
        ledger.record(Outcome(A, attempt=1, versions=known))
        ledger.storage.write(key, marker)  # by a worker that had the same message
        assert len(ledger.markers()[A.id]) == 2
        (outcome,) = executor.wait(5)
    assert (outcome.job.id, outcome.done) == (A.id, True)
