"""The storage roots that the chaos test runs on, and what can be seen there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Protocol

from tests.services.s3.bucket_server import S3Server

Files = dict[str, bytes]
FAULTS = {
    "latency_s": 0.03,
    "reset": 0.02,
    "lost": 0.02,
    "slow_down": 0.02,
    "error_500": 0.02,
    "truncate": 0.05,
}


_SMALL = 4096
"""So many bytes are written at once, so that nobody reads half of them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A step's ledger and its output; of the ledger what was there before and after."""

    ledger: Files
    output: Files

    @property
    def done(self) -> Files:
        """The done markers by name."""
        return dict(self._markers(".done"))

    @property
    def failed(self) -> Files:
        """The markers of failures by name."""
        return dict(self._markers(".failed"))

    def _markers(self, ending: str) -> Iterator[tuple[str, bytes]]:
        for key, data in self.ledger.items():
            folder, _, name = key.partition("/")
            if folder == "markers" and ending in name and not name.startswith("."):
                yield name, data


@dataclass(frozen=True, slots=True)
class Step:
    """Where a step's ledger and output are below the root."""

    name: str
    ledger: str
    output: str

    @property
    def claims(self) -> str:
        """Where the claims of all batches lie; of a round there is one."""
        return f"{Path(self.ledger).parents[1]}/.claims"


def _as_claims(files: Files) -> Files:
    return {f"claims/{key}": data for key, data in files.items()}


class Root(Protocol):
    """A storage root of one round."""

    step: Step

    @property
    def settings(self) -> str:
        """How a project file names it, from inside its section `storage`."""

    def fill(self, files: Files) -> None:
        """Put files there."""

    def edit(self, files: Files) -> None:
        """Put others in place as an editor does."""

    def see(self) -> Seen:
        """What is there now."""

    def remove(self) -> None:
        """Remove all that is there."""

    def storm(self, seed: int) -> None:
        """Begin to fail now and then."""

    def calm(self) -> "Counter[str]":
        """End that; how often which fault struck."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A root on this machine, which never fails."""

    folder: Path
    step: Step

    @property
    def settings(self) -> str:
        return f'root = "{self.folder}"\n'

    def fill(self, files: Files) -> None:
        for key, data in files.items():
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def edit(self, files: Files) -> None:
        """Small ones in place, where they are empty for a moment."""
        for key, data in files.items():
            path = self.folder / key
            if len(data) < _SMALL:
                path.write_bytes(data)
            else:
                path.with_name("new").write_bytes(data)
                path.with_name("new").replace(path)

    def see(self) -> Seen:
        before = self._ledger()
        output = files_below(self.folder / self.step.output)
        return Seen(_both(before, self._ledger()), output)

    def _ledger(self) -> Files:
        claims = files_below(self.folder / self.step.claims)
        return files_below(self.folder / self.step.ledger) | _as_claims(claims)

    def remove(self) -> None:
        rmtree(self.folder)

    def storm(self, seed: int) -> None:
        pass

    def calm(self) -> "Counter[str]":
        return Counter()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A root on the S3 server; looking at it passes by the faults."""

    name: str
    server: S3Server
    step: Step

    @property
    def settings(self) -> str:
        endpoint = f'endpoint = "{self.server.url}"\n'
        return f'root = "s3://{self.name}"\n\n[storage.s3]\n{endpoint}'

    def fill(self, files: Files) -> None:
        self.server.make(self.name)
        for key, data in files.items():
            self.server.put(self.name, key, data)

    def edit(self, files: Files) -> None:
        for key, data in files.items():
            self.server.put(self.name, key, data)

    def see(self) -> Seen:
        before = self._ledger()
        output = self._objects(f"{self.step.output}/")
        return Seen(_both(before, self._ledger()), output)

    def _ledger(self) -> Files:
        claims = self._objects(f"{self.step.claims}/")
        return self._objects(f"{self.step.ledger}/") | _as_claims(claims)

    def remove(self) -> None:
        self.server.delete(self.name)

    def _objects(self, prefix: str) -> Files:
        found = self.server.objects(self.name, prefix)
        return {key.removeprefix(prefix): data for key, data in found.items()}

    def storm(self, seed: int) -> None:
        self.server.faults(**FAULTS, bucket=self.name, seed=seed)

    def calm(self) -> "Counter[str]":
        self.server.faults()
        return self.server.injected(self.name)


def _both(before: Files, after: Files) -> Files:
    return {key: data for key, data in before.items() if after.get(key) == data}


def files_below(folder: Path) -> Files:
    """All files below a folder; one that is renamed while we look is left out."""
    found: Files = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
