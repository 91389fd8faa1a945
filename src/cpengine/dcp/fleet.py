"""Spot fleet files, as `run.py startCluster` takes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpengine.dcp.config import source_of
from cpengine.errors import InputError


def check(path: Path) -> None:
    """Refuse a fleet file that could not start a machine.

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
    for key in _missing(fleet):
        raise InputError(f"{path}: {key}: is missing: add it")


def _missing(fleet: Any) -> Iterator[str]:
    if not _at(fleet, "IamFleetRole"):
        yield "IamFleetRole"
    machines = _at(fleet, "LaunchSpecifications")
    if not machines or not isinstance(machines, list):
        yield "LaunchSpecifications"
        return
    for number, machine in enumerate(machines):
        for keys in (["ImageId"], ["IamInstanceProfile", "Arn"]):
            if not _at(machine, *keys):
                yield f"LaunchSpecifications[{number}].{'.'.join(keys)}"


def _at(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
