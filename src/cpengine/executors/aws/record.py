"""What a step's run has made on AWS: written down before it is made.

So that whoever comes later, with nothing but the outputs, can take it down again.
"""

import json
import posixpath
from dataclasses import dataclass, field
from typing import Any

from pydantic import InstanceOf

from cpengine.ledger.run_record import now
from cpengine.rules import Finding
from cpengine.storage.own_files import OwnFile, of_form, unless_damaged
from cpengine.storage.store import Storage

NAME = "aws.json"
_CURE = (
    "go on, for all has tags, too: `cpengine aws audit` lists what is there, and "
    "`cpengine aws down` takes it down"
)


@dataclass
class AwsRecord:
    """One app's things, beside the ledger of its step."""

    storage: InstanceOf[Storage]
    folder: str
    """The step's ledger."""
    app: str
    project: str = ""
    owner: str = ""
    account: str = ""
    region: str = ""
    cluster: str = ""
    dead_letters: str = ""
    """The queue that the user shares between runs; empty if the run has its own."""
    log_group: str = ""
    """The user's log group; empty if it is named as the app."""
    begun: str = field(default_factory=now)
    made: list[list[str]] = field(default_factory=list)
    """Kind and name of each thing, in the order they were made."""
    machine_price: float = 0.0
    started: str = ""
    """When machines were asked for; empty before."""
    down: str = ""
    """When all was taken down; empty before."""

    @classmethod
    def read(cls, storage: Storage, folder: str) -> "AwsRecord | None":
        """The record of a ledger's folder, if it has one that can be read."""
        return unless_damaged(cls.look_up(storage, folder))

    @classmethod
    def look_up(cls, storage: Storage, folder: str) -> "AwsRecord | Finding | None":
        """The record of a ledger's folder, or that it is damaged; None if it has none.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        own = {"storage": storage, "folder": folder}
        kind: OwnFile[AwsRecord] = OwnFile(lambda data: _FORM(data | own), _CURE)
        return kind.look_up(storage, _key(folder))

    @property
    def is_up(self) -> bool:
        """Whether it tells of things that are there, as far as is known."""
        return bool(self.made) and not self.down

    def holds_off(self, app: str) -> bool:
        """Whether it tells of what another app has, which is not down."""
        return self.app != app and not self.down

    def write(self) -> None:
        """Keep it. Raises StorageError if that is not possible."""
        self.storage.write(_key(self.folder), json.dumps(self.to_json()).encode())

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        rest = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {k: v for k, v in rest.items() if k not in ("storage", "folder")}

    def note(self, kind: str, name: str) -> None:
        """Write down a thing that is about to be made."""
        if [kind, name] not in self.made:
            self.made.append([kind, name])
            self.write()

    def has(self, kind: str, name: str) -> bool:
        """Whether it was this run, or one before it, that made a thing."""
        return [kind, name] in self.made

    def names(self, kind: str) -> list[str]:
        """The names of all things of a kind."""
        return [name for made_kind, name in self.made if made_kind == kind]


_FORM = of_form(AwsRecord)


def _key(folder: str) -> str:
    return posixpath.join(folder, NAME)
