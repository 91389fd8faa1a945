"""What one step's run on AWS is called, and what it gets. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cpengine.config import AwsSection, MachinesSection
from cpengine.config.steps import DoneRule
from cpengine.errors import ConfigError
from cpengine.executors.aws.record import AwsRecord

if TYPE_CHECKING:
    from types_boto3_ec2.literals import InstanceTypeType

DCP_IMAGE = "cellprofiler/distributed-cellprofiler:2.2.1_4.2.8"
SUFFIXES: Mapping[str, str] = {
    "zproj": "Zproj",
    "qc": "QC",
    "qc_persite": "QC",
    "illum": "Illum",
    "assaydev": "AssayDev",
    "assaydev_persite": "AssayDev",
    "analysis": "Analysis",
}
"""What `run_batch_general.py` ends the names of queues with."""
_LONGEST_NAME = 64
_OF_DCP_ALONE: Mapping[str, str] = {
    "upload_flags": "set storage.s3.upload_flags",
    "always_continue": "remove it, for it hides failures",
    "use_plugins": "put the plugins into the bucket and set steps.STEP.plugins",
}
"""What would be another result without it, and what to do instead."""
_COMMON = MachinesSection(
    machines=25,
    machine_types=["c5.xlarge"],
    machine_price=0.20,
    tasks_per_machine=1,
    cores=4,
    memory_mb=7500,
    ebs_gb=30,
    visibility_s=15 * 60,
    job_retries=3,
    seconds_to_start=60,
)
PRESETS: Mapping[str, MachinesSection] = {
    "zproj": MachinesSection(machines=100, visibility_s=3 * 60),
    "qc": MachinesSection(machines=25, visibility_s=15 * 60),
    "qc_persite": MachinesSection(machines=25, visibility_s=15 * 60),
    "illum": MachinesSection(visibility_s=240 * 60, seconds_to_start=3 * 60),
    "assaydev": MachinesSection(visibility_s=10 * 60, seconds_to_start=3 * 60),
    "assaydev_persite": MachinesSection(visibility_s=10 * 60, seconds_to_start=3 * 60),
    "analysis": MachinesSection(
        machines=100, cores=3, visibility_s=120 * 60, seconds_to_start=3 * 60
    ),
}
"""Distributed-CellProfiler's `config_examples.md`, by step; illum's machines come from
the number of plates."""
OUR_VISIBILITY_S = 120
"""Enough for our worker, which extends it: a lost machine's jobs are back so soon."""
OUR_RETRIES = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """One step's run: names and amounts, all settled."""

    app: str
    """Distributed-CellProfiler's APP_NAME: what all names begin with."""
    project: str
    section: AwsSection
    machines: int
    machine_types: "tuple[InstanceTypeType, ...]"
    machine_price: float
    tasks_per_machine: int
    cores: int
    cpu_shares: int
    memory_mb: int
    ebs_gb: int
    visibility_s: int
    job_retries: int
    seconds_to_start: int
    buckets: Mapping[str, str] = field(default_factory=dict)
    """DCP's AWS_BUCKET, SOURCE_BUCKET, WORKSPACE_BUCKET and DESTINATION_BUCKET."""
    done: DoneRule | None = None
    blas_kernel: str | None = None
    """What `cellprofiler.blas_kernel` says."""

    @property
    def queue(self) -> str:
        """The queue of jobs."""
        return f"{self.app}Queue"

    @property
    def dead_letters(self) -> str:
        """The queue of messages that were given up."""
        return self.section.dead_letter_queue or f"{self.app}DeadMessages"

    @property
    def own_dead_letters(self) -> bool:
        """Whether that queue is this step's alone."""
        return self.section.dead_letter_queue is None

    @property
    def task(self) -> str:
        """The task definition's family."""
        return f"{self.app}Task"

    @property
    def service(self) -> str:
        """The ECS service."""
        return f"{self.app}Service"

    @property
    def cluster(self) -> str:
        """The ECS cluster. ECS starts containers on any of its machines."""
        return self.section.cluster or self.app

    @property
    def log_groups(self) -> tuple[str, str]:
        """The log groups of jobs and of machines."""
        name = self.section.log_group or self.app
        return name, f"{name}_perInstance"

    @property
    def slots(self) -> int:
        """How many jobs one machine runs at a time."""
        return self.cores * self.tasks_per_machine

    @property
    def image(self) -> str:
        """The containers' image."""
        if self.section.image:
            return self.section.image
        if self.section.worker == "dcp":
            return DCP_IMAGE
        raise ConfigError(
            "executors.aws.image: is missing: build backends/aws/worker, push it, and "
            "name it here"
        )

    def life_h(self, machines: int) -> float:
        """Hours after which AWS itself ends so many machines."""
        limit, budget = self.section.time_limit_h, self.section.budget_usd
        if budget is None:
            return limit
        return min(limit, budget / (machines * self.machine_price))

    def machines_for(self, jobs: int) -> int:
        """How many machines so many jobs can keep busy."""
        return max(1, min(self.machines, math.ceil(jobs / self.slots)))

    def tags(self, owner: str) -> dict[str, str]:
        """What everything that is made for it is tagged with."""
        own = {"cpengine:app": self.app, "cpengine:project": self.project}
        return self.section.tags | own | {"cpengine:owner": owner}


