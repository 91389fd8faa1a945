"""The jobs of a plan in few bytes: what repeats is kept once, each job made when asked.

A million jobs that are kept take 1 GB. What they are made from takes a fifth of that,
and making one takes microseconds.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import eq
from typing import Any, TypeVar, overload

from cpengine.group_names import Group, id_of
from cpengine.model import Job
from cpengine.planning.fingerprint import Shared
from cpengine.planning.step_inputs import StepInputs

T = TypeVar("T")


class Lazy(Sequence[T]):
    """What `make` gives of each item of another sequence, each time it is asked for."""

    def __init__(self, make: Callable[[Any], T], source: Sequence[Any]) -> None:
        self._make = make
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._source)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if isinstance(at, slice):
            return Lazy(self._make, self._source[at])
        return self._make(self._source[at])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    # As a list's, which it equals.
    __hash__ = None  # type: ignore[assignment]  # mypy takes Sequence to promise one

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True)
class FileJobs:
    """The jobs that one data file lists: what they share once, of each but little."""

    make: Callable[..., Job]
    """Makes a job from its group, fingerprint and image sets; knows all the rest."""
    fingerprint: Shared
    groups: Sequence[Group]
    parts: Sequence[str]
    """The part of each job's fingerprint that stands for its image sets."""
    inputs: Sequence[StepInputs]
    """What each job reads of earlier steps."""
    image_sets: Sequence[int]

    def __getitem__(self, number: int) -> Job:
        inputs, part = self.inputs[number], self.parts[number]
        return self.make(
            group=self.groups[number],
            fingerprint=self.fingerprint.of_job(part, inputs.part),
            fingerprint_v1=self.fingerprint.of_job_v1(part),
            inputs=inputs.digest,
            input_contents=inputs.contents,
            image_sets=self.image_sets[number],
        )


class JobList(Lazy[Job]):
    """The jobs of a plan, file by file."""

    def __init__(self, files: Sequence[FileJobs]) -> None:
        starts = list(accumulate((len(file.groups) for file in files), initial=0))

        def job(number: int) -> Job:
            file = bisect_right(starts, number) - 1
            return files[file][number - starts[file]]

        super().__init__(job, range(starts[-1]))
        self.files = files

    @property
    def groups(self) -> Iterator[Group]:
        """The group of each job."""
        return chain.from_iterable(file.groups for file in self.files)


def read_by(files: Iterable[FileJobs]) -> Iterator[tuple[str, StepInputs]]:
    """The id of each job, and what it reads of earlier steps."""
    for file in files:
        yield from zip(map(id_of, file.groups), file.inputs, strict=True)


def ids(jobs: Iterable[Job]) -> Iterator[str]:
    """The id of each job; those of a plan are not made for that."""
    return map(id_of, jobs.groups if isinstance(jobs, JobList) else _groups(jobs))


def _groups(jobs: Iterable[Job]) -> Iterator[Group]:
    return (job.group for job in jobs)
