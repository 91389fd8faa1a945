"""Executors by name: ours, and those that other packages register.

Other packages add theirs in the entry-point group `cpengine.executors`: a callable
that takes a `Project`, a `Machine` and how many jobs to run at a time (None for the
executor's own choice), and gives an `Executor`.
"""

import math
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from cpengine import config
from cpengine.config.forms import MOST_LOCAL
from cpengine.dcp import fleet
from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors import detach
from cpengine.executors.base import Executor
from cpengine.executors.inline import InlineExecutor
from cpengine.executors.local import LocalExecutor
from cpengine.extras import extra
from cpengine.job.run_job import Machine
from cpengine.ledger.ledger import Ledger
from cpengine.planning.project import ResolvedProject
from cpengine.rules import Finding
from cpengine.storage.store import Storage
from cpengine.system import scratch

if TYPE_CHECKING:
    from cpengine.executors.aws.project_apps import ProjectApps

GROUP = "cpengine.executors"
_CONNECT_S = 30
Maker = Callable[[ResolvedProject, Machine, int | None], Executor]


def _local(project: ResolvedProject, machine: Machine, workers: int | None) -> Executor:
    settings = project.file.executors.local
    if workers and workers > MOST_LOCAL:
        raise ConfigError(
            f"--workers {workers}: one machine runs at most {MOST_LOCAL} jobs at a "
            "time: give fewer"
        )
    return LocalExecutor(
        machine, workers or settings.workers, memory_gb=settings.memory_gb
    )


def _inline(
    project: ResolvedProject, machine: Machine, workers: int | None
) -> Executor:
    return InlineExecutor(machine)


def _dask(project: ResolvedProject, machine: Machine, workers: int | None) -> Executor:
    with extra("dask"):
        from distributed import Client

        from cpengine.executors import machine_spec
        from cpengine.executors.dask.dask_executor import DaskExecutor
    settings = project.file.executors.dask
    address = _dask_address(project)
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise ExecutorError(
            f"executors.dask.address: {address} does not answer: start the "
            f"scheduler, or name another ({error})"
        ) from error
    spec = machine_spec.site_spec(project, machine.cellprofiler.version, settings)
    return DaskExecutor(client, machine, machine_spec.MAKE, spec)


def _dask_address(project: ResolvedProject) -> str:
    address = project.file.executors.dask.address
    if address is None:
        raise ConfigError(
            "executors.dask.address: is missing: name a Dask scheduler, such as "
            "'tcp://10.0.0.5:8786'"
        )
    return address


def _aws(project: ResolvedProject, machine: Machine, workers: int | None) -> Executor:
    apps = aws_apps(project, machine.cellprofiler.version)
    from cpengine.executors.aws.aws_executor import AwsExecutor

    return AwsExecutor(machine, apps.app, fleet_file=fleet_file(project), most=workers)


def aws_apps(project: ResolvedProject, cellprofiler: str) -> "ProjectApps":
    """A project's steps on AWS. Raises ExecutorError where boto3 is missing."""
    with extra("aws"):
        from cpengine.executors.aws.project_apps import ProjectApps
    return ProjectApps(project, cellprofiler)


def costs(project: ResolvedProject, jobs: Mapping[str, int], cellprofiler: str) -> str:
    """What steps cost on AWS at the most, a line each; looks whether they can start.

    Parameters
    ----------
    jobs
        How many would run, by step.

    Raises
    ------
    AwsError, ConfigError
        Something that they need is missing, or a setting is wrong.
    """
    apps = aws_apps(project, cellprofiler)
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


def take_down(project: ResolvedProject, step: str) -> list[str]:
    """End what a step's run has made on AWS; give what is kept, one line each.

    Raises
    ------
    AwsError
        Something could not be removed; all else was.
    """
    apps = aws_apps(project, "")
    from cpengine.executors.aws import down

    return down.down(apps.app(step, to_end=True))


def goes_on_alone(storage: Storage, folder: str) -> bool:
    """Whether workers of a step may live though no driver does: those on AWS.

    Parameters
    ----------
    folder
        The step's ledger.
    """
    from cpengine.executors.aws.record import AwsRecord

    record = AwsRecord.look_up(storage, folder)
    return record is not None and (isinstance(record, Finding) or not record.down)


