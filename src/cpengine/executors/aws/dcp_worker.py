"""Results of Distributed-CellProfiler's own worker, which tells nothing but files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cpengine.config.steps import DoneRule
from cpengine.ledger.dcp_done import counted_files
from cpengine.ledger.ledger import Ledger
from cpengine.model import Job, Outcome


@dataclass
class Stock:
    """Recognises done jobs by listings, and writes their markers.

    It uploads file by file, so that enough of them are believed only when a second look
    finds the same. What had enough before the run is believed when the queue is empty.
    """

    ledger: Ledger
    rule: DoneRule
    versions: Mapping[str, str]
    _seen: Mapping[str, int] = field(default_factory=dict)
    _before: Mapping[str, int] | None = None

    def outcomes(self, jobs: list[Job], *, drained: bool) -> list[Outcome]:
        """The jobs that are done since the last look.

        Parameters
        ----------
        drained
            Whether the queue is empty.
        """
        apart = [job for job in jobs if not job.shares_place]
        made = counted_files(self.rule, self.ledger.storage, apart) if apart else {}
        if self._before is None:
            self._before = made
        same = {job_id for job_id, n in made.items() if self._seen.get(job_id) == n}
        self._seen = made
        old = set() if drained else set(self._before)
        found = [self._done(job) for job in apart if job.id in same - old]
        if drained:
            found += [self._done(job) for job in jobs if job.shares_place]
        return [outcome for outcome in found if outcome.files]

    def _done(self, job: Job) -> Outcome:
        """The outcome by what is there; the ledger has it from now on."""
        files = self.ledger.storage.tree(job.destination)
        outcome = Outcome(job, files=files, versions=self.versions)
        if files:
            self.ledger.record(outcome)
        return outcome
