"""What happens while jobs run, as values that views can follow."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from cpengine.model import Job, Outcome

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobStarted:
    """An attempt at a job has begun."""

    job: Job
    attempt: int


Phase: TypeAlias = Literal["fetching", "waiting", "checking", "running", "publishing"]


@dataclass(frozen=True, slots=True)
class PhaseBegun:
    """An attempt has come to its next phase."""

    job: Job
    phase: Phase


@dataclass(frozen=True, slots=True)
class LogBegun:
    """CellProfiler is about to run; what it says will be in a file of the attempt's."""

    job: Job
    log: Path


@dataclass(frozen=True, slots=True)
class ProcessEachJob:
    """CellProfiler cannot be kept running, so a job starts one of its own."""

    why: str


@dataclass(frozen=True, slots=True)
class ModuleDone:
    """CellProfiler has finished one module on one image set."""

    job: Job
    image_number: int
    module: str
    module_num: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class JobRetried:
    """An attempt failed in a way that is worth another try."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job has come to its outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about the place where jobs run that the user should know."""

    what: str


@dataclass(frozen=True, slots=True)
class RunStopped:
    """No more jobs are started, because too many have failed."""

    why: str


Event: TypeAlias = (
    JobStarted
    | PhaseBegun
    | LogBegun
    | ProcessEachJob
    | ModuleDone
    | JobRetried
    | JobEnded
    | Noted
    | RunStopped
)
Listener: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener of those who do not watch."""


def steady(listen: Listener) -> Listener:
    """A listener that harms no job: its first fault is logged, the others are not."""
    reported = False

    def hear(event: Event) -> None:
        nonlocal reported
        try:
            listen(event)
        except Exception:  # whatever a listener does, jobs go on
            if not reported:
                _LOG.exception("what follows the jobs has failed; they go on")
            reported = True

    return hear
