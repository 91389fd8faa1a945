"""The sections that say where jobs run."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cpengine.config.aws import AwsSection
from cpengine.config.forms import (
    MOST_WORKERS,
    WALLTIME,
    Gigabytes,
    Key,
    Line,
    PerMachine,
    Section,
    Workers,
)


class LocalSection(Section):
    """The `local` executor: processes on this machine."""

    workers: PerMachine | None = Field(
        None, description="Jobs at a time. Default: from cores and memory."
    )
    memory_gb: Gigabytes = Field(
        2.0,
        description="Memory one job is expected to need until some have ended, for "
        "that default.",
    )
    scratch: Key | None = Field(
        None, description="Folder for work in progress. Default: the system's."
    )


class ClusterSection(Section):
    """An executor that starts its workers as jobs of a cluster's scheduler."""

    profile: Key | None = Field(
        None,
        description="A TOML file with these keys for all projects at a site; keys of "
        "the project file come before its.",
    )
    partition: Line | None = Field(
        None, description="The partition or queue. Default: the scheduler's."
    )
    account: Line | None = Field(
        None, description="The account that pays. Default: the scheduler's."
    )
    walltime: Annotated[str, Field(pattern=WALLTIME)] = Field(
        "04:00:00",
        description="How long a worker may live, HH:MM:SS or D-HH:MM:SS. Workers take "
        "no more jobs in time before it, and are replaced.",
    )
    cores: PerMachine = Field(
        4, description="Cores of a worker: so many jobs it runs at a time."
    )
    memory_gb: Gigabytes = Field(
        10.0, description="Memory of a worker, for all its jobs."
    )
    job_memory_gb: Gigabytes = Field(
        2.0,
        description="Memory one job is expected to need until some have ended; bounds "
        "how many a worker runs at a time.",
    )
    workers: Workers = Field(
        4, description="At most so many workers; fewer where fewer jobs are left."
    )
    min_workers: Annotated[int, Field(ge=0, le=MOST_WORKERS)] = Field(
        0, description="So many workers are kept until the end, at least."
    )
    scratch: Key | None = Field(
        None,
        description="A node's folder for work in progress, with variables such as "
        "'$TMPDIR'. Default: SLURM_TMPDIR, TMPDIR or /tmp as they are on the node.",
    )
    prologue: list[str] = Field(
        [], description="Lines of the job script before the worker: 'module load ...'."
    )
    directives: list[Line] = Field(
        [],
        description="More options of the scheduler, a line each: '--constraint=avx2'.",
    )
    skip_directives: list[Key] = Field(
        [], description="Lines to leave out of the job script: those that hold these."
    )
    interface: Line | None = Field(
        None,
        description="The network interface between driver and workers, such as 'ib0'. "
        "Default: the one that leads to the internet.",
    )
    host: Line | None = Field(
        None, description="The driver's address as workers reach it, instead."
    )
    python: Key | None = Field(
        None, description="The workers' Python. Default: the driver's own."
    )
    folder: Key | None = Field(
        None,
        description="Folder for the workers' logs, seen by all nodes. Default: "
        "'.cpengine' beside this file.",
    )
    tls: bool = Field(
        True, description="Encrypt what driver and workers say, with keys of the run."
    )


class SlurmSection(ClusterSection):
    """The `slurm` executor."""

    qos: Line | None = Field(None, description="The quality of service.")
    requeue: bool = Field(
        True, description="Let SLURM start workers again that it ended itself."
    )
    driver: Literal["job", "process"] = Field(
        "job",
        description="What --detach starts: a small job of the cluster, or a process "
        "on this machine.",
    )
    driver_partition: Line | None = Field(
        None,
        description="The partition of that job. Default: the workers', with their qos.",
    )
    driver_walltime: Annotated[str, Field(pattern=WALLTIME)] = Field(
        "1-00:00:00", description="How long that job may live: longer than the run."
    )


class HTCondorSection(ClusterSection):
    """The `htcondor` executor."""

    disk_gb: Gigabytes = Field(
        20.0, description="Disk of a worker, for the images of all its jobs."
    )


class DaskSection(Section):
    """The `dask` executor: a Dask scheduler that is there already."""

    address: Key | None = Field(
        None, description="The scheduler's, such as 'tcp://10.0.0.5:8786'."
    )
    job_memory_gb: Gigabytes = Field(
        2.0, description="Memory one job is expected to need until some have ended."
    )
    memory_gb: Gigabytes | None = Field(
        None,
        description="Memory of a worker, for all its jobs. Default: what is left.",
    )
    scratch: Key | None = Field(
        None, description="A worker's folder for work in progress; as for clusters."
    )


class ExecutorsSection(Section):
    """Settings of each executor; those of other packages have sections, too."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})
    """For editors, which cannot know these."""

    local: LocalSection = Field(LocalSection(), description="This machine.")
    slurm: SlurmSection = Field(SlurmSection(), description="A SLURM cluster.")
    pbs: ClusterSection = Field(
        ClusterSection(), description="A PBS cluster. Not tried on a real one."
    )
    lsf: ClusterSection = Field(
        ClusterSection(), description="An LSF cluster. Not tried on a real one."
    )
    sge: ClusterSection = Field(
        ClusterSection(), description="An SGE cluster. Not tried on a real one."
    )
    htcondor: HTCondorSection = Field(
        HTCondorSection(), description="An HTCondor pool. Not tried on a real one."
    )
    dask: DaskSection = Field(DaskSection(), description="Any Dask scheduler.")
    aws: AwsSection = Field(AwsSection(), description="Machines on AWS.")
