"""What a job's results depend on, as short text that tells which part changed. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from cpengine.inputs.loaddata import Table
from cpengine.model import Job

PARTS = (
    "the pipeline",
    "its image sets",
    "its plugins or rules",
    "its input or output place",
)
"""What each part of a fingerprint stands for, in order."""
_SEPARATOR = "-"
_DIGITS = 8


def of_job(job: Job, pipeline: str, image_sets: str, code: Mapping[str, bytes]) -> str:
    """What a job's results depend on; the job's own `fingerprint` is not looked at.

    Parameters
    ----------
    pipeline
        The pipeline's text.
    image_sets
        What `of_image_sets` gave for the job's group.
    code
        The plugin files that the pipeline runs and the rules files that it reads, by
        name.
    """
    return of_all(job, pipeline, code).with_image_sets(image_sets)


class Shared(NamedTuple):
    """The parts of a fingerprint that all jobs of a data file have in common."""

    pipeline: str
    code: str
    places: str

    def with_image_sets(self, part: str) -> str:
        """The fingerprint of one of the jobs; `of_image_sets` gives the part."""
        return _SEPARATOR.join((self.pipeline, part, self.code, self.places))


def of_all(job: Job, pipeline: str, code: Mapping[str, bytes]) -> Shared:
    """What `of_job` takes from any one job, whatever its group."""
    places = (job.input, job.output, job.output_structure, job.plugins or "")
    return Shared(of_text(pipeline), of_files(code), of_text(*places))


def comparable(old: str, new: str) -> bool:
    """Whether both have the parts of `PARTS`."""
    return old.count(_SEPARATOR) == new.count(_SEPARATOR) == len(PARTS) - 1


def changed(old: str, new: str) -> list[str]:
    """What differs between two fingerprints, in the words of `PARTS`."""
    if not comparable(old, new):
        return ["the way cpengine compares"]
    parts = zip(PARTS, old.split(_SEPARATOR), new.split(_SEPARATOR), strict=True)
    return [name for name, before, now in parts if before != now]


@lru_cache(maxsize=16)  # they are the same in job after job
def of_text(*texts: str) -> str:
    """One part: changes with any of the texts."""
    return _short("\x1f".join(texts).encode())


def of_image_sets(table: Table, rows: Iterable[int], numbers: Sequence[int]) -> str:
    """One part: changes with a group's rows, the header, and their image numbers."""
    digest = _of_header(table.header).copy()
    for row in rows:
        line = ("\x1e", str(numbers[row]), *table.rows[row])
        digest.update("\x1f".join(line).encode())
    return digest.hexdigest()[:_DIGITS]


@lru_cache(maxsize=8)
def _of_header(header: tuple[str, ...]) -> "hashlib._Hash":
    """Where the digests of all groups of a table begin."""
    return hashlib.sha256("\x1f".join(header).encode())


def of_files(files: Mapping[str, bytes]) -> str:
    """One part: changes with the names and contents of some files; `0` for none."""
    if not files:
        return "0"
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\x1f{len(files[name])}\x1f".encode() + files[name])
    return digest.hexdigest()[:_DIGITS]


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGITS]