def jobs_on_aws(ledger: Ledger) -> tuple[str, frozenset[str]]:
    """Since when machines on AWS have jobs of a step, and the ids of these.

    Raises
    ------
    StorageError
        The ledger cannot be read.
    """
    from cpengine.executors.aws.outbox import sent_jobs
    from cpengine.executors.aws.record import AwsRecord

    record = AwsRecord.read(ledger.storage, ledger.folder)
    if record is None or record.down or not record.started:
        return "", frozenset()
    return record.started, sent_jobs(ledger)


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


def _cluster(kind: str) -> Maker:
    def make(
        project: ResolvedProject, machine: Machine, workers: int | None
    ) -> Executor:
        with extra("slurm"):
            from cpengine.executors import machine_spec
            from cpengine.executors.slurm.cluster_executor import ClusterExecutor
        settings = config.cluster(project.file, kind, project.folder)
        if workers:
            most = math.ceil(workers / settings.cores)
            settings = settings.model_copy(update={"workers": most})
        run = secrets.token_hex(3)
        return ClusterExecutor(
            kind,
            settings,
            machine,
            machine_spec.MAKE,
            machine_spec.site_spec(project, machine.cellprofiler.version, settings),
            folder=run_folder(project, kind, run),
            ahead=_ahead(project, settings),
            run=run,
        )

    return make


def folder_of(project: ResolvedProject, name: str) -> Path:
    """The folder for what drivers and workers of an executor say."""
    chosen = None
    if name in CLUSTERS:
        chosen = config.cluster(project.file, name, project.folder).folder
    return project.folder.resolve() / Path(os.path.expanduser(chosen or detach.FOLDER))


def run_folder(project: ResolvedProject, kind: str, run: str) -> Path:
    """The folder of one run on a cluster: its keys, and its workers' logs."""
    return folder_of(project, kind) / f"{kind}-{run}"


def _ahead(project: ResolvedProject, settings: config.ClusterSection) -> int:
    """How many jobs of a worker fetch and publish while others run."""
    return 0 if project.places.local else max(1, settings.cores // 2)


def job_script(project: ResolvedProject, name: str) -> str:
    """The job script of a worker, for executors that start theirs on a cluster."""
    if name not in CLUSTERS:
        return ""
    with extra("slurm"):
        from cpengine.executors.slurm.cluster_executor import Workers
        from cpengine.executors.slurm.schedulers import QUEUES
    settings = config.cluster(project.file, name, project.folder)
    folder = run_folder(project, name, "RUN")
    threads = settings.cores + _ahead(project, settings)
    # dask-jobqueue makes the logs' folder, but for SLURM, whose lines quote its name.
    with scratch.folder(Path(tempfile.gettempdir()), "script") as made:
        place = folder if name == "slurm" else made
        run = Workers(QUEUES[name], settings, "cpengine-RUN", place, threads)
        script: str = run.job("cpengine-RUN-1").job_script()
    return script.replace(str(made), str(folder))


def check(
    project: ResolvedProject, name: str, jobs: Mapping[str, int], cellprofiler: str
) -> None:
    """Look whether an executor could be used; start nothing.

    Parameters
    ----------
    jobs
        How many would run, by step.

    Raises
    ------
    CpengineError
        It is unknown, lacks packages or a setting, or its scheduler refuses a worker.
    """
    maker(name)
    script = job_script(project, name)
    if name == "slurm":
        from cpengine.executors.slurm.schedulers import test_only

        test_only(script)
    elif name == "aws":
        costs(project, jobs, cellprofiler)
    elif name == "dask":
        _dask_address(project)


CLUSTERS = ("slurm", "pbs", "lsf", "sge", "htcondor")
BUILT_IN: dict[str, Maker] = {
    "local": _local,
    "inline": _inline,
    "dask": _dask,
    **{kind: _cluster(kind) for kind in CLUSTERS},
    "aws": _aws,
}


def maker(name: str) -> Maker:
    """Give what makes an executor, by name.

    Raises
    ------
    ExecutorError
        No executor has that name.
    """
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name in others:
        found: Maker = others[name].load()
        return found
    known = ", ".join([*BUILT_IN, *others])
    raise ExecutorError(f"--on {name}: is not an executor: choose from {known}")
