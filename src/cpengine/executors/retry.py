"""What follows from failures: another try, the end of a run, a cure. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cpengine.marker import marker_of
from cpengine.model import ATTEMPTS, UNCOUNTED, Failure, FailureKind, Job, Outcome

HOPELESS = 10
"""So many failures before the first success end a run that sets no limit."""

CURES: Mapping[FailureKind, str] = {
    FailureKind.BAD_INPUT: "do as it says and run again: only what is left runs",
    FailureKind.CELLPROFILER: "read the log; try one group with --well and --site",
    FailureKind.NO_OUTPUT: "let the pipeline save to the Default Output Folder, and "
    "check that its modules find something",
    FailureKind.OUT_OF_MEMORY: "run fewer jobs at a time (--workers), or raise the "
    "step's memory_gb",
    FailureKind.TIMEOUT: "raise the step's timeout_min, or look in the log for the "
    "module that takes long",
    FailureKind.STALLED: "read the log's last lines; raise the step's stall_min if "
    "it was only waiting",
    FailureKind.CRASH: "read the log's last lines; if it crashes again, try the group "
    "in CellProfiler itself",
    FailureKind.NODE_LOST: "run again; if it ends its workers each time, give them "
    "more walltime or memory_gb",
    FailureKind.SPOT_LOST: "run again, on machines that are not taken back so often, "
    "such as another partition, if there are any",
    FailureKind.STORAGE: "do as it says and run again: only what is left runs",
    FailureKind.MACHINE: "see that CellProfiler is there; run fewer jobs at a time "
    "(--workers), or raise the machine's limits (ulimit -n, -u)",
    FailureKind.INTERNAL: "this is a fault of cpengine: report it, with the traceback "
    "at the end of the log",
    FailureKind.SUPERSEDED: "nothing, if the later run is the one you want; else run "
    "it again",
    FailureKind.CANCELLED: "run again for the rest",
    FailureKind.UNKNOWN: "see what the version of cpengine that ran it says of it, or "
    "run it again",
}
"""What a user can do about each kind of failure."""

_PASSING = frozenset({FailureKind.STORAGE, FailureKind.MACHINE})
"""What may pass while the next try waits."""
MOST_CAUSES = 100
"""So many causes of a run's failures are told apart; others go by their kind."""
LOST = 5
"""A job that has lost its worker so often is given up: it may be what ends them."""

_OWN_WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*|\b[A-Za-z]*\d[\w.-]*")


@dataclass(frozen=True, slots=True)
class Retry:
    """Another try at a job."""

    job: Job
    attempt: int
    after_s: float = 0.0
    """Seconds to wait before it."""


def next_try(outcome: Outcome, pause_s: float) -> Retry | None:
    """The next try that an outcome asks for, if any.

    One that ran out of memory gets twice the memory and twice the slots. One whose
    storage or machine failed, or whose worker was lost, waits, four times longer each
    time.

    Parameters
    ----------
    pause_s
        Seconds of the first wait.
    """
    failure = outcome.failure
    if failure is None:
        return None
    job = replace(outcome.job, earlier=(*outcome.job.earlier, marker_of(outcome)))
    if failure.kind in UNCOUNTED:
        job = replace(job, lost=job.lost + 1)
        wait = _wait(pause_s, job.lost)
        return None if job.lost >= LOST else Retry(job, outcome.attempt, wait)
    if failure.lasting or outcome.attempt >= ATTEMPTS.get(failure.kind, 1):
        return None
    if failure.kind is FailureKind.OUT_OF_MEMORY:
        more = job.memory_gb and job.memory_gb * 2
        job = replace(job, share=job.share * 2, memory_gb=more)
    passes = failure.kind in _PASSING
    wait = _wait(pause_s, outcome.attempt) if passes else 0.0
    return Retry(job, outcome.attempt + 1, wait)


def _wait(pause_s: float, failures: int) -> float:
    return float(pause_s * 4 ** (failures - 1))


def given_up(job: Job) -> Job:
    """A job that has lost its workers so often that it is not tried again."""
    return replace(job, lost=LOST)


@dataclass
class Tally:
    """Counts a run's outcomes, and says when it is not worth going on.

    Of a million that failed it keeps a few: the ledger has them all.

    Parameters
    ----------
    limit
        So many failed jobs end the run; None ends it when the first `HOPELESS` that
        ended have all failed.
    """

    limit: int | None = None
    done: int = 0
    failed: int = 0
    _causes: "CauseCounts" = field(default_factory=lambda: CauseCounts())

    def add(self, outcome: Outcome) -> None:
        """Take in a job's outcome."""
        self.done += outcome.done
        self.failed += not outcome.done
        self._causes.add(outcome)

    @property
    def causes(self) -> "list[Cause]":
        """Why jobs failed, the commonest cause first."""
        return self._causes.commonest()

    @property
    def stopped(self) -> str:
        """Why the run should end, with the common cause; empty if it should not."""
        count = self.failed
        if self.limit is not None:
            reached = count >= self.limit
        else:
            reached = count >= HOPELESS and not self.done
        if not reached:
            return ""
        common = self.causes[0]
        jobs = "1 job" if count == 1 else f"{count} jobs"
        return f"{jobs} failed, {common.times} of them so: {common}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures that differ only in names, paths and numbers."""

    first: Outcome
    times: int

    def __str__(self) -> str:
        assert self.first.failure is not None
        return str(replace(self.first.failure, log=None))

    def to_json(self) -> dict[str, Any]:
        """The cause as `--json` prints it."""
        return {"jobs": self.times, "first": self.first.to_json()}

    @property
    def has_log(self) -> bool:
        """Whether CellProfiler got so far as to write one."""
        assert self.first.failure is not None
        return self.first.failure.log is not None

    @property
    def cure(self) -> str:
        """What a user can do about it."""
        assert self.first.failure is not None
        return CURES[self.first.failure.kind]


class CauseCounts:
    """Counts failed outcomes by cause, and keeps the first of each."""

    def __init__(self) -> None:
        self._first: dict[object, Outcome] = {}
        self._times: Counter[object] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Take in an outcome."""
        if outcome.failure:
            key = likeness(outcome.failure, self._first)
            self._first.setdefault(key, outcome)
            self._times[key] += 1

    def commonest(self) -> list[Cause]:
        """The causes, commonest first."""
        return [Cause(self._first[key], n) for key, n in self._times.most_common()]


def causes(failed: Iterable[Outcome]) -> list[Cause]:
    """The causes of failed outcomes, commonest first."""
    counts = CauseCounts()
    for outcome in failed:
        counts.add(outcome)
    return counts.commonest()


def likeness(failure: Failure, known: Collection[object] = ()) -> object:
    """What failures have in common that differ only in names, paths and numbers.

    Parameters
    ----------
    known
        That of earlier ones; if they are many, a new one goes by its kind alone.
    """
    key = failure.kind, failure.module, _OWN_WORDS.sub("*", failure.message)
    return key if key in known or len(known) < MOST_CAUSES else failure.kind
