"""What Distributed-CellProfiler left in storage: which jobs its own rule calls done.

Source: `worker/cp-worker.py` 2.2.1, its setting CHECK_IF_DONE_BOOL.
"""

from collections.abc import Mapping, Sequence

from cpengine.config.steps import DoneRule
from cpengine.model import Job
from cpengine.storage.published import trees
from cpengine.storage.store import Storage


def counted_files(
    rule: DoneRule, storage: Storage, jobs: Sequence[Job]
) -> dict[str, int]:
    """How many files count, by job id, for the jobs that are done by a rule.

    Unlike DCP's worker it counts past a thousand files, compares the string with
    names, and looks only at jobs that have a folder of their own.

    Parameters
    ----------
    jobs
        Jobs of one step.
    """
    counts = {
        job.id: _count(rule, sizes)
        for job, sizes in zip(jobs, trees(storage, jobs), strict=True)
    }
    return {i: n for i, n in counts.items() if n >= rule.expected_number_files}


def _count(rule: DoneRule, sizes: Mapping[str, int]) -> int:
    return sum(
        size >= rule.min_file_size_bytes and rule.necessary_string in name
        for name, size in sizes.items()
    )
