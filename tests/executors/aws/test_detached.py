"""A run on AWS whose client goes on by itself, is followed, or is killed."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpengine.errors import ExecutorError
from cpengine.ledger.heartbeat import Heartbeat
from cpengine.planning.job_list import ids
from cpengine.project import Project
from cpengine.run.driver import refuse_shared
from cpengine.system.usage import lives
from tests.executors.aws import plates
from tests.plain_runs import Cpengine, small_plate
from tests.services.aws.agent import Agent
from tests.services.aws.aws_server import AwsServer

pytestmark = pytest.mark.cellprofiler


@pytest.fixture
def there(aws: AwsServer, tmp_path: Path) -> Iterator[Project]:
    """A plate of one site in a bucket, and machines for it."""
    plates.allow(aws)
    plate = small_plate(tmp_path / "plate", wells=1, sites=1)
    with Agent(aws, tmp_path / "agent", tasks_per_machine=1, stop_s=20) as agent:
        yield plates.in_bucket(aws, plate, tmp_path / "project", plates.SECTION)
        print(*agent.logs(), sep="\n--\n")


def _until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.2)


def _left(aws: AwsServer) -> list[str]:
    return [
        leftover for leftover in aws.leftovers() if not leftover.startswith("log group")
    ]


def _detached(there: Project, cpengine: Cpengine) -> int:
    """Start a run; give its driver's process."""
    ran = cpengine(
        "run", "illum", "-C", there.folder, "--on", "aws", "--detach", "--yes"
    )
    assert ran.returncode == 0, ran.stderr
    assert "at most $0.20 an hour" in ran.stderr
    found = re.search(r"process (\d+) drives the run", ran.stdout)
    assert found is not None
    return int(found[1])


def _refused(there: Project, why: str) -> None:
    """What machines on AWS have is run nowhere else."""
    plan = there.plan("illum")
    with pytest.raises(ExecutorError, match=f"illum: 1 of the 1 job to run is {why}"):
        refuse_shared(there.ledger(plan.step), set(ids(plan.jobs)), on="local")


def test_it_is_followed_to_its_end(
    aws: AwsServer, there: Project, cpengine: Cpengine
) -> None:
    _detached(there, cpengine)
    _until(lambda: any(leftover.startswith("fleet") for leftover in _left(aws)))
    ran = cpengine("attach", "-C", there.folder, "--every", "1")
    assert ran.returncode == 0, ran.stderr
    assert "ended: 1 done, 0 failed" in ran.stdout
    _until(lambda: _left(aws) == [])


def test_what_a_killed_client_has_left_is_taken_down_by_cancel(
    aws: AwsServer, there: Project, cpengine: Cpengine
) -> None:
    driver = _detached(there, cpengine)
    _until(lambda: any(leftover.startswith("fleet") for leftover in _left(aws)))
    _refused(there, "with .*'s run on ")
    os.kill(driver, signal.SIGKILL)
    _until(lambda: not lives(driver))
    _refused(there, "with machines on AWS, since ")
    with Heartbeat(there.ledger(there.step("illum")), "another", [], lambda: ""):
        pass  # which closes the record of what was killed
    ran = cpengine("cancel", "-C", there.folder)
    assert ran.returncode == 0, ran.stderr
    assert "its driver was gone already" in ran.stdout
    assert _left(aws) == []
