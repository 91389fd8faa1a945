"""Workers that end, refuse or are lost, on a real Dask scheduler of this machine."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from distributed import Client, LocalCluster

from cpengine.errors import ConfigError, ExecutorError
from cpengine.events import Event, JobRetried, Noted
from cpengine.executors import contract, machine_spec
from cpengine.executors.dask import node
from cpengine.executors.dask.dask_executor import DaskExecutor
from cpengine.executors.early_exits import EarlyExits
from cpengine.executors.machine_spec import node_scratch
from cpengine.job.run_job import Machine
from cpengine.model import FailureKind

pytestmark = pytest.mark.services


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """A scheduler with one worker of one thread."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", memory_limit=None
    ) as started:
        yield started


def test_a_worker_ends_before_its_walltime_and_another_one_goes_on(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    slow = {name: ["slow1"] for name in "ABCDEFGH"}
    machine = contract.machine(tmp_path, slow, warm=True)
    description = contract.describe(machine)
    client = Client(cluster)
    events: list[Event] = []
    with DaskExecutor(
        client, machine, contract.MAKE, description, life_s=6
    ) as executor:
        first = set(executor.workers())
        found = []
        for outcome in executor.run(contract.jobs(*"ABCDEFGH"), events.append):
            found.append(outcome)
            if executor.drained:
                cluster.scale(2)  # as a fleet would
        assert first.isdisjoint(executor.workers())
    assert all(outcome.done for outcome in found)
    assert not any(isinstance(event, JobRetried) for event in events)
    tried = [path.name for path in tmp_path.glob("*.attempt*")]
    assert len(tried) == 8


def test_workers_that_cannot_be_used_are_refused_at_once(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    machine = contract.machine(tmp_path, {})
    nowhere = "cpengine.executors.machine_spec:project_machine"
    spec = json.dumps({"folder": ".", "file": {}, "scratch": "$NOWHERE"})
    with pytest.raises(ExecutorError, match=r"a Dask worker cannot be used: .*scratch"):
        DaskExecutor(Client(cluster), machine, nowhere, spec)


def _end_at_once(spec: str, slots: int) -> Machine:
    os._exit(3)


@contextlib.contextmanager
def _workers(address: str) -> Iterator[None]:
    """Start a worker, and another one when it has ended, and so on."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address]
    over = threading.Event()

    def start() -> None:
        while not over.is_set():
            subprocess.run(
                [*command, "--no-nanny", "--no-dashboard", "--death-timeout", "5"],
                capture_output=True,
                check=False,
            )

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_workers_that_end_at_once_are_noted_and_later_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EarlyExits, "patience_s", 1.0)
    machine = contract.machine(tmp_path, {})
    make = f"{__name__}:{_end_at_once.__name__}"
    events: list[Event] = []
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        DaskExecutor(Client(cluster), machine, make, "") as executor,
        _workers(cluster.scheduler_address),
        pytest.raises(ExecutorError) as caught,
    ):
        list(executor.run(contract.jobs("A", "B"), events.append))
    notes = [event.what for event in events if isinstance(event, Noted)]
    (line,) = [line for line in notes if "have ended at once" in line]
    assert line.startswith("3 Dask workers in a row have ended at once, and no job has")
    assert re.search(
        "Dask workers in a row .* for 1 minute: the last was tcp://", str(caught.value)
    )
    assert not any(isinstance(event, JobRetried) for event in events)
    assert not list((tmp_path / "ledger").glob("**/*.failed*"))


@pytest.mark.parametrize("where", ["worker", "driver"])
def test_what_a_task_raises_is_its_jobs_outcome_and_not_the_end_of_the_run(
    cluster: LocalCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    machine = contract.machine(tmp_path, {})
    client = Client(cluster)
    if where == "worker":  # which cannot even read the job
        monkeypatch.setattr(node, "attempt", int)
    else:  # which does not know what a worker of another version tells
        monkeypatch.setattr(node, "unpacked", lambda text, job: int(text))
    description = contract.describe(machine)
    with DaskExecutor(client, machine, contract.MAKE, description) as executor:
        found = list(executor.run(contract.jobs("A", "B")))
    assert len(found) == 2
    for outcome in found:
        assert outcome.failure is not None
        assert outcome.failure.kind is FailureKind.INTERNAL
        assert "int()" in Path(outcome.failure.log or "").read_text()


# A worker's folder for work in progress


def test_scratch_is_what_the_node_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_TMPDIR", str(tmp_path))
    assert node_scratch(None) == str(tmp_path)
    monkeypatch.setenv("HERE", str(tmp_path))
    assert node_scratch("$HERE") == str(tmp_path)


def test_scratch_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder that can be written"):
        node_scratch(str(tmp_path / "nothing"))


def test_scratch_without_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=10**6)
    monkeypatch.setattr(machine_spec.shutil, "disk_usage", lambda folder: full)
    with pytest.raises(ConfigError, match="is full: less than 1 GB is free"):
        node_scratch(str(tmp_path))


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_is_lost_with_a_worker_that_came_to_its_end_only_if_it_computed_there(
    begun: bool, tmp_path: Path
) -> None:
    machine, client = contract.machine(tmp_path, {}), MagicMock()
    executor = DaskExecutor(client, machine, contract.MAKE, "")
    (job,) = contract.jobs("A")
    executor.submit(job, 1)
    executor._hear((0.0, [0, "phase", "running" if begun else "waiting"]))
    executor._hear((0.0, [None, node.DRAINING, "w1"]))
    executor._hear((0.0, [0, node.LEFT, "w1"]))
    outcomes = executor.wait(0.1)
    kinds = [outcome.failure.kind for outcome in outcomes if outcome.failure]
    assert kinds == ([FailureKind.NODE_LOST] if begun else [])
    assert client.submit.call_count == (1 if begun else 2)
