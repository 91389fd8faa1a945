"""Results put in place and given up as jobs do it, without a CellProfiler."""

from collections.abc import Iterable
from pathlib import Path

from cpengine.job.publish import laid_beside, publish
from cpengine.job.turns import Taken
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job


def put(
    job: Job, ledger: Ledger, output: Path, names: Iterable[str], log: Path
) -> None:
    """Publish files of a folder as a job of no recorded run does."""
    with laid_beside(job, ledger, output, names) as parts:
        publish(Taken(ledger, job), parts, log)


def set_aside(ledger: Ledger, job: Job) -> None:
    """Take back that a job is done, as far as it knows of that."""
    for name in ledger.done_markers(job):
        ledger.set_aside(name)
