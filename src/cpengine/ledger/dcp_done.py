"""What Distributed-CellProfiler left in storage: which jobs its own rule calls done.

Source: `worker/cp-worker.py` 2.2.1, its settings CHECK_IF_DONE_BOOL,
EXPECTED_NUMBER_FILES, MIN_FILE_SIZE_BYTES and NECESSARY_STRING.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cpengine.model import Job
from cpengine.storage.published import trees
from cpengine.storage.store import Storage


@dataclass(frozen=True, slots=True)
class DoneRule:
    """A job is done if its folder has enough files that are large enough.

    Unlike DCP's worker it counts past a thousand files, compares the string with
    names, and looks only at jobs that have a folder of their own.
    """

    expected_number_files: int
    min_file_size_bytes: int = 1
    necessary_string: str = ""

    def made(self, storage: Storage, jobs: Sequence[Job]) -> dict[str, int]:
        """How many files count, by job id, for the jobs that are done by this rule.

        Parameters
        ----------
        jobs
            Jobs of one step.
        """
        counts = {
            job.id: self._count(sizes)
            for job, sizes in zip(jobs, trees(storage, jobs), strict=True)
        }
        return {i: n for i, n in counts.items() if n >= self.expected_number_files}

    def _count(self, sizes: Mapping[str, int]) -> int:
        return sum(
            size >= self.min_file_size_bytes and self.necessary_string in name
            for name, size in sizes.items()
        )
