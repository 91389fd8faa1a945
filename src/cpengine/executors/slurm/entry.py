"""What executors offer that start their workers on a cluster: `slurm`, `pbs`, ..."""

import math
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cpengine import config
from cpengine.config import ClusterSection, SlurmSection
from cpengine.executors import detach, machine_spec
from cpengine.executors.entry import ExecutorEntry
from cpengine.executors.room import Room, RoomRequest, worker_memory
from cpengine.executors.slurm import driver_job, leftovers
from cpengine.extras import extra
from cpengine.job.run_job import Machine
from cpengine.planning.project import ResolvedProject
from cpengine.system import scratch
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.executors.slurm.cluster_executor import ClusterExecutor

_RUN = re.compile(r"cpengine-([0-9a-f]{6})")


class ClusterEntry(ExecutorEntry):
    """Workers that are jobs of a cluster's scheduler."""

    Settings = ClusterSection

    def settings(self, project: ResolvedProject) -> ClusterSection:
        """The section, with what its site's profile adds."""
        return config.cluster(project.file, self.name, project.folder)

    def create(
        self, project: ResolvedProject, machine: Machine, workers: int | None
    ) -> "ClusterExecutor":
        with extra("slurm"):
            from cpengine.executors.slurm.cluster_executor import ClusterExecutor
        settings = self.settings(project)
        if workers:
            most = math.ceil(workers / settings.cores)
            settings = settings.model_copy(update={"workers": most})
        run = secrets.token_hex(3)
        spec = machine_spec.site_spec(
            project,
            machine.cellprofiler.version,
            scratch=settings.scratch,
            memory_gb=settings.memory_gb,
            job_memory_gb=settings.job_memory_gb,
        )
        return ClusterExecutor(
            self.name,
            settings,
            machine,
            machine_spec.MAKE,
            spec,
            folder=self.run_folder(project, run),
            ahead=_ahead(project, settings),
            run=run,
        )

    def check(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> None:
        self.job_script(project)

    def job_script(self, project: ResolvedProject) -> str:
        """The job script of a worker."""
        with extra("slurm"):
            from cpengine.executors.slurm.cluster_executor import Workers
            from cpengine.executors.slurm.schedulers import QUEUES
        settings = self.settings(project)
        folder = self.run_folder(project, "RUN")
        threads = settings.cores + _ahead(project, settings)
        with scratch.folder(Path(tempfile.gettempdir()), "script") as made:
            place = self.script_place(folder, made)
            run = Workers(QUEUES[self.name], settings, "cpengine-RUN", place, threads)
            script: str = run.job("cpengine-RUN-1").job_script()
        return script.replace(str(made), str(folder))

    def script_place(self, folder: Path, made: Path) -> Path:
        """Of a run's folder and one that is there: that of a script to be shown.

        dask-jobqueue makes the logs' folder where it makes a script.
        """
        return made

    def room(self, asked: RoomRequest) -> Room:
        settings = self.settings(asked.project)
        most = settings.workers
        if asked.workers:
            most = math.ceil(asked.workers / settings.cores)
        workers = max(1, min(most, math.ceil(asked.jobs / settings.cores)))
        fits = asked.fits(worker_memory(settings.memory_gb, settings.job_memory_gb))
        slots = min(settings.cores, fits)
        each = counted(slots, "job")
        return Room(
            slots=workers * slots,
            where=f"{counted(workers, 'worker')} of {self.name}, {each} each",
            fits=fits,
            cores=settings.cores,
            machines=workers,
        )

    def folder(self, project: ResolvedProject) -> Path:
        chosen = self.settings(project).folder or detach.FOLDER
        return project.folder.resolve() / Path(os.path.expanduser(chosen))

    def clean_up(
        self, project: ResolvedProject, traces: Mapping[str, str]
    ) -> Iterator[str]:
        """Cancel a run's worker jobs if they can be, and remove its folder."""
        jobs = str(traces.get("jobs"))
        if name := _RUN.fullmatch(jobs):
            yield from self.cancel_jobs(jobs)
            yield from leftovers.remove_folder(self.run_folder(project, name[1]))

    def cancel_jobs(self, name: str) -> Iterator[str]:
        """Cancel a run's worker jobs; give a line for what stays.

        Workers that have lost their driver end by themselves in about a minute.
        """
        yield from ()


class SlurmEntry(ClusterEntry):
    """Workers that are jobs of SLURM, which is asked more than others."""

    Settings = SlurmSection

    def check(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> None:
        script = self.job_script(project)
        from cpengine.executors.slurm.schedulers import test_only

        test_only(script)

    def script_place(self, folder: Path, made: Path) -> Path:
        """The run's own, whose name SLURM's lines quote: nothing is made there."""
        return folder

    def start_driver(
        self, project: ResolvedProject, arguments: Sequence[str], log: Path
    ) -> str:
        settings = self.settings(project)
        assert isinstance(settings, SlurmSection)
        if settings.driver == "process":
            return detach.as_process(arguments, log)
        return driver_job.as_job(driver_job.job_script(arguments, settings, log))

    def cancel_jobs(self, name: str) -> Iterator[str]:
        yield from leftovers.cancel(name)


def _ahead(project: ResolvedProject, settings: ClusterSection) -> int:
    """How many jobs of a worker fetch and publish while others run."""
    return 0 if project.places.local else max(1, settings.cores // 2)
