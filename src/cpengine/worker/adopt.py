"""Jobs that Distributed-CellProfiler's own client sent, which know of no ledger."""

import hashlib
import posixpath
from dataclasses import replace

from cpengine.config.steps import DoneRule
from cpengine.ledger.dcp_done import counted_files
from cpengine.marker import Marker, MarkerState
from cpengine.model import Job
from cpengine.storage.store import Storage

LEDGER = ".cpengine"


def adopt(job: Job, cellprofiler: str) -> Job:
    """Give a job a ledger beside its results, and have it run though it is done.

    Its own client knows nothing of markers, and asks for what it wants to be run.

    Parameters
    ----------
    cellprofiler
        The version that runs it.
    """
    if job.ledger:
        return job
    text = repr(sorted(job.to_message().items()))
    fingerprint = f"dcp{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    marker = Marker(job.id, fingerprint, cellprofiler, MarkerState.DONE)
    return replace(
        job,
        step=job.step or posixpath.basename(job.pipeline).partition(".")[0],
        ledger=posixpath.join(job.output, LEDGER),
        fingerprint=fingerprint,
        earlier=(str(marker),),
    )


def is_done(job: Job, rule: DoneRule | None, outputs: Storage) -> bool:
    """Whether such a job is done by Distributed-CellProfiler's own rule."""
    foreign = job.ledger.endswith(f"/{LEDGER}") and not job.shares_place
    return bool(rule and foreign and counted_files(rule, outputs, [job]))
