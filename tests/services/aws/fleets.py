"""moto's fleets of machines, repaired.

moto has no history of a fleet; forgets a spot fleet that is cancelled, and until when
a fleet is valid; fails at fleets that do not exist; leaves some machines of small
weight running; and buys too few of those of great weight.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.fleets import Fleet
from moto.ec2.models.spot_requests import SpotFleetRequest
from moto.ec2.responses.fleets import Fleets
from moto.ec2.responses.spot_fleets import SpotFleets

Ended = tuple[dict[str, str], dict[str, str]]
Counted = tuple[dict[Any, int], float]
ENDED_AT = "User initiated (%Y-%m-%d %H:%M:%S UTC)"  # as moto notes it
EXTRA_KEYS = ("ValidFrom", "ValidUntil", "TerminateInstancesWithExpiration", "Type")

_make = Fleet.__init__
_request = SpotFleets.request_spot_fleet
_config = SpotFleetRequest.spot_fleet_request_config.fget


def note_time(fleet: Fleet, *more: Any) -> None:
    fleet.create_time = datetime.now(UTC)
    _make(fleet, *more)


def launched_by(backend: Any, fleet: str) -> Iterator[Any]:
    """All instances that the fleet has ever launched."""
    for instance in backend.all_instances():
        if fleet in (instance._spot_fleet_id, instance._fleet_id):
            yield instance


def end_all(backend: Any, fleet: Any) -> None:
    fleet.target_capacity = 0
    ids = [instance.id for instance in launched_by(backend, fleet.id)]
    backend.terminate_instances(ids)


def launch_spec_counts(fleet: Any, weight_to_add: float) -> Counted:
    """How many machines of each kind make up a capacity: in turns, or the cheapest."""
    options = getattr(fleet, "spot_options", None) or {}
    strategy = options.get("AllocationStrategy")
    strategy = strategy or getattr(fleet, "allocation_strategy", "lowestPrice")
    specs = fleet.launch_specs
    if strategy != "diversified":
        cheapest = min(specs, key=lambda spec: float(spec.spot_price or "+inf"))
        count = math.ceil(weight_to_add / cheapest.weighted_capacity)
        return {cheapest: count}, count * cheapest.weighted_capacity
    counts: dict[Any, int] = {}
    added = 0.0
    while added < weight_to_add:
        spec = specs[sum(counts.values()) % len(specs)]
        counts[spec] = counts.get(spec, 0) + 1
        added += spec.weighted_capacity
    return counts, added


def _history(backend: Any, fleet: str, kind: str) -> list[dict[str, Any]]:
    seen = []
    for instance in launched_by(backend, fleet):
        begun = instance.launch_time.replace(microsecond=0, tzinfo=None)
        seen.append((begun, "launched", instance.id))
        if instance._state.name == "terminated":
            ended = datetime.strptime(instance._reason, ENDED_AT)
            seen.append((ended, "terminated", instance.id))
    return [
        {
            "EventInformation": {"EventSubType": what, "InstanceId": id},
            "EventType": kind,
            "Timestamp": when,
        }
        for when, what, id in sorted(seen)
    ]


def _answer(asked: Any, name: str, kind: str) -> ActionResult:
    """The history of one fleet, as far as it was asked for."""
    fleet = asked._get_param(name)
    wanted = asked._get_param("EventType") or kind
    records = _history(asked.ec2_backend, fleet, kind) if wanted == kind else []
    now = datetime.now(UTC)
    start = asked._get_param("StartTime") or now
    times = {"StartTime": start, "LastEvaluatedTime": now}
    return ActionResult({name: fleet, "HistoryRecords": records, **times})


def spot_fleet_history(asked: SpotFleets) -> ActionResult:
    return _answer(asked, "SpotFleetRequestId", "instanceChange")


def fleet_history(asked: Fleets) -> ActionResult:
    return _answer(asked, "FleetId", "instance-change")


def request_spot_fleet(asked: SpotFleets) -> ActionResult:
    config = asked._get_param("SpotFleetRequestConfig")
    config.setdefault("AllocationStrategy", "lowestPrice")
    answer: Any = _request(asked)
    made = asked.ec2_backend.spot_fleet_requests[answer.result["SpotFleetRequestId"]]
    made.extra_config = {name: config[name] for name in EXTRA_KEYS if name in config}
    made.create_time = datetime.now(UTC)
    return answer


def config_of(fleet: SpotFleetRequest) -> dict[str, Any]:
    return {**_config(fleet), **getattr(fleet, "extra_config", {})}


def cancel_spot_fleet_requests(asked: SpotFleets) -> ActionResult:
    """As AWS: a fleet that was cancelled is listed as such, and not cancelled twice."""
    known = asked.ec2_backend.spot_fleet_requests
    ids = asked._get_param("SpotFleetRequestIds", [])
    done, failed = _end(asked, known, ids, "cancelled")
    return ActionResult(
        {
            "SuccessfulFleetRequests": [
                {
                    "SpotFleetRequestId": id,
                    "PreviousSpotFleetRequestState": before,
                    "CurrentSpotFleetRequestState": known[id].state,
                }
                for id, before in done.items()
            ],
            "UnsuccessfulFleetRequests": [
                {"SpotFleetRequestId": id, "Error": _error(f"fleetRequest{why}")}
                for id, why in failed.items()
            ],
        }
    )


def delete_fleets(asked: Fleets) -> ActionResult:
    known = asked.ec2_backend.fleets
    done, failed = _end(asked, known, asked._get_param("FleetIds", []), "deleted")
    return ActionResult(
        {
            "SuccessfulFleetDeletions": [
                {
                    "FleetId": id,
                    "PreviousFleetState": before,
                    "CurrentFleetState": known[id].state,
                }
                for id, before in done.items()
            ],
            "UnsuccessfulFleetDeletions": [
                {"FleetId": id, "Error": _error(f"fleet{why}")}
                for id, why in failed.items()
            ],
        }
    )


def _end(asked: Any, known: dict[str, Any], ids: list[str], to: str) -> Ended:
    """End fleets; give the states that they had, and why others cannot end."""
    ends = asked._get_bool_param("TerminateInstances")
    done, failed = {}, {}
    for id in ids:
        fleet = known.get(id)
        if fleet is None:
            failed[id] = "IdDoesNotExist"
        elif fleet.state != "active":
            able = "Cancellable" if to == "cancelled" else "Deletable"
            failed[id] = f"NotIn{able}State"
        else:
            done[id] = fleet.state
            fleet.state = f"{to}_terminating" if ends else f"{to}_running"
            if ends:
                end_all(asked.ec2_backend, fleet)
    return done, failed


def _error(code: str) -> dict[str, str]:
    return {"Code": code, "Message": "The fleet cannot be ended."}


def repair() -> None:
    for fleet in (Fleet, SpotFleetRequest):
        fleet.get_launch_spec_counts = launch_spec_counts
    Fleet.__init__ = note_time
    SpotFleetRequest.spot_fleet_request_config = property(config_of)
    SpotFleets.request_spot_fleet = request_spot_fleet
    SpotFleets.cancel_spot_fleet_requests = cancel_spot_fleet_requests
    SpotFleets.describe_spot_fleet_request_history = spot_fleet_history
    Fleets.delete_fleets = delete_fleets
    Fleets.describe_fleet_history = fleet_history
