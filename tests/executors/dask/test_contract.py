"""The `dask` executor keeps the contract, on a real Dask scheduler with workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from cpengine.executors import contract
from cpengine.executors.base import Executor
from cpengine.executors.dask.dask_executor import DaskExecutor
from cpengine.job.run_job import Machine
from cpengine.testing import ExecutorContract

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, each a process."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=None
    ) as cluster:
        yield cluster.scheduler_address


class TestDask(ExecutorContract):
    on = "dask"

    @pytest.fixture(autouse=True)
    def _use(self, scheduler: str) -> None:
        self.scheduler = scheduler

    def section(self, folder: Path) -> str:
        return f'address = "{self.scheduler}"\nscratch = "{folder}/scratch"\n'


class TestDaskWithHosts(TestDask):
    warm = True

    def make(self, machine: Machine) -> Executor:
        """The executor, whose workers have the stand-in's hosts, too."""
        client = Client(self.scheduler)
        return DaskExecutor(client, machine, contract.MAKE, contract.describe(machine))
