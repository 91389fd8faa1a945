"""Which accelerations jobs used and what they computed on, counted. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cpengine.model import ALL_OFF, FAILED_IN_JOB, Outcome
from cpengine.wording import counted, on_one_line

_Key = TypeVar("_Key")
_MOST = 50
"""So many reasons, processors and differences are kept; there are mostly a few."""


@dataclass(frozen=True, slots=True)
class OffCount:
    """A reason for which an acceleration that was wanted was not used."""

    name: str
    why: str
    jobs: int


@dataclass(frozen=True, slots=True)
class ProcessorCount:
    """A processor, and how numpy used it."""

    cpu: str
    blas_kernel: str
    blas_threads: int
    jobs: int

    def __str__(self) -> str:
        kernel = f"BLAS kernel {self.blas_kernel or 'not known'}"
        return f"{self.cpu}, {kernel}, {counted(self.blas_threads, 'thread')}"


@dataclass(frozen=True, slots=True)
class AccelerationUse:
    """What some jobs have in common, and in what they differ."""

    exact: int = 0
    """Jobs whose results accelerated modules made."""
    plain: int = 0
    """Jobs whose results CellProfiler's own modules made."""
    on: Mapping[str, int] = field(default_factory=dict)
    """Jobs by acceleration."""
    off: Sequence[OffCount] = ()
    processors: Sequence[ProcessorCount] = ()
    checked: int = 0
    """Jobs that ran both ways."""
    differences: Sequence[str] = ()
    """What differed in these: a line a job."""

    def lines(self) -> Iterator[str]:
        """What it says, in words; nothing where no acceleration was wanted."""
        if self.exact:
            names = ", ".join(self.on)
            rest = f", plain ones in {self.plain}" if self.plain else ""
            yield f"accelerated modules in {counted(self.exact, 'job')} ({names}){rest}"
        if self.checked:
            jobs = f"{counted(self.checked, 'job')} ran both ways"
            different = len(self.differences)
            yield f"{jobs}: " + (f"{different} differed" if different else "same bytes")
        same: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for reason in self.off:
            if reason.why.startswith(FAILED_IN_JOB):
                continue  # a warning
            same[reason.why, reason.jobs].append(reason.name)
        for (why, count), off in same.items():
            named = "no acceleration" if ALL_OFF in off else f"not {', '.join(off)}"
            yield f"{named} in {counted(count, 'job')}: {why}"

    def warnings(self, blas_kernel: str | None = None) -> Iterator[str]:
        """What a user should not miss.

        Parameters
        ----------
        blas_kernel
            The one that the project file names.
        """
        for line in self.differences:
            yield (
                f"accelerated modules gave other results than plain ones: {line}; they "
                "were switched off for the step: report it, and run again with --force "
                "what they made"
            )
        for reason in self.off:
            if reason.why.startswith(FAILED_IN_JOB):
                yield (
                    f"the acceleration {reason.name} {reason.why}; it is off until "
                    "the run ends: results are those of plain modules: report it"
                )
        kernels: Counter[str] = Counter()
        for found in self.processors:
            if found.blas_kernel:
                kernels[found.blas_kernel] += found.jobs
        shown = ", ".join(f"{name} in {n}" for name, n in kernels.items())
        if len(kernels) > 1:
            yield (
                f"jobs computed with several BLAS kernels ({shown}), between which "
                "CellProfiler's numbers differ: set cellprofiler.blas_kernel and run "
                "again with --force"
            )
        elif blas_kernel and kernels and blas_kernel.lower() not in _lower(kernels):
            yield (
                f"cellprofiler.blas_kernel is {blas_kernel}, but jobs computed with "
                f"another ({shown}): name one that OpenBLAS has on these machines"
            )


NOTHING_USED = AccelerationUse()


def _count(counter: Counter[_Key], key: _Key) -> None:
    if key in counter or len(counter) < _MOST:
        counter[key] += 1


def _lower(names: Mapping[str, int]) -> set[str]:
    return {name.lower() for name in names}


@dataclass
class AccelerationTally:
    """Counts outcomes."""

    _exact: int = 0
    _plain: int = 0
    _checked: int = 0
    _on: Counter[str] = field(default_factory=Counter)
    _off: Counter[tuple[str, str]] = field(default_factory=Counter)
    _processors: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    _differences: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take in a job; of one that did not run nothing is known."""
        if outcome.done:
            self._exact += bool(outcome.exact)
            self._plain += not outcome.exact
        self._on.update(outcome.exact)
        for name, why in outcome.exact_off.items():
            _count(self._off, (name, on_one_line(why)))
        if found := outcome.processor:
            cpu, kernel = (str(found.get(name, "")) for name in ("cpu", "blas_kernel"))
            threads = int(found.get("blas_threads", 0))
            _count(self._processors, (cpu, kernel, threads))
        if check := outcome.check:
            self._checked += 1
            if check.differences and len(self._differences) < _MOST:
                first = f"{outcome.job.id}: {check.differences[0]}"
                self._differences.append(f"{first} (files: {check.place})")

    @property
    def use(self) -> AccelerationUse:
        """What was counted."""
        on, off = self._on.most_common(), self._off.most_common()
        return AccelerationUse(
            exact=self._exact,
            plain=self._plain,
            on=dict(on),
            off=[OffCount(name, why, jobs) for (name, why), jobs in off],
            processors=[
                ProcessorCount(*found, jobs)
                for found, jobs in self._processors.most_common()
            ],
            checked=self._checked,
            differences=list(self._differences),
        )
