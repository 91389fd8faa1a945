"""Every executor of ours keeps the contract."""

import pytest

from cpengine.executors.base import Executor
from cpengine.executors.inline import InlineExecutor
from cpengine.executors.local import LocalExecutor
from cpengine.job.run_job import Machine
from cpengine.testing import ExecutorContract


class TestInline(ExecutorContract):
    def make(self, machine: Machine) -> Executor:
        return InlineExecutor(machine)


class TestLocal(ExecutorContract):
    def make(self, machine: Machine) -> Executor:
        return LocalExecutor(machine, 2)


@pytest.mark.services
class TestInlineWithHosts(TestInline):
    warm = True


@pytest.mark.services
class TestLocalWithHosts(TestLocal):
    warm = True
