"""Make what a step's run needs before it costs anything; again: change what differs."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cpengine.executors.aws import queue, task_definition
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws, AwsError
from cpengine.executors.aws.queue import DEAD_LETTERS, Queue
from cpengine.executors.aws.settings import not_followed

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import (
        ContainerDefinitionOutputTypeDef,
        RegisterTaskDefinitionRequestTypeDef,
        TaskDefinitionTypeDef,
    )

_SPOT_QUOTA = ("ec2", "L-34B43A08")
"""All Standard Spot Instance Requests, in vCPUs."""
_DRAIN_S = 150.0
_ALREADY = "ResourceAlreadyExistsException"


def setup(app: App) -> Queue:
    """Make queue, dead letter queue, log groups, cluster, task definition, service.

    Raises
    ------
    AwsError
        AWS refuses, or one of the names belongs to another project.
    """
    if app.record.down:  # what was made before is gone
        app.record.down = app.record.started = ""
    app.record.account = app.aws.account
    jobs = _queues(app)
    for name in app.settings.log_groups:
        _log_group(app, name)
    _cluster(app)
    _service(app, _task(app, jobs))
    return jobs


def _queues(app: App) -> Queue:
    settings, tags = app.settings, app.tags
    if settings.own_dead_letters:
        dead = queue.ensure(
            app.aws, settings.dead_letters, DEAD_LETTERS, tags, app.record.note
        )
    else:
        dead = _shared_dead_letters(app)
    wanted = queue.attributes(settings.visibility_s, settings.job_retries, dead)
    return queue.ensure(app.aws, settings.queue, wanted, tags, app.record.note)


def _shared_dead_letters(app: App) -> Queue:
    """The user's own; made if it is not there, and never removed."""
    name = app.settings.dead_letters
    found = Queue.find(app.aws, name)
    if found is not None:
        return found
    made = app.aws.sqs.create_queue(QueueName=name, Attributes=DEAD_LETTERS)
    return Queue(app.aws, made["QueueUrl"])


def _log_group(app: App, name: str) -> None:
    found = app.aws.logs.describe_log_groups(logGroupNamePrefix=name)
    there = [group for group in found["logGroups"] if group["logGroupName"] == name]
    expires = any("retentionInDays" in group for group in there)
    if expires or (there and not app.record.has("log group", name)):
        return
    app.record.note("log group", name)
    try:
        app.aws.logs.create_log_group(logGroupName=name, tags=app.tags)
    except AwsError as error:
        if error.code != _ALREADY:
            raise
    days = app.settings.section.log_days
    app.aws.logs.put_retention_policy(logGroupName=name, retentionInDays=days)


def _cluster(app: App) -> None:
    name = app.settings.cluster
    found = app.aws.ecs.describe_clusters(clusters=[name])["clusters"]
    if any(cluster["status"] == "ACTIVE" for cluster in found):
        return
    app.record.note("cluster", name)
    app.aws.ecs.create_cluster(clusterName=name, tags=app.pairs)


def _task(app: App, jobs: Queue) -> str:
    """Register the task definition, unless the newest one is the same."""
    wanted = task_definition.definition(
        app.settings, jobs.url, app.aws.region, app.environment
    )
    newest = _newest_task(app)
    if newest is not None and _same(newest["containerDefinitions"], wanted):
        return newest["taskDefinitionArn"]
    app.record.note("task definition", app.settings.task)
    wanted["tags"] = app.pairs
    made = app.aws.ecs.register_task_definition(**wanted)
    return made["taskDefinition"]["taskDefinitionArn"]


def _newest_task(app: App) -> "TaskDefinitionTypeDef | None":
    try:
        found = app.aws.ecs.describe_task_definition(taskDefinition=app.settings.task)[
            "taskDefinition"
        ]
    except AwsError as error:
        if error.code in ("ClientException", "InvalidParameterException"):
            return None
        raise
    return found if found.get("status", "ACTIVE") == "ACTIVE" else None


