"""Ask for machines and containers: from here on it costs."""

import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path

from cpengine.errors import StorageError, writing
from cpengine.executors.aws import dashboard, fleet
from cpengine.executors.aws.app import App
from cpengine.executors.aws.client import AwsError
from cpengine.executors.aws.fleet import Fleet
from cpengine.executors.aws.fleet_claim import FleetClaim
from cpengine.ledger.run_record import now


def estimate(app: App, machines: int) -> str:
    """What so many machines cost at the most, in one line."""
    settings = app.settings
    an_hour, hours = machines * settings.machine_price, settings.life_h(machines)
    return (
        f"{settings.app}: {machines} x {settings.machine_types[0]} at "
        f"${settings.machine_price:.2f}: at most ${an_hour:.2f} an hour; AWS ends them "
        f"after {hours:.1f} h, at ${an_hour * hours:.2f}"
    )


def start_machines(app: App, machines: int, file: Path | None) -> Fleet:
    """Ask for machines, unless there are some, and have ECS start containers.

    Raises
    ------
    AwsError, StorageError
        AWS refuses something, or it cannot be written down.
    """
    settings = app.settings
    running = fleet.of_app(app)
    if settings.section.dashboard:
        dashboard.put_dashboard(app)
    service = app.service()
    # Fewer containers than run would end some in the middle of their jobs.
    there = int(str(service["desiredCount"])) if service and running else 0
    _containers(app, max(there, machines * settings.tasks_per_machine))
    if running:
        claim = FleetClaim.read(app.record)
        asked = replace(running[0], asked_by=str(claim or "somebody"))
    else:  # last: whatever is refused before costs nothing
        asked = _ask(app, machines, file)
    if settings.section.dashboard:
        with contextlib.suppress(AwsError):  # the one without machines stands
            dashboard.put_dashboard(app, asked.id)
    return asked


def _containers(app: App, count: int) -> None:
    """Have ECS run so many containers, as soon as there are machines."""
    app.aws.ecs.update_service(
        cluster=app.settings.cluster,
        service=app.settings.service,
        desiredCount=count,
    )


def _ask(app: App, machines: int, file: Path | None) -> Fleet:
    before, app.record.started = app.record.started, now()
    try:
        return fleet.request(app, machines, file)
    except (AwsError, StorageError) as error:
        if isinstance(error, AwsError) and not error.passing:  # it was refused
            app.record.started = before
            with contextlib.suppress(AwsError, StorageError):
                app.record.write()
                _containers(app, 0)  # machines of others could take them
            raise
        raise AwsError(
            f"{app.name}: whether machines run, and cost, is not known: run `cpengine "
            f"aws down` for the step: {error}"
        ) from error


def write_monitor_file(app: App, asked: Fleet, folder: Path) -> Path:
    """Write the file by which Distributed-CellProfiler's own client follows a run."""
    path = folder / "files" / f"{app.name}SpotFleetRequestId.json"
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(monitor_file(app, asked.id, time.time())))
    return path


def monitor_file(app: App, fleet_id: str, when: float) -> dict[str, str]:
    """Its eight keys.

    Parameters
    ----------
    when
        Seconds as of `time.time`.
    """
    return {
        "MONITOR_FLEET_ID": fleet_id,
        "MONITOR_APP_NAME": app.name,
        "MONITOR_ECS_CLUSTER": app.settings.cluster,
        "MONITOR_QUEUE_NAME": app.settings.queue,
        "MONITOR_BUCKET_NAME": app.settings.buckets.get("AWS_BUCKET", ""),
        "MONITOR_LOG_GROUP_NAME": app.settings.log_groups[0],
        "MONITOR_START_TIME": str(int(when * 1000)),
        "CLEAN_DASHBOARD": str(app.settings.section.dashboard),
    }
