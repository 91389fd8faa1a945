"""What a job's results depend on, as short text that tells which part changed. Pure.

A fingerprint begins with the version of its format. Ledgers also hold those of the
first one, which had no such mark: four parts, the first of all the pipeline's text.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from cpengine.inputs.loaddata import Table
from cpengine.inputs.pipeline import Pipeline
from cpengine.model import Job

FORMAT = "v2"
CODE = "its plugins or rules"
_PLACES = "its input or output place"
PARTS = (
    "the pipeline",
    "its image sets",
    CODE,
    _PLACES,
    "what it reads of earlier steps",
)
"""What each part of a fingerprint stands for, in order."""
_PARTS_V1 = 4
_MARK = re.compile(r"v\d+")
_FORMAT_CHANGED = "the way cpengine compares"
NOTHING = "0"
"""The part that stands for no files at all."""
_SEPARATOR = "-"
_DIGITS = 8


class Shared(NamedTuple):
    """The parts of a fingerprint that all jobs of a data file have in common."""

    pipeline: str
    text: str
    """What the first format had of the pipeline."""
    code: str
    places: str

    def of_job(self, image_sets: str, step_inputs: str) -> str:
        """The fingerprint of one of the jobs.

        Parameters
        ----------
        image_sets
            What `of_image_sets` gave for its group.
        step_inputs
            What stands for the results of earlier steps that it reads.
        """
        parts = (self.pipeline, image_sets, self.code, self.places, step_inputs)
        return _SEPARATOR.join((FORMAT, *parts))

    def of_job_v1(self, image_sets: str) -> str:
        """The same in the first format."""
        return _SEPARATOR.join((self.text, image_sets, self.code, self.places))


class PipelineParts(NamedTuple):
    """What a pipeline is in the fingerprints of each format."""

    now: str
    v1: str
    keys: tuple[str, ...] = ()
    """The columns by which it groups."""

    @classmethod
    def of(cls, pipe: Pipeline, text: str) -> "PipelineParts":
        """Those of a pipeline, and of the text that it was read from."""
        return cls(of_pipeline(pipe), of_text(text), tuple(pipe.grouping_keys))

    def made(self, fingerprint: str) -> bool:
        """Whether a fingerprint is of this pipeline, or of a format unknown."""
        mark, *parts = fingerprint.split(_SEPARATOR)
        match _format_of(fingerprint):
            case None:
                return True
            case "v1":
                return mark == self.v1
        return parts[0] == self.now


def of_all(job: Job, pipe: Pipeline, text: str, code: Mapping[str, bytes]) -> Shared:
    """What any one job has in common with all others, whatever its group.

    Parameters
    ----------
    pipe, text
        The pipeline, and the text that it was read from.
    code
        The plugin files that the pipeline runs and the rules files that it reads, by
        name.
    """
    places = (job.input, job.output, job.output_structure, job.plugins or "")
    return Shared(of_pipeline(pipe), of_text(text), of_files(code), of_text(*places))


def of_pipeline(pipe: Pipeline) -> str:
    """One part: changes with what CellProfiler computes.

    That is each module's place, kind, revision and settings. Notes, the state of
    windows and the date do not count, nor the settings of disabled modules, which only
    number those behind them.
    """
    computed = [
        (m.name, m.enabled, m.revision, [v for _, v in m.settings] if m.enabled else [])
        for m in pipe.modules
    ]
    return _short(repr(computed).encode())


def code_of(fingerprint: str) -> str:
    """What all jobs of a step have in common: the pipeline, its plugins and rules.

    The whole of a fingerprint that another program has made.
    """
    mark, *parts = fingerprint.split(_SEPARATOR)
    if mark != FORMAT or len(parts) != len(PARTS):
        return fingerprint
    return _SEPARATOR.join((parts[0], parts[2]))


def step_inputs_of(fingerprint: str) -> str:
    """The part of a fingerprint that stands for results of earlier steps."""
    return fingerprint.rpartition(_SEPARATOR)[2]


def image_sets_of(fingerprint: str) -> str:
    """The part of a fingerprint that stands for image sets; empty if of none we know.

    Both formats have it after that of the pipeline.
    """
    if _format_of(fingerprint) is None:
        return ""
    return fingerprint.removeprefix(f"{FORMAT}{_SEPARATOR}").split(_SEPARATOR)[1]


def reads(fingerprint: str, step_inputs: str) -> bool:
    """Whether a fingerprint may be of a job that read these results of earlier steps.

    The first format said nothing of them.
    """
    return _format_of(fingerprint) != FORMAT or (
        step_inputs_of(fingerprint) == step_inputs
    )


def is_of_another_version(fingerprint: str) -> bool:
    """Whether a version of cpengine made it that has another format than this one."""
    mark = fingerprint.partition(_SEPARATOR)[0]
    return _MARK.fullmatch(mark) is not None and _format_of(fingerprint) is None


def of_one_format(old: str, now: Iterable[str]) -> str | None:
    """That of some fingerprints which can be compared with another one, if any can."""
    format_ = _format_of(old)
    return next((f for f in now if format_ and _format_of(f) == format_), None)


def changed(old: str, *now: str) -> list[str]:
    """What differs between a fingerprint and a job's, in the words of `PARTS`.

    Parameters
    ----------
    now
        The job's, in each format that it has.
    """
    new = of_one_format(old, now)
    if new is None:
        return [_FORMAT_CHANGED]
    before, after = (
        text.removeprefix(f"{FORMAT}{_SEPARATOR}").split(_SEPARATOR)
        for text in (old, new)
    )
    pairs = zip(PARTS, before, after, strict=False)
    return [name for name, then, since in pairs if then != since]


def may_have_moved(old: str, *now: str) -> bool:
    """Whether the place of the results may be another than a job would have now."""
    return not {_PLACES, _FORMAT_CHANGED}.isdisjoint(changed(old, *now))


def _format_of(fingerprint: str) -> str | None:
    """The format of a fingerprint; None if it is of none that we know."""
    mark, *parts = fingerprint.split(_SEPARATOR)
    if mark == FORMAT and len(parts) == len(PARTS):
        return FORMAT
    return None if _MARK.fullmatch(mark) or len(parts) != _PARTS_V1 - 1 else "v1"


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
    """One part: changes with the names and contents of some files."""
    if not files:
        return NOTHING
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\x1f{len(files[name])}\x1f".encode() + files[name])
    return digest.hexdigest()[:_DIGITS]


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGITS]
