"""What moto lacks of fleets: asked for twice with one token, and made smaller."""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.fleets import Fleets
from moto.ec2.responses.spot_fleets import SpotFleets

Answer = Callable[[Any], Any]


def once(make: Answer, token: Callable[[Any], str | None]) -> Answer:
    """As AWS: who asks again with the same token gets the same fleet.

    Who asks for another one with it is refused, also when the fleet is gone.
    """

    def made_once(asked: Any) -> Any:
        backend, key = asked.ec2_backend, token(asked)
        known: dict[str, Any] = backend.__dict__.setdefault("tokens", {})
        if key is None:
            return make(asked)
        wanted = copy.deepcopy(asked.params)  # it changes them
        if key not in known:
            known[key] = wanted, make(asked)
        parameters, answer = known[key]
        if parameters != wanted:
            raise EC2ClientError(
                "IdempotentParameterMismatch", "The token was used for other parameters"
            )
        return answer

    return made_once


def modify_fleet(asked: Fleets) -> ActionResult:
    """Take a new capacity; as asked for, no machine is ended by it."""
    fleet = asked.ec2_backend.fleets[asked._get_param("FleetId")]
    capacity = asked._get_param("TargetCapacitySpecification")
    policy = asked._get_param("ExcessCapacityTerminationPolicy")
    assert policy == "no-termination"
    fleet.target_capacity = int(capacity["TotalTargetCapacity"])
    fleet.target_capacity_specification["TotalTargetCapacity"] = fleet.target_capacity
    return ActionResult({"Return": True})


def repair() -> None:
    Fleets.create_fleet = once(
        Fleets.create_fleet, lambda asked: asked._get_param("ClientToken")
    )
    SpotFleets.request_spot_fleet = once(
        SpotFleets.request_spot_fleet,
        lambda asked: asked._get_param("SpotFleetRequestConfig").get("ClientToken"),
    )
    Fleets.modify_fleet = modify_fleet
