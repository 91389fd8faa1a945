"""What a plate's Parquet files were made from, kept in the files themselves."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cpengine.errors import StorageError
from cpengine.results.collect.arrow import pa, parquet
from cpengine.storage import local_files
from cpengine.storage.keys import is_below
from cpengine.storage.own_files import OwnFile, of_form

KEY = "cpengine"
FORMAT = 3
"""Changes when files that an older cpengine made should be made again."""


@dataclass(frozen=True, slots=True)
class FileSize:
    """How large one file is."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class CollectRecord:
    """What the files of one plate were made from, and what they hold."""

    step: str
    jobs: Mapping[str, str]
    """By job id, what stands for its results: fingerprint, version, state of CSVs."""
    float32: bool
    files: Mapping[str, FileSize]
    """By file name."""
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def same(self, other: "CollectRecord") -> bool:
        """Whether both were made from the same, in the same way."""
        return self._source == other._source

    @property
    def _source(self) -> tuple[object, ...]:
        return (self.step, dict(self.jobs), self.float32, self.format)

    def to_metadata(self) -> dict[str, str]:
        """The record as a Parquet file keeps it."""
        return {KEY: json.dumps(asdict(self))}


_RECORD: OwnFile[CollectRecord] = OwnFile(of_form(CollectRecord), "collect it again")


def read(file: Path) -> CollectRecord | None:
    """The record of a Parquet file; None if it is not of this cpengine.

    Files that are made no more are removed by their names in it.
    """
    try:
        with local_files.opened(str(file)) as opened:
            metadata = parquet.read_metadata(opened).metadata or {}
    except (pa.ArrowException, OSError, StorageError):  # what is damaged is made again
        return None
    found = _RECORD.parse(metadata.get(KEY.encode(), b""), str(file))
    if not isinstance(found, CollectRecord) or not all(map(is_below, found.files)):
        return None
    return found
