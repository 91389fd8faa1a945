"""Which jobs stand for the others: even over plates, wells and group sizes. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from cpengine.marker import Marker, MarkerState
from cpengine.model import Job
from cpengine.planning import fingerprint
from cpengine.planning.plan import plate_of
from cpengine.plates import WELL

MOST_MARKERS = 200
"""So many markers are read at the most."""
_MOST_JOBS = 10_000
_CODE = {fingerprint.PARTS[0], fingerprint.PARTS[2]}
"""What makes a job another one to measure: pipeline and plugins."""
T = TypeVar("T")


def even(items: Sequence[T], most: int) -> list[T]:
    """So many of them at the most, at even distances."""
    if len(items) <= most:
        return list(items)
    return [items[(2 * n + 1) * len(items) // (2 * most)] for n in range(most)]


class _Traits(NamedTuple):
    """What a job shall differ in from those that are chosen already."""

    plate: str
    size: int
    """Whether it has few image sets, some or many: 0 to 2."""
    well: str


def representative(jobs: Sequence[Job], count: int) -> list[Job]:
    """Choose jobs that differ in plate, group size and well, in the order of the plan.

    The same jobs give the same choice. With more than 10,000 jobs only so many, evenly
    spaced, are looked at.
    """
    some = even(jobs, _MOST_JOBS)
    if len(some) <= count:
        return some
    traits = _traits(some)
    used: Counter[tuple[str, object]] = Counter()
    chosen: list[int] = []
    for number in range(count):
        wanted = (2 * number + 1) * len(some) // (2 * count)
        best = min(
            (n for n in range(len(some)) if n not in chosen),
            key=lambda n: (_uses(traits[n], used), abs(n - wanted), n),
        )
        chosen.append(best)
        used.update(traits[best]._asdict().items())
    return [some[n] for n in sorted(chosen)]


def _uses(traits: _Traits, used: Counter[tuple[str, object]]) -> int:
    return sum(used[pair] for pair in traits._asdict().items())


def _traits(jobs: Sequence[Job]) -> list[_Traits]:
    sizes = [job.image_sets for job in jobs]
    least, width = min(sizes), max(sizes) - min(sizes) + 1
    return [
        _Traits(
            plate_of(job),
            3 * (job.image_sets - least) // width,
            dict(job.group).get(WELL, ""),
        )
        for job in jobs
    ]


class Chosen(NamedTuple):
    """Names of markers to learn from."""

    names: list[str]
    same_version: bool = True
    """Whether the CellProfiler is the one that would run the jobs."""
    same_code: bool = True
    """Whether pipeline and plugins are as they are now."""


def markers(names: Iterable[str], job: Job, cellprofiler: str) -> Chosen:
    """Choose markers of done jobs, those that are most like the jobs to run.

    Parameters
    ----------
    job
        Any of the jobs to run.
    cellprofiler
        The version that would run them; of no matter if empty.
    """
    done = [
        (name, marker)
        for name in sorted(names)
        if (marker := Marker.parse(name)) and marker.state is MarkerState.DONE
    ]
    likes: dict[tuple[bool, bool], list[str]] = {}
    for name, marker in done:
        same_version = cellprofiler in ("", marker.version)
        now = (job.fingerprint, job.fingerprint_v1)
        compared = fingerprint.of_one_format(marker.fingerprint, now) is not None
        changed = fingerprint.changed(marker.fingerprint, *now)
        same_code = compared and not _CODE & set(changed)
        likes.setdefault((same_code, same_version), []).append(name)
    if not likes:
        return Chosen([])
    same_code, same_version = best = max(likes)
    return Chosen(even(likes[best], MOST_MARKERS), same_version, same_code)
