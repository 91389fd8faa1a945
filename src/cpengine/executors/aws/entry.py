"""What the `aws` executor offers, beside its own commands, `cpengine aws`."""

import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cpengine import rules
from cpengine.config import AwsSection
from cpengine.dcp import fleet
from cpengine.errors import ConfigError
from cpengine.executors.aws.outbox import sent_jobs
from cpengine.executors.aws.record import AwsRecord
from cpengine.executors.entry import ExecutorEntry, JobsElsewhere
from cpengine.executors.room import Room, RoomRequest, worker_memory
from cpengine.extras import extra
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding
from cpengine.wording import counted

if TYPE_CHECKING:
    from cpengine.executors.aws.aws_executor import AwsExecutor
    from cpengine.executors.aws.project_apps import ProjectApps

_START_AND_END_S = 600.0
"""Until machines work, and from the last job until they are gone: a guess."""
_MB_PER_GB = 1024


class AwsEntry(ExecutorEntry):
    """Machines on AWS, which go on without a driver and cost until they end."""

    Settings = AwsSection
    own_cellprofiler = True
    is_paid = True

    def create(
        self, project: ResolvedProject, machine: Machine, workers: int | None
    ) -> "AwsExecutor":
        apps = apps_of(project, machine.cellprofiler.version)
        from cpengine.executors.aws.aws_executor import AwsExecutor

        file = fleet_file(project)
        return AwsExecutor(machine, apps.app, fleet_file=file, most=workers)

    def check(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> None:
        self.price(project, jobs, cellprofiler)

    def price(
        self, project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str
    ) -> str:
        """What steps cost at the most, a line each; looks whether they can start."""
        apps = apps_of(project, cellprofiler)
        from cpengine.executors.aws import launch

        file = fleet_file(project)
        if file is not None:
            fleet.read(file)
        lines = []
        for step, count in jobs.items():
            app = apps.app(step)
            machines = app.settings.machines_for(count)
            apps.check(step, machines)
            lines.append(launch.estimate(app, machines))
        return "\n".join(lines)

    def room(self, asked: RoomRequest) -> Room:
        app = apps_of(asked.project, asked.cellprofiler).app(asked.step)
        from cpengine.executors.aws import launch

        settings = app.settings
        machines = settings.machines_for(min(asked.jobs, asked.workers or asked.jobs))
        fits = asked.fits(worker_memory(settings.memory_mb / _MB_PER_GB, 2.0))
        each = min(settings.cores, fits) * settings.tasks_per_machine
        jobs = counted(each, "job")
        return Room(
            slots=machines * each,
            where=f"{machines} x {settings.machine_types[0]}, {jobs} each",
            fits=fits * settings.tasks_per_machine,
            cores=settings.slots,
            extra_s=_START_AND_END_S,
            machines=machines,
            price=settings.machine_price,
            life_h=settings.life_h(machines),
            at_most=launch.estimate(app, machines),
        )

    def plain_modules(self, project: ResolvedProject) -> Iterator[Finding]:
        if self.settings(project).worker == "dcp":
            yield rules.PLAIN_MODULES.found(
                "executors.aws.worker",
                "is dcp, whose CellProfilers have plain modules",
                "take cpengine's worker, or set cellprofiler.exact to false if that is "
                "meant",
            )

    def goes_on_alone(self, ledger: Ledger) -> bool:
        record = AwsRecord.look_up(ledger.storage, ledger.folder)
        return record is not None and (isinstance(record, Finding) or not record.down)

    def jobs_elsewhere(self, ledger: Ledger) -> JobsElsewhere | None:
        record = AwsRecord.read(ledger.storage, ledger.folder)
        if record is None or record.down or not record.started:
            return None
        step = posixpath.basename(ledger.folder)
        return JobsElsewhere(
            sent_jobs(ledger),
            "machines on AWS",
            record.started,
            f"`cpengine aws monitor {step}` follows them, "
            f"`cpengine aws down {step}` ends them",
        )

    def take_down(self, project: ResolvedProject, step: str) -> list[str]:
        apps = apps_of(project, "")
        from cpengine.executors.aws import down

        return down.down(apps.app(step, to_end=True))


def apps_of(project: ResolvedProject, cellprofiler: str) -> "ProjectApps":
    """A project's steps on AWS. Raises ExecutorError where boto3 is missing."""
    with extra("aws"):
        from cpengine.executors.aws.project_apps import ProjectApps
    return ProjectApps(project, cellprofiler)


def fleet_file(project: ResolvedProject) -> Path | None:
    """The user's spot fleet file, if the project names one.

    Raises
    ------
    ConfigError
        It is not there.
    """
    file = project.file.executors.aws.fleet
    if not file:
        return None
    path = project.folder.resolve() / Path(os.path.expanduser(file))
    if not os.path.isfile(path):
        raise ConfigError(
            f"{path}: is not there: name your spot fleet file in executors.aws.fleet, "
            "or remove that key"
        )
    return path
