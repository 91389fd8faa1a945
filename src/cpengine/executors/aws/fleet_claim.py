"""One fleet a run, however many clients ask for it at once: they share one token.

AWS gives one fleet for a token. Nothing is locked: who dies here holds up nobody.
"""

import json
import posixpath
import secrets
import socket
from dataclasses import asdict, dataclass, field

from cpengine.executors.aws.record import AwsRecord
from cpengine.ledger.run_record import now, user_name
from cpengine.storage.own_files import OwnFile, of_form

NAME = "aws-fleet.json"


def _who() -> str:
    return f"{user_name()} on {socket.gethostname()}"


@dataclass(frozen=True, slots=True)
class FleetClaim:
    """Who was the first to ask for the fleet that is to be, and by which token."""

    token: str = field(default_factory=lambda: secrets.token_hex(16))
    who: str = field(default_factory=_who)
    since: str = field(default_factory=now)

    @classmethod
    def of(cls, record: AwsRecord) -> "FleetClaim":
        """The one beside a record; ours, if there was none.

        Raises
        ------
        StorageError
            It can be neither written nor read.
        """
        mine = cls()
        if record.storage.create(_key(record), mine._data):
            return mine
        found = cls.read(record)
        if found is None:  # damaged, or just removed
            record.storage.write(_key(record), mine._data)
        return found or mine

    @classmethod
    def read(cls, record: AwsRecord) -> "FleetClaim | None":
        """The one beside a record, if there is one that can be read."""
        return _FILE.read(record.storage, _key(record))

    def renewed(self, record: AwsRecord) -> "FleetClaim":
        """Another one in place of this one, whose fleet is gone; of two, one is made.

        Raises
        ------
        StorageError
            It can be neither written nor read.
        """
        mine = FleetClaim()
        if record.storage.replace(_key(record), self._data, mine._data):
            return mine
        return FleetClaim.of(record)

    @property
    def _data(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        return f"{self.who}, {self.since}"


_FILE: OwnFile[FleetClaim] = OwnFile(
    of_form(FleetClaim), "go on: it is made anew, and fleets have tags"
)


def give_up(record: AwsRecord) -> None:
    """Let the next fleet be another one. Raises StorageError if that fails."""
    record.storage.remove(_key(record))


def _key(record: AwsRecord) -> str:
    return posixpath.join(record.folder, NAME)
