"""What is in a marker: an outcome, read back whole or found damaged."""

from datetime import datetime
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from cpengine.marker import Marker, MarkerState
from cpengine.model import Job, Outcome
from cpengine.storage.own_files import OwnFile

_CURE = "run its job again with --force"
_JOB, _OUTCOME = TypeAdapter(Job), TypeAdapter(Outcome)


def marker_file(name: str) -> OwnFile[Outcome]:
    """How the marker of that name is read."""
    return OwnFile(partial(_outcome, name), _CURE)


def _outcome(name: str, data: Any) -> Outcome:
    """The outcome that a marker holds. Raises where it is none, or another's."""
    outcome = Outcome.from_json(data)
    job = _JOB.validate_python(_fields(outcome.job))
    outcome = _OUTCOME.validate_python(_fields(outcome) | {"job": job})
    if outcome.started:
        datetime.fromisoformat(outcome.started)
    marker = Marker.parse(name)
    failed = marker is not None and marker.state is MarkerState.FAILED
    if marker is None or marker.job_id != job.id or failed == outcome.done:
        raise ValueError("it holds what another marker does")
    return outcome


def _fields(value: Job | Outcome) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
