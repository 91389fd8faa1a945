"""The sections of the `aws` executor.

Most keys are Distributed-CellProfiler's under plainer names; the names that it gives
them in `config.py` stand in capitals.
"""

from typing import Annotated, Literal

from pydantic import Field

from cpengine.config.forms import (
    AWS_NAME,
    Key,
    Name,
    PerMachine,
    Seconds,
    Section,
    Workers,
)

AwsName = Annotated[str, Field(pattern=AWS_NAME)]
SQS_MOST_S = 43_200
"""Seconds that SQS can hide a message at the most."""


class MachinesSection(Section):
    """Machines and limits; what is not set is as in the step's preset."""

    machines: Workers | None = Field(
        None,
        description="CLUSTER_MACHINES: at most so many machines; fewer where fewer "
        "jobs are left.",
    )
    machine_types: Annotated[list[Key], Field(min_length=1)] | None = Field(
        None,
        description="MACHINE_TYPE: instance types that will do; the first tells the "
        "cost.",
    )
    machine_price: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        None, description="MACHINE_PRICE: the most to pay for a machine's hour, in USD."
    )
    tasks_per_machine: PerMachine | None = Field(
        None, description="TASKS_PER_MACHINE: containers on a machine."
    )
    cores: PerMachine | None = Field(
        None, description="DOCKER_CORES: jobs that a container runs at a time."
    )
    cpu_shares: Annotated[int, Field(ge=128, le=1_048_576)] | None = Field(
        None, description="CPU_SHARES of a container. Default: 1024 a core."
    )
    memory_mb: Annotated[int, Field(ge=512, le=100_000_000)] | None = Field(
        None, description="MEMORY of a container, in MB."
    )
    ebs_gb: Annotated[int, Field(ge=22, le=65_536)] | None = Field(
        None, description="EBS_VOL_SIZE: a machine's disk for containers, in GB."
    )
    visibility_s: Annotated[int, Field(ge=30, le=SQS_MOST_S)] | None = Field(
        None,
        description="SQS_MESSAGE_VISIBILITY, in seconds. Only for worker 'dcp' must it "
        "be longer than a job; ours extends it while the job lives.",
    )
    job_retries: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None,
        description="JOB_RETRIES: a message that was received so often without coming "
        "to an end goes to the dead letter queue.",
    )
    seconds_to_start: Annotated[int, Field(ge=0, le=SQS_MOST_S)] | None = Field(
        None,
        description="SECONDS_TO_START between the processes of a 'dcp' container.",
    )


class DcpWorkerSection(Section):
    """What only Distributed-CellProfiler's own worker understands."""

    download_files: bool = Field(
        False, description="DOWNLOAD_FILES: copy images instead of mounting the bucket."
    )
    upload_flags: str = Field(
        "", description="UPLOAD_FLAGS: options for its `aws s3 mv`."
    )
    always_continue: bool = Field(
        False,
        description="ALWAYS_CONTINUE: skip image sets that fail. Hides failures.",
    )
    use_plugins: bool = Field(False, description="USE_PLUGINS.")
    update_plugins: bool = Field(False, description="UPDATE_PLUGINS.")
    plugins_commit: str | None = Field(
        None, description="PLUGINS_COMMIT: a commit or version of CellProfiler-plugins."
    )
    install_requirements: bool = Field(False, description="INSTALL_REQUIREMENTS.")
    requirements: str = Field("", description="REQUIREMENTS: what to install.")


class AwsSection(MachinesSection):
    """The `aws` executor: containers on EC2 spot machines that empty an SQS queue."""

    worker: Literal["cpengine", "dcp"] = Field(
        "cpengine",
        description="What runs in the containers: `cpengine worker`, or "
        "Distributed-CellProfiler's own.",
    )
    image: Key | None = Field(
        None,
        description="DOCKERHUB_TAG: the containers' image. Default for 'dcp': "
        "cellprofiler/distributed-cellprofiler:2.2.1_4.2.8.",
    )
    region: Key | None = Field(
        None, description="AWS_REGION. Default: storage.s3.region, or the profile's."
    )
    profile: Key | None = Field(
        None, description="AWS_PROFILE. Default: storage.s3.profile."
    )
    cluster: AwsName | None = Field(
        None,
        description="ECS_CLUSTER; made if it is not there, and removed when nothing "
        "uses it, unless it is 'default'. Default: one of the step's own.",
    )
    fleet: Key | None = Field(
        None,
        description="A spot fleet file as Distributed-CellProfiler takes it, relative "
        "to this file. Default: an EC2 fleet is made from the keys below.",
    )
    instance_profile: Key = Field(
        "ecsInstanceRole", description="The machines' instance profile: name or ARN."
    )
    task_role: Key | None = Field(
        None,
        description="The role of the containers, name or ARN. Default: the machines'.",
    )
    subnets: list[Key] = Field(
        [], description="Subnets of the machines. Default: the default ones."
    )
    security_groups: list[Key] = Field(
        [], description="Security groups of the machines. Default: the default one."
    )
    key_name: Key | None = Field(
        None, description="The EC2 key pair for SSH. Default: no SSH."
    )
    ami: Key | None = Field(
        None, description="The machines' image. Default: Amazon's newest for ECS."
    )
    public_ip: bool = Field(
        True, description="ASSIGN_IP: machines get public addresses."
    )
    dead_letter_queue: AwsName | None = Field(
        None,
        description="SQS_DEAD_LETTER_QUEUE. Default: one of the step's own.",
    )
    log_group: Key | None = Field(
        None, description="LOG_GROUP_NAME. Default: the name of queues and services."
    )
    log_days: Annotated[int, Field(ge=1, le=3653)] = Field(
        60, description="How long new log groups keep what they get, in days."
    )
    keep_logs: bool = Field(
        True, description="Whether log groups stay when all else is taken down."
    )
    export_logs: bool = Field(
        False, description="Copy the logs to the outputs' bucket at the end."
    )
    time_limit_h: Annotated[float, Field(gt=0, le=24 * 365)] = Field(
        48.0,
        description="Hours after which AWS itself ends the machines, whatever happens.",
    )
    budget_usd: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None,
        description="The most that a step's machines may cost; at machine_price it "
        "shortens time_limit_h. Default: no limit.",
    )
    cheapest: bool = Field(
        False, description="After 15 minutes machines that are lost stay lost, but one."
    )
    idle_s: Seconds = Field(
        60.0,
        description="Seconds for which the queue must be empty before our workers end "
        "themselves and the machines.",
    )
    poll_s: Seconds = Field(
        15.0, description="Seconds between two looks at queue and ledger."
    )
    dashboard: bool = Field(
        True, description="CREATE_DASHBOARD: a CloudWatch dashboard while it runs."
    )
    alarms: bool = Field(
        True, description="An alarm on each machine that ends it after 15 idle minutes."
    )
    tags: dict[Key, str] = Field(
        {}, description="More tags for everything that is made, for cost reports."
    )
    dcp: DcpWorkerSection = Field(
        DcpWorkerSection(), description="For worker 'dcp' only."
    )
    steps: dict[Name, MachinesSection] = Field(
        {}, description="Machines and limits of one step, by its name."
    )
