"""What comparisons of accelerated modules with plain ones have found, for all workers.

A step's ledger has a small file for each kind of processor on which they gave the same
bytes, and one if they ever did not: from then on no worker uses them in that step. Both
are named by what they hold for: the pipeline, its plugins, CellProfiler's version and
the code of the accelerations. A change of any of them begins anew.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from cpengine.cellprofiler.host_accelerations import code_digest
from cpengine.errors import StorageError
from cpengine.ledger.ledger import Ledger
from cpengine.model import ExactCheck, Job
from cpengine.planning import fingerprint
from cpengine.storage.own_files import OwnFile

OK, OFF = "exact-ok", "exact-off"
"""Folders of a step's ledger."""
POLL_S = 60.0
"""A worker learns so late of a difference that another one has found."""


def _why(data: Any) -> str:
    first, place = str(data["differences"][0]), str(data["place"])
    return f"they differed from plain modules in {data['job']} ({first}): see {place}"


_OFF_FILE = OwnFile(_why, "remove it: accelerations are used again, and compared")


@dataclass
class ExactMarks:
    """What one machine knows of them; its jobs share it."""

    _off: dict[str, tuple[float, str]] = field(default_factory=dict)
    """By key, when it was asked for and what it says."""
    _good: set[str] = field(default_factory=set)
    """Keys of comparisons that were good."""
    _begun: set[str] = field(default_factory=set)
    """Keys of those under way in a job of this machine."""
    _lock: Lock = field(default_factory=Lock)

    def why_off(self, ledger: Ledger, job: Job, cellprofiler: str) -> str:
        """Why accelerations are not used in a job's step; empty if they are.

        One request a minute and step; a ledger that cannot be asked forbids nothing.
        """
        key, now = _off_key(ledger, job, cellprofiler), time.monotonic()
        with self._lock:
            asked, why = self._off.get(key, (-POLL_S, ""))
            if why or now - asked < POLL_S:
                return why
            self._off[key] = now, ""
        with contextlib.suppress(StorageError):
            why = _OFF_FILE.read(ledger.storage, key) or ""
        with self._lock:
            known = self._off[key][1]
            self._off[key] = now, known or why
            return known or why

    def begin(self, key: str) -> None:
        """Let no other job of this machine take what a key stands for as new."""
        with self._lock:
            self._begun.add(key)

    def is_new(self, ledger: Ledger, key: str) -> bool:
        """Whether nobody has compared yet what a key stands for: the caller is to."""
        with self._lock:
            if key in self._good | self._begun:
                return False
            self._begun.add(key)
        if ledger.storage.read_if_there(key) is None:
            return True
        with self._lock:
            self._good.add(key)
        return False

    def end(self, key: str) -> None:
        """Let other jobs compare, unless it is known by now that all is good."""
        with self._lock:
            self._begun.discard(key)

    def passed(self, ledger: Ledger, key: str, facts: Mapping[str, Any]) -> None:
        """Keep that a comparison was good, as far as the ledger takes it."""
        with self._lock:
            self._good.add(key)
        with contextlib.suppress(StorageError):
            ledger.storage.write(key, _text(facts))

    def differed(
        self, ledger: Ledger, job: Job, cellprofiler: str, check: ExactCheck
    ) -> None:
        """Switch accelerations off in a job's step, for all workers.

        Raises
        ------
        StorageError
            The ledger cannot be written.
        """
        key = _off_key(ledger, job, cellprofiler)
        facts = {
            "job": job.id,
            "differences": list(check.differences),
            "place": check.place,
            "exact": list(check.exact),
        }
        with self._lock:
            self._off[key] = time.monotonic(), _why(facts)
        ledger.storage.write(key, _text(facts), durable=True)


def ok_key(
    ledger: Ledger,
    job: Job,
    cellprofiler: str,
    names: Sequence[str],
    processor: Mapping[str, str | int],
) -> str:
    """The key of the file that says that these accelerations were compared there."""
    computing = [list(names), sorted(processor.items())]
    digest = _digest(_of_step(job, cellprofiler), computing)
    return f"{ledger.folder}/{OK}/{digest}"


def _off_key(ledger: Ledger, job: Job, cellprofiler: str) -> str:
    return f"{ledger.folder}/{OFF}/{_digest(_of_step(job, cellprofiler))}"


def _of_step(job: Job, cellprofiler: str) -> list[str]:
    return [fingerprint.code_of(job.fingerprint), cellprofiler, code_digest()]


def _digest(*content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _text(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1) + "\n").encode()
