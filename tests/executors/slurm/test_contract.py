"""The `slurm` executor keeps the contract, on a real cluster."""

from pathlib import Path

import pytest

from cpengine.executors import contract
from cpengine.executors.base import Executor
from cpengine.executors.slurm.cluster_executor import ClusterExecutor
from cpengine.job.run_job import Machine
from cpengine.testing import ExecutorContract
from tests.executors.slurm.workers import settings
from tests.services.slurm.cluster import Cluster


class TestSlurm(ExecutorContract):
    warm = True

    @pytest.fixture(autouse=True)
    def _use(self, slurm: Cluster) -> None:
        """Have a cluster."""

    def make(self, machine: Machine) -> Executor:
        folder = machine.scratch.parent / f"run-{len(list(_runs(machine)))}"
        description = contract.describe(machine)
        return ClusterExecutor(
            "slurm", settings(), machine, contract.MAKE, description, folder=folder
        )


def _runs(machine: Machine) -> list[Path]:
    return list(machine.scratch.parent.glob("run-*"))
