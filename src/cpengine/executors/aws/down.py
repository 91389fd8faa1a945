"""Take down what a step's run has made: by its record, or by names and tags alone.

Every part can be done again, and goes on where one before it has failed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from cpengine.errors import StorageError
from cpengine.executors.aws import fleet
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import Aws, AwsError, items
from cpengine.executors.aws.fleet_claim import give_up
from cpengine.executors.aws.queue import Queue
from cpengine.executors.aws.record import AwsRecord
from cpengine.ledger.run_record import now

_GONE = frozenset(
    {
        "ServiceNotFoundException",
        "ServiceNotActiveException",
        "ClusterNotFoundException",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidLaunchTemplateId.NotFound",
        "NotFoundException",
    }
)
_CHECK_EVERY_S = 0.5
_EXPORT_S = 3600.0
_EXPORTING = ("PENDING", "RUNNING")


def stop_billing(app: App) -> None:
    """End workers and machines; all that costs by the hour.

    Raises
    ------
    AwsError
        Something could not be ended; all else was.
    """
    _all(lambda: _no_tasks(app), lambda: _no_machines(app))


def down(app: App, wait_s: float = 150.0) -> list[str]:
    """Take everything down; give what is kept on purpose, one line each.

    Parameters
    ----------
    wait_s
        How long to wait for containers to give back their jobs.

    Raises
    ------
    AwsError
        Something could not be removed; all else was.
    """
    remaining: list[str] = []
    saved: set[str] = set()
    _all(
        lambda: _end_tasks(app, wait_s),
        lambda: _end_machines(app),
        lambda: _no_alarms(app),
        lambda: _no_dashboard(app),
        lambda: _export_logs(app, saved),
        lambda: _no_service(app),
        lambda: _no_task_definitions(app),
        lambda: _no_cluster(app),
        lambda: remaining.extend(_no_queues(app)),
        lambda: remaining.extend(_no_logs(app, saved)),
    )
    _write_down(app)
    return remaining


def _write_down(app: App) -> None:
    """Write that all is down, but not over what another app has."""
    found = AwsRecord.look_up(app.record.storage, app.record.folder)
    if isinstance(found, AwsRecord) and found.holds_off(app.name):
        return
    app.record.made.clear()
    app.record.down = now()
    app.record.write()


def _all(*parts: Callable[[], object]) -> None:
    """Do all parts; raise the first error when all have been tried."""
    errors = []
    for part in parts:
        try:
            part()
        except AwsError as error:
            errors.append(error)
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except AwsError as error:
        if error.code not in _GONE:
            raise


def _end_tasks(app: App, wait_s: float) -> None:
    _no_tasks(app)
    _wait_for_tasks(app, wait_s)


def _no_tasks(app: App) -> None:
    """Have ECS end all containers, and start none again."""
    with _unless_gone():
        app.aws.ecs.update_service(
            cluster=app.record.cluster,
            service=app.settings.service,
            desiredCount=0,
        )


def _wait_for_tasks(app: App, wait_s: float) -> None:
    """Wait until containers have ended, so that no job is cut off."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        service = app.service()
        if service is None or not service["runningCount"] + service["pendingCount"]:
            return
        time.sleep(_CHECK_EVERY_S)


def _no_machines(app: App) -> None:
    """End all fleets, also when one of them cannot be ended."""

    def end(request: fleet.Fleet) -> Callable[[], None]:
        return lambda: request.cancel()

    _all(*map(end, fleet.of_app(app)), lambda: _no_templates(app))


def _end_machines(app: App) -> None:
    _no_machines(app)
    with contextlib.suppress(StorageError):  # the next start takes longer then
        give_up(app.record)


def _no_templates(app: App) -> None:
    for name in _templates(app):
        with _unless_gone():
            app.aws.ec2.delete_launch_template(LaunchTemplateName=name)


def _templates(app: App) -> set[str]:
    tagged = items(
        app.aws.ec2.get_paginator("describe_launch_templates").paginate(
            Filters=[{"Name": "tag:cpengine:app", "Values": [app.name]}]
        ),
        lambda page: page.get("LaunchTemplates", ()),
    )
    return {template["LaunchTemplateName"] for template in tagged}


def alarms(aws: Aws, app: str) -> list[str]:
    """The alarms on an app's machines."""
    found = items(
        aws.cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"{app}_i-"
        ),
        lambda page: page.get("MetricAlarms", ()),
    )
    return [alarm["AlarmName"] for alarm in found]


def _no_alarms(app: App) -> None:
    names = alarms(app.aws, app.name)
    for start in range(0, len(names), 100):
        some = names[start : start + 100]
        app.aws.cloudwatch.delete_alarms(AlarmNames=some)


