"""Every executor of ours keeps the contract."""

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


class TestInlineWithHosts(TestInline):
    warm = True


class TestLocalWithHosts(TestLocal):
    warm = True
