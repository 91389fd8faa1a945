"""Which machines fit jobs of a size."""

from dataclasses import replace

import pytest

from cpengine.executors.aws.suggest import suggest
from cpengine.model import Failure, FailureKind, Outcome
from cpengine.testing import jobs
from cpengine.wording import GB

OUTCOME = Outcome(jobs("A")[0], wall_s=60.0, peak_memory=GB)


@pytest.mark.parametrize(
    ("memory_gb", "machine", "slots"),
    [
        (1.0, "c6i.xlarge", 4),
        (2.1, "c6i.xlarge", 3),
        (2.5, "m6i.xlarge", 4),
        (6.0, "r6i.xlarge", 4),
        (20.0, "r6i.xlarge", 1),
        (60.0, "r6i.xlarge", 1),
    ],
)
def test_the_cheapest_that_uses_most_of_its_cores(
    memory_gb: float, machine: str, slots: int
) -> None:
    found = suggest([replace(OUTCOME, peak_memory=int(memory_gb * GB))])
    assert found is not None
    assert (found.machine_type, found.slots) == (machine, slots)


def test_a_few_large_jobs_do_not_decide() -> None:
    large = replace(OUTCOME, wall_s=6000.0, peak_memory=30 * GB)
    found = suggest([OUTCOME] * 96 + [large] * 4)
    assert found is not None
    assert (found.wall_s, found.memory) == (60.0, GB)
    found = suggest([OUTCOME] * 94 + [large] * 6)
    assert found is not None
    assert found.memory == 30 * GB


def test_waiting_failures_and_what_was_not_measured_do_not_count() -> None:
    assert suggest([]) is None
    failed = replace(
        OUTCOME, failure=Failure(FailureKind.CRASH, "x"), peak_memory=9 * GB
    )
    assert suggest([failed, replace(OUTCOME, peak_memory=0)]) is None
    waited = replace(OUTCOME, wall_s=100.0, phase_s={"waiting": 40.0})
    found = suggest([waited, failed])
    assert found is not None
    assert str(found) == (
        "took 1.0 min and 1.0 GB at the 95th percentile of 1 jobs: c6i.xlarge, 4 "
        "slots; visibility is kept alive by heartbeat"
    )