def _same(
    there: "list[ContainerDefinitionOutputTypeDef]",
    wanted: "RegisterTaskDefinitionRequestTypeDef",
) -> bool:
    """Whether a container is as wanted; AWS adds keys, and orders as it likes."""
    (container,) = wanted["containerDefinitions"]

    def plain(definition: Mapping[str, Any]) -> dict[str, Any]:
        environment = {
            pair["name"]: pair["value"] for pair in definition.get("environment", ())
        }
        return {key: definition.get(key) for key in container} | {
            "environment": environment
        }

    return len(there) == 1 and plain(there[0]) == plain(container)


def _service(app: App, definition: str) -> None:
    settings = app.settings
    service = app.service()
    if service is not None:
        if service["taskDefinition"] != definition:
            app.aws.ecs.update_service(
                cluster=settings.cluster,
                service=settings.service,
                taskDefinition=definition,
            )
        return
    app.record.note("service", settings.service)
    _until_drained(app)
    app.aws.ecs.create_service(
        cluster=settings.cluster,
        serviceName=settings.service,
        taskDefinition=definition,
        desiredCount=0,
        tags=app.pairs,
    )


def _until_drained(app: App) -> None:
    """Wait for a service of that name that is not quite gone."""
    until = time.monotonic() + _DRAIN_S
    while time.monotonic() < until:
        found = app.aws.ecs.describe_services(
            cluster=app.settings.cluster,
            services=[app.settings.service],
        )["services"]
        if not any(service["status"] == "DRAINING" for service in found):
            return
        time.sleep(1)


def preflight(app: App, machines: int) -> Iterator[str]:
    """What would only be found out when so many machines cost; one line each."""
    section = app.settings.section
    yield from not_followed(section)
    _ = app.aws.account  # who is not logged in learns it here
    profile = section.instance_profile.rpartition("/")[2]
    if section.fleet is None:
        yield from _is_there(
            lambda: app.aws.iam.get_instance_profile(InstanceProfileName=profile),
            f"executors.aws.instance_profile: there is no {profile}: make it as "
            "docs/how-to/aws.md says, or name another",
        )
    if section.task_role:
        role = section.task_role.rpartition("/")[2]
        yield from _is_there(
            lambda: app.aws.iam.get_role(RoleName=role),
            f"executors.aws.task_role: there is no role {role}: make it as "
            "docs/how-to/aws.md says, or name another",
        )
    yield from _quota(app, machines)


def check_bucket(aws: Aws, name: str) -> Iterator[str]:
    """What is wrong with a bucket, one line each."""
    try:
        answer = aws.s3.head_bucket(Bucket=name)
    except AwsError as error:
        if error.code in ("404", "NoSuchBucket"):
            yield f"s3://{name}: there is no such bucket: check its name, or make it"
            return
        if error.code in ("301", "PermanentRedirect"):
            yield (
                f"s3://{name}: is in another region than {aws.region}: set "
                "executors.aws.region to the bucket's"
            )
            return
        raise
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    if region and region != aws.region:
        yield (
            f"s3://{name}: is in {region}, the machines would be in {aws.region}: "
            f"set executors.aws.region to '{region}'"
        )


def _is_there(ask: Callable[[], object], missing: str) -> Iterator[str]:
    try:
        ask()
    except AwsError as error:
        if error.code == "NoSuchEntity":
            yield missing
        elif error.passing or error.code not in ("AccessDenied", "403"):
            raise  # else: who may not look cannot tell


def _quota(app: App, machines: int) -> Iterator[str]:
    """Refuse more cores than the account may have as spot machines."""
    settings = app.settings
    try:
        found = app.aws.service_quotas.get_service_quota(
            ServiceCode=_SPOT_QUOTA[0],
            QuotaCode=_SPOT_QUOTA[1],
        )
        kind = app.aws.ec2.describe_instance_types(
            InstanceTypes=settings.machine_types[:1]
        )
    except AwsError as error:
        if error.passing:
            raise
        if error.code == "InvalidInstanceType":
            yield (
                f"executors.aws.machine_types: {settings.machine_types[0]}: there is "
                f"no such type in {app.aws.region}: name another"
            )
        return  # who may not look cannot tell
    most = found["Quota"]["Value"]
    each = kind["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"]
    if machines * each > most:
        yield (
            f"executors.aws.machines: {machines} {settings.machine_types[0]} "
            f"need {machines * each} vCPUs, and the account may have "
            f"{most:.0f} as spot machines: set at most {int(most // each)}, or ask AWS "
            "for more"
        )
