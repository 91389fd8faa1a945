"""The real CellProfiler in real workers: a plate comes out as on one machine."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.ledger.standing import JobState
from cpengine.project import Project
from tests.door import file_lists
from tests.door.cases import write_images
from tests.door.running import STEP
from tests.executors.aws import plates
from tests.plain_runs import MODULE, Cpengine
from tests.real.compare import image_rows
from tests.services.aws.agent import Agent
from tests.services.aws.aws_server import AwsServer

pytestmark = pytest.mark.cellprofiler


@pytest.fixture
def agent(aws: AwsServer, tmp_path: Path) -> Iterator[Agent]:
    """Machines that run what the services want, one container each."""
    with Agent(aws, tmp_path / "agent", tasks_per_machine=1, stop_s=20) as agent:
        yield agent
        print(*agent.logs(), sep="\n--\n")


@pytest.fixture
def there(aws: AwsServer, plate: Project, tmp_path: Path) -> Project:
    """The plate in a bucket, where nothing has run on it."""
    plates.allow(aws)
    return plates.in_bucket(aws, plate, tmp_path / "project", plates.SECTION)


def _done(project: Project) -> set[str]:
    folder = f"{project.step('analysis').ledger}/markers"
    names = project.places.outputs.sizes(folder)
    return {name for name in names if name.endswith(f".{JobState.DONE}")}


def test_results_equal_those_of_the_local_executor_and_nothing_is_left(
    aws: AwsServer, agent: Agent, there: Project, plate: Project, cpengine: Cpengine
) -> None:
    where = ("-C", there.folder)
    ran = cpengine("run", "illum", "analysis", *where, "--on", "aws", "--yes")
    assert ran.returncode == 0, ran.stderr
    expected, found = plates.outputs(plate), plates.outputs(there)
    assert list(found) == list(expected)
    assert [name for name in expected if expected[name] != found[name]] == []
    assert agent.tasks_started >= 3  # one for illum, two for analysis
    audit = cpengine("aws", "audit", *where, "--json")
    assert audit.returncode == 0, audit.stderr
    kinds = {left["kind"] for left in json.loads(audit.stdout)}
    assert kinds == {"log group"}
    left = aws.leftovers()
    assert [leftover for leftover in left if not leftover.startswith("log group")] == []
    logs = aws.own("logs")
    streams = logs.describe_log_streams(logGroupName="demo_Analysis")["logStreams"]
    names = {stream["logStreamName"] for stream in streams}
    assert "DemoPlate1/analysis/DemoPlate1-A01-1" in names


def test_a_list_of_files_runs_there(
    aws: AwsServer, agent: Agent, cpengine: Cpengine, tmp_path: Path
) -> None:
    plates.allow(aws)
    aws.make(plates.BUCKET)
    write_images(tmp_path)
    aws.upload(plates.BUCKET, tmp_path / "named", "images/")
    names = [path.name for path in file_lists.named(tmp_path)]
    lines = [f"s3://{plates.BUCKET}/images/{name}" for name in names]
    more = f'root = "s3://{plates.BUCKET}"\n{plates.SECTION}'
    project = file_lists.project_of(tmp_path, lines, more)
    for name in (file_lists.PIPELINE, file_lists.LIST):
        aws.put(plates.BUCKET, name, (tmp_path / name).read_bytes())
    ran = cpengine("run", STEP, "-C", tmp_path, "--on", "aws", "--yes")
    assert ran.returncode == 0, ran.stderr
    written = project.places.outputs.tree(file_lists.OUTPUT)
    tables = [name for name in written if name.endswith("/Image.csv")]
    assert len(tables) == len(file_lists.GROUPS)
    for name in tables:
        data = project.places.outputs.read(f"{file_lists.OUTPUT}/{name}")
        for row in image_rows(data):
            assert row["URL_DNA"].startswith(f"s3://{plates.BUCKET}/images/P")


@pytest.mark.parametrize(("first", "then"), [("local", "aws"), ("aws", "local")])
def test_a_run_stopped_on_one_executor_is_finished_on_the_other(
    aws: AwsServer,
    agent: Agent,
    plate: Project,
    cpengine: Cpengine,
    tmp_path: Path,
    first: str,
    then: str,
) -> None:
    plates.allow(aws)
    there = plates.in_bucket(
        aws, plate, tmp_path / "project", plates.SECTION, done=("illum",)
    )
    where = ("-C", str(there.folder), "--yes", "--on")
    command = [*MODULE, "run", "analysis", *where, first, "--workers", "1"]
    with subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE) as run:
        while not _done(there):
            assert run.poll() is None, run.stderr and run.stderr.read().decode()
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        assert run.wait(120) == 130
    before = _done(there)
    assert 0 < len(before) < 4
    again = cpengine("run", "analysis", *where, then)
    assert again.returncode == 0, again.stderr
    assert f"{len(before)} done before" in again.stdout
    assert len(_done(there)) == 4
    assert [
        leftover for leftover in aws.leftovers() if not leftover.startswith("log group")
    ] == []
