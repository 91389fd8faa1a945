"""What follows from failures: another try, the end of a run, a cure. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

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
    FailureKind.SPOT_LOST: "nothing: it is run again elsewhere",
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
    storage or machine failed waits, four times longer each time.
    """
    failure = outcome.failure
    if failure is None:
        return None
    job = replace(outcome.job, earlier=(*outcome.job.earlier, marker_of(outcome)))
    if failure.kind in UNCOUNTED:
        lost = job.earlier.count(marker_of(outcome))
        given_up = failure.kind is FailureKind.NODE_LOST and lost >= LOST
        return None if given_up else Retry(job, outcome.attempt)
    if failure.lasting or outcome.attempt >= ATTEMPTS.get(failure.kind, 1):
        return None
    if failure.kind is FailureKind.OUT_OF_MEMORY:
        more = job.memory_gb and job.memory_gb * 2
        job = replace(job, share=job.share * 2, memory_gb=more)
    waits = failure.kind in _PASSING
    wait = pause_s * 4 ** (outcome.attempt - 1) if waits else 0.0
    return Retry(job, outcome.attempt + 1, wait)


def given_up(outcome: Outcome) -> Outcome:
    """An outcome of a job that has lost its workers so often that it is not retried."""
    lost = (marker_of(outcome),) * LOST
    job = replace(outcome.job, earlier=(*outcome.job.earlier, *lost))
    return replace(outcome, job=job)


@dataclass
class Tally:
    """Counts a run's outcomes, and says when it is not worth going on.

    Parameters
    ----------
    limit
        So many failed jobs end the run; None ends it when the first `HOPELESS` that
        ended have all failed.
    """

    limit: int | None = None
    done: int = 0
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take in a job's outcome."""
        if outcome.failure:
            self.failed.append(outcome)
        else:
            self.done += 1

    @property
    def stopped(self) -> str:
        """Why the run should end, with the common cause; empty if it should not."""
        count = len(self.failed)
        if self.limit is not None:
            reached = count >= self.limit
        else:
            reached = count >= HOPELESS and not self.done
        if not reached:
            return ""
        common = causes(self.failed)[0]
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


def causes(failed: Iterable[Outcome]) -> list[Cause]:
    """The causes of failed outcomes, commonest first."""
    first: dict[object, Outcome] = {}
    counts: Counter[object] = Counter()
    for outcome in failed:
        failure = outcome.failure
        if failure:
            key = likeness(failure)
            first.setdefault(key, outcome)
            counts[key] += 1
    return [Cause(first[key], times) for key, times in counts.most_common()]


def likeness(failure: Failure) -> object:
    """What failures have in common that differ only in names, paths and numbers."""
    return failure.kind, failure.module, _OWN_WORDS.sub("*", failure.message)