def _no_dashboard(app: App) -> None:
    with _unless_gone():
        app.aws.cloudwatch.delete_dashboards(DashboardNames=[app.name])


def _export_logs(app: App, saved: set[str]) -> None:
    """Copy the logs to the bucket, where that is wanted; note what came there whole."""

    def export(group: str) -> Callable[[], None]:
        return lambda: _export(app, group, saved)

    if app.settings.section.export_logs:
        _all(*map(export, app.settings.log_groups))


def _export(app: App, group: str, saved: set[str]) -> None:
    bucket = app.settings.buckets.get("AWS_BUCKET")
    if not bucket:
        return
    with _unless_gone():
        made = app.aws.logs.create_export_task(
            logGroupName=group,
            fromTime=0,
            to=int(time.time() * 1000),
            destination=bucket,
            destinationPrefix=f"exportedlogs/{group}",
        )
        _wait_for_export(app, group, made["taskId"])
        saved.add(group)


def _wait_for_export(app: App, group: str, task: str) -> None:
    """AWS exports one group at a time."""
    until = time.monotonic() + _EXPORT_S
    code = "RUNNING"
    while code in _EXPORTING and time.monotonic() < until:
        found = app.aws.logs.describe_export_tasks(taskId=task)
        code = found["exportTasks"][0]["status"]["code"]
        time.sleep(_CHECK_EVERY_S if code in _EXPORTING else 0)
    if code != "COMPLETED":
        raise AwsError(
            f"log group {group}: its export is {code}: see export tasks in CloudWatch, "
            "and whether the bucket has the policy of backends/aws; the logs stay, run "
            "`cpengine aws down` again"
        )


def _no_service(app: App) -> None:
    with _unless_gone():
        app.aws.ecs.delete_service(
            cluster=app.record.cluster,
            service=app.settings.service,
            force=True,
        )


def _no_task_definitions(app: App) -> None:
    found = items(
        app.aws.ecs.get_paginator("list_task_definitions").paginate(
            familyPrefix=app.settings.task, status="ACTIVE"
        ),
        lambda page: page.get("taskDefinitionArns", ()),
    )
    for arn in list(found):
        family = arn.rpartition("/")[2].rpartition(":")[0]
        if family == app.settings.task:  # a prefix may be another's name, too
            app.aws.ecs.deregister_task_definition(taskDefinition=arn)


def _no_cluster(app: App) -> None:
    """Remove the cluster if cpengine has made it and nothing uses it any more."""
    name = app.record.cluster
    found = app.aws.ecs.describe_clusters(clusters=[name], include=["TAGS"])["clusters"]
    if not found or name == "default":
        return
    used = ("activeServicesCount", "runningTasksCount", "pendingTasksCount")
    ours = any(tag["key"] == "cpengine:app" for tag in found[0].get("tags", ()))
    if ours and not any(found[0].get(count, 0) for count in used):
        try:
            app.aws.ecs.delete_cluster(cluster=name)
        except AwsError as error:  # machines that end are in it for a while
            if error.code not in _GONE and not error.code.startswith("ClusterContains"):
                raise


def _no_queues(app: App) -> list[str]:
    jobs = Queue.find(app.aws, app.settings.queue)
    if jobs is not None and _is_ours(app, jobs):
        jobs.remove()
    dead = Queue.find(app.aws, app.settings.dead_letters)
    if dead is None or not app.settings.own_dead_letters or not _is_ours(app, dead):
        return []
    letters = dead.counts().total
    if letters:
        return [
            f"queue {dead.name}: has {letters} dead letters: see `cpengine aws "
            "monitor --once`"
        ]
    dead.remove()
    return []


def _is_ours(app: App, queue: Queue) -> bool:
    return queue.tags().get("cpengine:project") == app.settings.project


def _no_logs(app: App, saved: set[str]) -> list[str]:
    """Remove log groups, but none that is wanted; give those that stay."""
    section = app.settings.section
    remaining = []
    for name in [name for name in app.settings.log_groups if _has_logs(app, name)]:
        if section.keep_logs:
            remaining.append(f"log group {name}: kept, as keep_logs says")
        elif section.export_logs and name not in saved:
            remaining.append(f"log group {name}: kept, for it is not in the bucket")
        else:
            with _unless_gone():
                app.aws.logs.delete_log_group(logGroupName=name)
    return remaining


def _has_logs(app: App, name: str) -> bool:
    found = app.aws.logs.describe_log_groups(logGroupNamePrefix=name)
    return any(group["logGroupName"] == name for group in found["logGroups"])
