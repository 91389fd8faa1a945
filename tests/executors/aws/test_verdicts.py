"""One verdict a job, however many markers tell of it."""

from cpengine.executors.aws.aws_executor import verdicts
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.testing import jobs

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
