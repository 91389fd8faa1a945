"""The `aws` executor keeps the contract, with real workers and a real queue."""

from collections.abc import Iterator

import pytest

from cpengine.executors.base import Executor
from cpengine.job.run_job import Machine
from cpengine.testing import ExecutorContract
from tests.executors.aws import apps
from tests.services.aws.agent import Agent
from tests.services.aws.aws_server import AwsServer


class TestAws(ExecutorContract):
    warm = True

    @pytest.fixture(autouse=True)
    def _use(
        self, aws: AwsServer, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[None]:
        """Have machines; nothing may be left of them."""
        with Agent(aws, tmp_path_factory.mktemp("agent")) as agent:
            yield
            print(*agent.logs(), sep="\n--\n")
        left = [
            leftover
            for leftover in aws.leftovers()
            if not leftover.startswith("log group")
        ]
        assert left == []

    def make(self, machine: Machine) -> Executor:
        return apps.executor(machine)
