"""Markers: the small files beside the outputs that say what came of each job.

A marker is named `<job id>~<fingerprint>~<CellProfiler version>.<state>`, so that "what
is left" and why costs one listing and no file is opened. A failed job's marker has the
kind of failure in its state: `.failed-crash`.
"""

from enum import StrEnum
from typing import NamedTuple

from cpengine.model import Outcome


class MarkerState(StrEnum):
    """What a marker stands for."""

    DONE = "done"
    FAILED = "failed"
    REPLACED = "replaced"
    """Results that a run is replacing, or was when it was killed: it keeps their names,
    so that those which are made no more can be removed."""


_MARKER_STATES = frozenset(MarkerState)


class Marker(NamedTuple):
    """What a marker's name tells."""

    job_id: str
    fingerprint: str
    version: str
    state: MarkerState
    failure: str = ""

    @classmethod
    def parse(cls, name: str) -> "Marker | None":
        """Read a marker's name; None for any other file's."""
        stem, _, ending = name.rpartition(".")
        state, _, failure = ending.partition("-")
        parts = stem.rsplit("~", 2)
        if name.startswith(".") or len(parts) != 3 or state not in _MARKER_STATES:
            return None
        job_id, made_of, version = parts
        return cls(job_id, made_of, version, MarkerState(state), failure)

    def __str__(self) -> str:
        ending = f"{self.state}-{self.failure}" if self.failure else self.state
        return f"{self.job_id}~{self.fingerprint}~{self.version}.{ending}"


def marker_of(outcome: Outcome) -> str:
    """The name of the marker that an outcome leaves."""
    return str(
        Marker(
            outcome.job.id,
            outcome.job.fingerprint,
            outcome.versions.get("cellprofiler", ""),
            MarkerState.DONE if outcome.done else MarkerState.FAILED,
            outcome.failure.kind if outcome.failure else "",
        )
    )
