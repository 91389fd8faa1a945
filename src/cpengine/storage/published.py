"""The files that jobs have published, from listings alone."""

from collections.abc import Iterable, Sequence

from cpengine.model import Job
from cpengine.storage.store import Storage

_FEW = 20
"""Up to so many jobs their own folders are listed, else the whole output."""


def trees(storage: Storage, jobs: Sequence[Job]) -> Iterable[dict[str, int]]:
    """Sizes in bytes of the files of each job's folder, by their name below it.

    Parameters
    ----------
    jobs
        Jobs of one step.
    """
    if len(jobs) <= _FEW:
        return [storage.tree(job.destination) for job in jobs]
    found: dict[str, dict[str, int]] = {job.place: {} for job in jobs}
    depths = {place.count("/") + 1 for place in found}
    for path, size in storage.tree(jobs[0].output).items():
        parts = path.split("/")
        for depth in depths:
            place = "/".join(parts[:depth])
            if place in found and len(parts) > depth:
                found[place]["/".join(parts[depth:])] = size
    return [found[job.place] for job in jobs]
