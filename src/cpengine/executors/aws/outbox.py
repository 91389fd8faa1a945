"""Which jobs a queue has been sent, so that a client that comes again sends none twice.

A few objects beside the ledger, one for each round of sending. They hold for one life
of a queue: one that was made anew has been sent nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cpengine.ledger.ledger import Ledger
from cpengine.model import Job
from cpengine.storage.own_files import OwnFile, of_form

if TYPE_CHECKING:
    from cpengine.executors.aws.queue import Queue


@dataclass
class Sent:
    """The account of one queue."""

    ledger: Ledger
    life: str
    """Tells this queue from those before it of the same name."""
    _known: set[str] = field(default_factory=set)
    _rounds: int = 0

    @classmethod
    def open(cls, ledger: Ledger, queue: "Queue") -> "Sent":
        """Read the account; drop those of queues that are gone, or empty by now."""
        attributes = queue.attributes()
        counts = queue.counts()
        life = f"{queue.name}-{attributes.get('CreatedTimestamp', '0')}"
        folder = f"{ledger.folder}/sent"
        names = list(ledger.storage.sizes(folder))
        mine = [n for n in names if n.startswith(f"{life}~")] if counts.total else []
        for name in set(names) - set(mine):
            ledger.storage.remove(f"{folder}/{name}")
        sent = cls(ledger, life, _rounds=len(mine))
        keys = [f"{folder}/{name}" for name in mine]
        sent._known.update(*_ROUND.read_each(ledger.storage, keys))
        return sent

    def has(self, job: Job) -> bool:
        """Whether the queue was sent this job, as it stands now."""
        return _key(job) in self._known

    def add(self, jobs: Sequence[Job]) -> None:
        """Write down what was sent."""
        keys = [_key(job) for job in jobs]
        self._known.update(keys)
        self._rounds += 1
        name = f"{self.life}~{self._rounds:06d}.json"
        self.ledger.storage.write(
            f"{self.ledger.folder}/sent/{name}", json.dumps(keys).encode()
        )


_ROUND: OwnFile[list[str]] = OwnFile(
    of_form(list[str]), "go on: jobs are sent again, and two copies of one do no harm"
)


def sent_jobs(ledger: Ledger) -> frozenset[str]:
    """The ids of the jobs that were sent and may be in a queue or in a worker."""
    folder = f"{ledger.folder}/sent"
    keys = [f"{folder}/{name}" for name in ledger.storage.sizes(folder)]
    rounds = _ROUND.read_each(ledger.storage, keys)
    return frozenset(key.rsplit("~", 2)[0] for sent in rounds for key in sent)


def _key(job: Job) -> str:
    """A job, what it is made of, and after which earlier runs."""
    earlier = hashlib.sha256("\n".join(sorted(job.earlier)).encode()).hexdigest()[:8]
    return f"{job.id}~{job.fingerprint}~{earlier}"