def not_followed(section: AwsSection) -> Iterator[str]:
    """Settings of worker 'dcp' that ours does not follow; one line each."""
    for key, instead in _OF_DCP_ALONE.items():
        if section.worker == "cpengine" and getattr(section.dcp, key):
            yield (
                f"executors.aws.dcp.{key}: is for worker 'dcp' alone: {instead}, or "
                "set executors.aws.worker = 'dcp'"
            )


def app_name(base: str, step: str) -> str:
    """What a step's names begin with, as `run_batch_general.py` has it."""
    return f"{base}_{SUFFIXES.get(step, step)}"


def settle(
    section: AwsSection,
    step: str,
    *,
    project: str,
    base: str,
    plates: int = 1,
    buckets: Mapping[str, str] | None = None,
    done: DoneRule | None = None,
) -> Settings:
    """What a step's run gets: its own keys, else the executor's, else its preset's.

    Parameters
    ----------
    base
        What the names of all steps begin with.
    plates
        How many the batch has: illum runs one job a plate.

    Raises
    ------
    ConfigError
        The name cannot be one in AWS.
    """
    app = app_name(base, step)
    ascii_name = app.isascii() and app.replace("_", "").replace("-", "").isalnum()
    if not ascii_name or len(app) > _LONGEST_NAME:
        raise ConfigError(
            f"project.app_name: {base!r} gives {app}: AWS takes letters, digits, - "
            f"and _, at most {_LONGEST_NAME}: set a shorter or plainer one"
        )
    ours = section.worker == "cpengine"
    by_worker = MachinesSection(visibility_s=OUR_VISIBILITY_S, job_retries=OUR_RETRIES)
    layers = [
        _COMMON,
        PRESETS.get(step, MachinesSection()),
        MachinesSection(machines=math.ceil(plates / 4)) if step == "illum" else None,
        by_worker if ours else None,
        MachinesSection.model_validate(
            section.model_dump(include=set(MachinesSection.model_fields))
        ),
        section.steps.get(step),
    ]
    chosen: dict[str, object] = {}
    for layer in filter(None, layers):
        chosen |= layer.model_dump(exclude_none=True)
    amounts = MachinesSection.model_validate(chosen)
    return _settled(amounts, app, project, section, buckets or {}, done)


def of_record(record: AwsRecord) -> Settings:
    """The names of what a run has made, for those who have only its record."""
    section = AwsSection(
        cluster=record.cluster,
        dead_letter_queue=record.dead_letters or None,
        log_group=record.log_group or None,
    )
    return _settled(_COMMON, record.app, record.project, section, {}, None)


def _settled(
    amounts: MachinesSection,
    app: str,
    project: str,
    section: AwsSection,
    buckets: Mapping[str, str],
    done: DoneRule | None,
) -> Settings:
    a = amounts.model_dump()
    a["cpu_shares"] = a["cpu_shares"] or a["cores"] * 1024
    a["machine_types"] = tuple(a["machine_types"])
    return Settings(
        app=app, project=project, section=section, buckets=buckets, done=done, **a
    )
