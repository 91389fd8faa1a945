"""Who owns which file of a place where several jobs publish.

Claims lie beside the ledgers of all batches of a project, by the real place: whatever
a step or batch calls its output, it sees those of all others.
"""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from cpengine.ledger.ledger import Ledger, digest
from cpengine.model import Job
from cpengine.storage import keys
from cpengine.storage.parallel import each
from cpengine.storage.real_place import real_place


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a job's place, as this job has to do with them."""

    ledger: Ledger
    job: Job
    folder: str

    @classmethod
    def of_job(cls, ledger: Ledger, job: Job) -> Self:
        """Those of the place where a job publishes."""
        place = digest(real_place(ledger.storage, job.destination))
        return cls(ledger, job, posixpath.join(ledger.home, ".claims", place))

    def claim(self, file: str) -> str:
        """Make a file the job's own; give its owner until now.

        Empty if it had none. Of two jobs that claim a file at the same time, one owns
        it.
        """
        storage, key = self.ledger.storage, self._key(file)
        if not storage.create(key, self._owner.encode()):
            return storage.read_text(key)
        before = self._older_owner(file) if self.job.older_records else ""
        if before not in ("", self._owner):
            storage.remove(key)
        return before

    def is_own(self, owner: str) -> bool:
        """Whether an owner is this job."""
        return owner == self._owner

    def id_of(self, owner: str) -> str:
        """The id of the job that owns a file; empty if it is of another step."""
        start = f"{self.ledger.name} "
        return owner.removeprefix(start) if owner.startswith(start) else ""

    def shown(self, owner: str) -> str:
        """What to call an owner: by step and batch where these are others."""
        batch = posixpath.dirname(self.ledger.name)
        return self.id_of(owner) or owner.removeprefix(f"{batch}/")

    def owners(self) -> dict[str, str]:
        """Who owns which file; two listings, and a read for each."""
        names = dict.fromkeys(self._files(self.folder))
        older = dict.fromkeys(self._files(self._older_folder))
        owners = each(self._owner_of, names | older)
        pairs = zip(names | older, owners, strict=True)
        return {file: owner for file, owner in pairs if owner}

    def _files(self, folder: str) -> list[str]:
        found = self.ledger.storage.tree(folder)
        return [file for file in found if not posixpath.basename(file).startswith(".")]

    def _owner_of(self, file: str) -> str:
        data = self.ledger.storage.read_if_there(self._key(file))
        return self._older_owner(file) if data is None else _text(data)

    def sync(self, files: Iterable[str]) -> None:
        """Have claims outlast a power cut."""
        self.ledger.storage.sync(map(self._key, files))

    def give_up(self, file: str) -> None:
        """Give up a file."""
        self.ledger.storage.remove(self._key(file))
        if self.job.older_records:
            self.ledger.storage.remove(self._older_key(file))

    def release(self, file: str) -> None:
        """Give up a file of the past that may still be there, for others to replace."""
        if self.job.shared:
            self.ledger.storage.write(self._key(_released(file)), b"")
        self.give_up(file)

    def is_released(self, file: str) -> bool:
        """Whether a file that steps share was given up by its owner."""
        storage, note = self.ledger.storage, _released(file)
        if storage.read_if_there(self._key(note)) is not None:
            return True
        older = self.job.older_records
        return older and storage.read_if_there(self._older_key(note)) is not None

    @property
    def _owner(self) -> str:
        return f"{self.ledger.name} {self.job.id}"

    def _key(self, file: str) -> str:
        return keys.below(self.folder, file)

    @property
    def _older_folder(self) -> str:
        """Where versions before kept them: in the ledger, or beside the batch's."""
        claims = f"{self.ledger.folder}/claims"
        if self.job.shared:
            claims = self.ledger.older_folder(".claims", self.job)
        return f"{claims}/{self.job.place}"

    def _older_key(self, file: str) -> str:
        return keys.below(self._older_folder, file)

    def _older_owner(self, file: str) -> str:
        data = self.ledger.storage.read_if_there(self._older_key(file))
        if data is None:
            return ""
        if not self.job.shared:  # then it was an id, else a step and an id
            return f"{self.ledger.name} {_text(data)}"
        return posixpath.join(posixpath.dirname(self.ledger.name), _text(data))


def _released(file: str) -> str:
    """What says beside a claim that its file may be replaced."""
    folder, name = posixpath.split(file)
    return posixpath.join(folder, f".{name}.released")


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
