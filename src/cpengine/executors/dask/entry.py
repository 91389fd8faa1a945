"""What the `dask` executor offers: jobs on a Dask scheduler that is there already."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cpengine.config import DaskSection
from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors import machine_spec
from cpengine.executors.entry import ExecutorEntry
from cpengine.extras import extra
from cpengine.job.run_job import Machine
from cpengine.planning.project import ResolvedProject

if TYPE_CHECKING:
    from cpengine.executors.dask.dask_executor import DaskExecutor

_CONNECT_S = 30


class DaskEntry(ExecutorEntry):
    """A Dask scheduler by its address."""

    Settings = DaskSection

    def create(
        self, project: ResolvedProject, machine: Machine, workers: int | None
    ) -> "DaskExecutor":
        with extra("dask"):
            from distributed import Client

            from cpengine.executors.dask.dask_executor import DaskExecutor
        address = self._address(project)
        try:
            client = Client(address, timeout=_CONNECT_S)
        except (OSError, ValueError) as error:
            raise ExecutorError(
                f"executors.dask.address: {address} does not answer: start the "
                f"scheduler, or name another ({error})"
            ) from error
        settings = self.settings(project)
        spec = machine_spec.site_spec(
            project,
            machine.cellprofiler.version,
            scratch=settings.scratch,
            memory_gb=settings.memory_gb,
            job_memory_gb=settings.job_memory_gb,
        )
        return DaskExecutor(client, machine, machine_spec.MAKE, spec)

    def check(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> None:
        self._address(project)

    def _address(self, project: ResolvedProject) -> str:
        address: str | None = self.settings(project).address
        if address is None:
            raise ConfigError(
                "executors.dask.address: is missing: name a Dask scheduler, such as "
                "'tcp://10.0.0.5:8786'"
            )
        return address
