"""Spot fleet files, as `run.py startCluster` takes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpengine.dcp.config import source_of
from cpengine.errors import InputError


def read(path: Path) -> dict[str, Any]:
    """Read a fleet file; refuse one that could not start a machine.

    Raises
    ------
    InputError
        It is missing, is not JSON, or misses a key that every fleet needs.
    """
    try:
        fleet = json.loads(source_of(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not JSON ({error}): mend it") from error
    if missing := list(_missing(fleet)):
        raise InputError(f"{path}: {', '.join(missing)}: is missing: add it")
    found: dict[str, Any] = fleet
    return found


def _missing(fleet: Any) -> Iterator[str]:
    if not _at(fleet, "IamFleetRole"):
        yield "IamFleetRole"
    machines = _at(fleet, "LaunchSpecifications")
    if not machines or not isinstance(machines, list):
        yield "LaunchSpecifications"
        return
    for number, machine in enumerate(machines):
        place = f"LaunchSpecifications[{number}]"
        if not _at(machine, "ImageId"):
            yield f"{place}.ImageId"
        profile = _at(machine, "IamInstanceProfile")
        if not _at(profile, "Arn") and not _at(profile, "Name"):
            yield f"{place}.IamInstanceProfile.Arn"


def _at(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None
